package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/network"
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
	vectors chan []float32       // spare decode buffers, [n] each
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
	d := &downlink{
		n: n, tier: t,
		rx:      bulk.NewReceiver(n.intake(wire.DeltaLen(wire.MaxRanges, n.codec[t].EncodedLen(n.params)))),
		vectors: make(chan []float32, decodeAhead),
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
	n.group.Go(func() error { work(ctx, d.rx); return nil })
	n.group.Go(func() error { d.take(ctx); return nil })
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

// take decodes whole frames and hands them to the loop.
func (d *downlink) take(ctx context.Context) {
	for {
		a, ok := d.rx.Take()
		if !ok {
			select {
			case <-d.rx.Complete():
			case <-ctx.Done():
				return
			}
			continue
		}
		d.deliver(a)
		if err := d.rx.Release(a.Slot); err != nil {
			d.n.log.Debug("a slot was not closed well", "err", err)
		}
	}
}

// deliver hands a frame to the loop, if its sender is still there to be answered.
func (d *downlink) deliver(a bulk.Arrival) {
	c := d.peer(a.Peer)
	if c == nil {
		return
	}
	delta, buffer, err := d.decode(c, a)
	if err != nil {
		d.n.log.Warn("a delta was not read back", "peer", a.Peer, "seq", a.Seq, "err", err)
		d.recycle(buffer)
		c.reset() // it is sent again
		return
	}
	d.n.post(event{to: d.tier.server(), ev: delta, from: c, done: func() { d.recycle(buffer) }})
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
	if registered != e.from {
		return false
	}
	if _, gone := e.ev.(roles.ClientGone); gone {
		d.drop(e.from)
	}
	return true
}

// handleAck reads the messages of one client until its stream ends.
func (n *Node) handleAck(ctx context.Context, s network.Stream) {
	defer abandon(s)
	in := bufio.NewReader(s)
	if err := s.SetReadDeadline(time.Now().Add(helloWait)); err != nil {
		return
	}
	var first wire.ToServer
	if err := wire.ReadMessage(in, &first, maxMessage); err != nil {
		n.offences.note(s.Conn().RemotePeer(), fmt.Errorf("hello: %w", err))
		return
	}
	c, hello, refusal := n.meet(s, first.GetHello())
	if refusal != nil {
		n.log.Warn("client turned away", "peer", s.Conn().RemotePeer(), "detail", refusal.GetReject().GetDetail())
		c = newClientConn(s)
		c.send(refusal)
		c.finish()
		c.write()
		if _, err := io.Copy(io.Discard, io.LimitReader(s, maxMessage)); err != nil { // until the peer has read the refusal
			n.log.Debug("the refusal was perhaps not read", "peer", c.peer, "err", err)
		}
		return
	}
	if err := s.SetReadDeadline(time.Time{}); err != nil {
		return
	}
	n.group.Go(func() error { c.write(); return nil })
	defer c.finish()
	if !n.post(event{to: c.tier.server(), ev: hello, from: c}) {
		return
	}
	err := n.listenTo(ctx, c, in)
	if ctx.Err() == nil {
		n.log.Info("client gone", "tier", c.tier, "client", c.client, "err", err)
	}
	n.post(event{to: c.tier.server(), ev: roles.ClientGone{Client: c.client, Peer: c.peer.String()}, from: c})
}
