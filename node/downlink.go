package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"halos/bulk"
	"halos/roles"
	"halos/wire"
)

const (
	helloWait  = 10 * time.Second       // for the first message of a stream
	writeWait  = 30 * time.Second       // for a peer to take a message
	pumpEvery  = 100 * time.Millisecond // between looks at transfers that stand still
	topicRetry = 50 * time.Millisecond  // between attempts to leave or join a topic whose handle is going
	topicTries = 40
	maxMessage = 256 << 10 // bytes of a message on the ack stream: a hello with thousands of leases
)

// downlink is the server end of a tier: the ack and model streams of its clients,
// and the delta topic.
type downlink struct {
	n       *Node
	tier    tier
	rx      *bulk.Receiver
	topic   *pubsub.Topic
	sub     *pubsub.Subscription // never read: the validator consumes
	vectors chan []float32       // decode buffers that are free, [n] each or nil
	spare   chan []float32       // spare copies of models, [n] each
	cancel  context.CancelFunc   // of the pump

	newest *modelFrame // of the server's current version; the loop's

	mu    sync.Mutex
	conns map[string]*clientConn // by client, welcomed ones; written by the loop
	peers map[peer.ID]*clientConn
}

// serve opens the server end of tier t.
func (n *Node) serve(ctx context.Context, t tier) (*downlink, error) {
	name := n.deltaTopic(t)
	maxFrame := wire.DeltaLen(wire.MaxRanges, n.codec[t].EncodedLen(n.params))
	d := &downlink{
		n: n, tier: t,
		rx:      bulk.NewReceiver(n.intake(maxFrame)),
		vectors: decodeBuffers(maxFrame),
		spare:   make(chan []float32, 1),
		conns:   map[string]*clientConn{},
		peers:   map[peer.ID]*clientConn{},
	}
	if err := n.pubsub.RegisterTopicValidator(name, d.validate, pubsub.WithValidatorInline(true)); err != nil {
		return nil, fmt.Errorf("topic %s: %w", name, err)
	}
	var err error
	if d.topic, err = n.pubsub.Join(name); err != nil {
		return nil, fmt.Errorf("topic %s: %w", name, err)
	}
	if d.sub, err = d.topic.Subscribe(); err != nil {
		return nil, fmt.Errorf("topic %s: %w", name, err)
	}
	ctx, d.cancel = context.WithCancel(ctx)
	n.group.Go(func() error { d.pump(ctx); return nil })
	n.group.Go(func() error { work(ctx, d.rx); n.end(d.rx); return nil })
	n.group.Go(func() error { d.take(ctx); return nil })
	n.group.Go(func() error { d.putCopy(touched(n.params)); return nil }) // while nothing needs it yet
	return d, nil
}

// close ends the server end. The loop calls it, once.
func (d *downlink) close() {
	d.cancel()
	d.setNewest(nil)
	d.sub.Cancel()
	for _, c := range d.conns {
		c.finish()
	}
	if err := d.n.pubsub.UnregisterTopicValidator(d.n.deltaTopic(d.tier)); err != nil {
		d.n.log.Debug("delta topic validator not removed", "tier", d.tier, "err", err)
	}
	// The end of the subscription reaches pubsub a little later.
	d.n.group.Go(func() error {
		for range topicTries {
			if d.topic.Close() == nil {
				break
			}
			time.Sleep(topicRetry)
		}
		return nil
	})
}

// validate is the end of the line for every chunk: it is kept for its slot, or
// counted against its sender, and never forwarded.
func (d *downlink) validate(_ context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
	if err := d.rx.Chunk(from.String(), m.Data, time.Now()); err != nil {
		d.n.offences.note(from, err)
	} else {
		d.n.alive(from)
	}
	return pubsub.ValidationIgnore
}

// work puts away what arrives, on a goroutine of its own: the disk may be slow.
func work(ctx context.Context, rx *bulk.Receiver) {
	for {
		select {
		case <-rx.Arrived():
			rx.Work()
		case <-ctx.Done():
			return
		}
	}
}

// pump carries what the receiver has to say to the clients.
func (d *downlink) pump(ctx context.Context) {
	tick := time.NewTicker(pumpEvery)
	defer tick.Stop()
	for {
		select {
		case <-d.rx.Ready():
		case now := <-tick.C:
			d.rx.Tick(now)
		case <-ctx.Done():
			return
		}
		for _, ev := range d.rx.Events() {
			d.pass(ev)
		}
	}
}

func (d *downlink) pass(ev bulk.Event) {
	if ev.Wait != nil {
		d.n.log.Warn("no room for a delta", "peer", ev.Peer, "err", ev.Wait)
		return
	}
	c := d.peer(ev.Peer)
	switch {
	case c == nil:
	case ev.Send != nil:
		c.send(ev.Send)
	case ev.Err != nil:
		d.n.gaveUp(c.peer, ev)
		c.reset()
	}
}

// gaveUp logs the end of a transfer, and marks the peer unless this node is to blame.
func (n *Node) gaveUp(from peer.ID, ev bulk.Event) {
	n.log.Warn("transfer given up", "peer", from, "seq", ev.Seq, "err", ev.Err)
	if !errors.Is(ev.Err, bulk.ErrSlot) {
		n.offences.note(from, fmt.Errorf("transfer %d: %w", ev.Seq, ev.Err))
	}
}

// orphan is a whole frame that waits for its sender, whose stream may have ended.
type orphan struct {
	bulk.Arrival
	until time.Time
}

// take decodes whole frames and hands them to the loop. Those whose sender is away
// wait for it a while, so that it need not send them again.
func (d *downlink) take(ctx context.Context) {
	look := time.NewTicker(pumpEvery)
	defer look.Stop()
	var orphans []orphan
	for {
		for a, ok := d.rx.Take(); ok; a, ok = d.rx.Take() {
			orphans = append(orphans, orphan{a, time.Now().Add(giveUpAfter)})
		}
		var waiting []orphan
		for _, o := range orphans {
			switch c := d.peer(o.Peer); {
			case c != nil:
				d.deliver(ctx, c, o.Arrival)
			case time.Now().Before(o.until):
				waiting = append(waiting, o)
				continue
			}
			d.n.release(d.rx, o.Arrival)
		}
		orphans = waiting
		select {
		case <-d.rx.Complete():
		case <-look.C:
		case <-ctx.Done():
			for _, o := range orphans {
				d.n.release(d.rx, o.Arrival)
			}
			return
		}
	}
}

// deliver hands a frame of a client to the loop.
func (d *downlink) deliver(ctx context.Context, c *clientConn, a bulk.Arrival) {
	delta, buffer, err := d.decode(ctx, c, a)
	switch {
	case err == nil:
		d.n.post(event{to: d.tier.server(), ev: delta, from: c, done: func() { d.recycle(buffer) }})
		return
	case ctx.Err() == nil:
		d.n.log.Warn("a delta was not read back", "peer", a.Peer, "seq", a.Seq, "err", err)
		c.reset() // it is sent again
	}
	d.recycle(buffer)
}

func (d *downlink) peer(id string) *clientConn {
	p, err := peer.Decode(id)
	if err != nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.peers[p]
}

// conn is the connection of a client, nil if it has none. Only the loop calls it.
func (d *downlink) conn(client string) *clientConn {
	if d == nil {
		return nil
	}
	return d.conns[client]
}

// register makes c the connection of its client in the place of an older one.
func (d *downlink) register(c *clientConn, w roles.Welcome) {
	if old := d.conns[c.client]; old != nil {
		d.drop(old)
		old.reset()
	}
	c.session.Store(w.Session)
	d.mu.Lock()
	d.conns[c.client] = c
	d.peers[c.peer] = c
	d.mu.Unlock()
}

func (d *downlink) drop(c *clientConn) {
	d.mu.Lock()
	delete(d.conns, c.client)
	delete(d.peers, c.peer)
	d.mu.Unlock()
	d.rx.Drop(c.peer.String())
}

// admit passes an event of a client's connection, and takes note of its end. Events
// of a connection that is not registered are void, but for the hello.
func (n *Node) admit(e event) bool {
	d := n.down[tierAbove(e.to)]
	if d == nil {
		return false
	}
	if _, hello := e.ev.(roles.Hello); hello {
		return true
	}
	registered := d.conns[e.from.client]
	if registered != e.from && !registered.vouches(e) {
		return false
	}
	if _, gone := e.ev.(roles.ClientGone); gone {
		d.drop(e.from)
	}
	return true
}

// vouches reports that e is a delta which came whole over an earlier connection of the
// client: the client was told that it is here.
func (c *clientConn) vouches(e event) bool {
	delta, ok := e.ev.(roles.Delta)
	return ok && c != nil && c.peer == e.from.peer && c.session.Load() == delta.Session
}
