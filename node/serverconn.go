package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"halos/bulk"
	"halos/codec"
	"halos/roles"
	"halos/tensor"
	"halos/wire"
)

// lastWait bounds the sending of the last messages of a connection that ends.
const lastWait = time.Second

// errClosed ends a connection that this node has no more use for.
var errClosed = errors.New("closed")

// serverConn is a client's end of a connection to its server: the ack stream, the
// model stream and the chunks on the delta topic.
type serverConn struct {
	n      *Node
	tier   tier
	peer   peer.ID
	ack    network.Stream
	models network.Stream
	topic  *pubsub.Topic
	sender *bulk.Sender

	out     chan *wire.ToServer
	deltas  chan roles.Delta // to be encoded and announced; the outbox's window fits
	follows chan roles.Follow

	once sync.Once
	end  chan struct{}
}

func newServerConn(n *Node, t tier, server peer.ID, ack, models network.Stream, topic *pubsub.Topic) *serverConn {
	return &serverConn{
		n: n, tier: t, peer: server, ack: ack, models: models, topic: topic, sender: bulk.NewSender(),
		out:     make(chan *wire.ToServer, 64),
		deltas:  make(chan roles.Delta, n.window+1),
		follows: make(chan roles.Follow, 1),
		end:     make(chan struct{}),
	}
}

func (c *serverConn) close() { c.once.Do(func() { close(c.end) }) }

// send queues a role's message. Only the loop calls it; it never blocks: a server
// that does not keep up is left and met again with a hello.
func (c *serverConn) send(a roles.Action) {
	full := false
	switch a := a.(type) {
	case roles.Hello:
		full = !offer(c.out, c.n.helloMessage(c.tier, a))
	case roles.Ask:
		full = !offer(c.out, &wire.ToServer{Body: &wire.ToServer_Ask{Ask: askMessage(a)}})
	case roles.Return:
		full = !offer(c.out, &wire.ToServer{Body: &wire.ToServer_Return{Return: &wire.Return{Samples: rangeMessages(a.Samples)}}})
	case roles.Leaving:
		full = !offer(c.out, &wire.ToServer{Body: &wire.ToServer_Leaving{Leaving: &wire.Leaving{}}})
	case roles.Delta:
		full = !offer(c.deltas, a)
	case roles.Follow:
		select {
		case <-c.follows: // overtaken
		default:
		}
		c.follows <- a
	}
	if full {
		c.close()
	}
}

// offer queues v if there is room.
func offer[T any](queue chan T, v T) bool {
	select {
	case queue <- v:
		return true
	default:
		return false
	}
}

// run moves everything until one of the streams ends.
func (c *serverConn) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.write(ctx) })
	group.Go(func() error { return c.read(ctx) })
	group.Go(func() error { return c.announce(ctx) })
	group.Go(func() error { return c.publish(ctx) })
	group.Go(func() error { return c.follow(ctx) })
	group.Go(func() error { return c.receive(ctx) })
	group.Go(func() error {
		var err error
		select {
		case <-c.end:
			err = errClosed
		case <-ctx.Done():
		}
		abandon(c.models)
		if c.ack.SetReadDeadline(time.Now()) != nil { // which is to end its reader
			abandon(c.ack)
		}
		return err
	})
	err := group.Wait()
	if c.flush() != nil || c.ack.Close() != nil {
		abandon(c.ack)
	}
	return err
}

// flush sends the last messages, a good-bye perhaps, if the stream takes them.
func (c *serverConn) flush() error {
	if err := c.ack.SetWriteDeadline(time.Now().Add(lastWait)); err != nil {
		return err
	}
	for len(c.out) > 0 {
		if err := wire.WriteMessage(c.ack, <-c.out); err != nil {
			return err
		}
	}
	return nil
}

func (c *serverConn) write(ctx context.Context) error {
	for {
		select {
		case m := <-c.out:
			if err := c.ack.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
				return err
			}
			if err := wire.WriteMessage(c.ack, m); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// read passes the server's messages to the sender and the loop.
func (c *serverConn) read(ctx context.Context) error {
	in := bufio.NewReader(c.ack)
	for {
		var m wire.ToClient
		if err := wire.ReadMessage(in, &m, maxMessage); err != nil {
			if err == io.EOF {
				return errors.New("the server closed the stream")
			}
			return fmt.Errorf("ack stream: %w", err)
		}
		switch b := m.GetBody().(type) {
		case *wire.ToClient_Credit:
			c.sender.Credit(b.Credit)
			continue
		case *wire.ToClient_Missing:
			c.sender.Missing(b.Missing)
			continue
		case *wire.ToClient_Reject:
			c.n.call(func() { c.n.refused(c, b.Reject) })
			return fmt.Errorf("turned away: %s", b.Reject.GetDetail())
		case *wire.ToClient_Marks:
			c.sender.Forget(b.Marks.GetDecided())
		}
		ev, err := fromServer(c.n.clientName(c.tier), &m)
		if err != nil {
			return fmt.Errorf("message of the server: %w", err)
		}
		if ev != nil && !c.n.post(event{to: c.tier.client(), ev: ev, up: c}) {
			return nil
		}
	}
}

// announce encodes deltas, one after the other, and offers them.
func (c *serverConn) announce(ctx context.Context) error {
	for {
		select {
		case d := <-c.deltas:
			frame, err := c.n.encode(c.tier, d)
			if err != nil {
				return fmt.Errorf("encode delta %d: %w", d.Seq, err)
			}
			a := c.sender.Offer(d.Session, d.Seq, frame)
			select {
			case c.out <- &wire.ToServer{Body: &wire.ToServer_Announce{Announce: a}}:
			case <-ctx.Done():
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// publish puts the chunks that have credit on the delta topic, once pubsub knows that
// the server subscribes to it.
func (c *serverConn) publish(ctx context.Context) error {
	for !c.subscribed() {
		if wait(ctx, 20*time.Millisecond); ctx.Err() != nil {
			return nil
		}
	}
	for {
		chunk, ok := c.sender.Next()
		if !ok {
			select {
			case <-c.sender.Ready():
			case <-ctx.Done():
				return nil
			}
			continue
		}
		if err := c.topic.Publish(ctx, chunk); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("publish: %w", err)
		}
		c.n.report.topicBytes.Add(uint64(len(chunk)))
	}
}

func (c *serverConn) subscribed() bool {
	for _, p := range c.topic.ListPeers() {
		if p == c.peer {
			return true
		}
	}
	return false
}

// follow gives the server credit for models.
func (c *serverConn) follow(ctx context.Context) error {
	for {
		select {
		case f := <-c.follows:
			m := &wire.Follow{
				Tier: c.tier.wire(), Region: c.n.cfg.Region, Contains: f.Contains,
				Term: termMessage(f.Have.Term), Version: f.Have.Version,
			}
			if err := c.models.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
				return err
			}
			if err := wire.WriteMessage(c.models, m); err != nil {
				return fmt.Errorf("model stream: %w", err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// receive reads models and hands them to the loop, which copies them.
func (c *serverConn) receive(ctx context.Context) error {
	in := bufio.NewReaderSize(c.models, modelPiece)
	id := codec.F32
	size := id.EncodedLen(c.n.params)
	head := make([]byte, wire.ModelHeaderLen)
	payload := make([]byte, size)
	params := make([]float32, c.n.params)
	taken := make(chan struct{}, 1)
	for {
		if _, err := io.ReadFull(in, head); err != nil {
			return fmt.Errorf("model stream: %w", err)
		}
		h, err := wire.ParseModelHeader(head, c.n.params, size)
		switch {
		case err != nil:
			return err
		case codec.ID(h.Codec) != id || h.Elements != uint64(c.n.params) || h.Length != uint64(size):
			return fmt.Errorf("model of %d elements in %s, the job has %d in %s", h.Elements, codec.ID(h.Codec), c.n.params, id)
		}
		if err := readPieces(c.models, in, payload); err != nil {
			return fmt.Errorf("model version %d: %w", h.Version, err)
		}
		if err := h.Verify(payload); err != nil {
			return err
		}
		if err := id.Decode(params, payload); err != nil {
			return err
		}
		if norm := tensor.Norm(params); math.IsNaN(norm) || math.IsInf(norm, 0) {
			return fmt.Errorf("model version %d of %s has values that are not finite: it is not taken", h.Version, c.peer)
		}
		m := roles.Model{
			Client: c.n.clientName(c.tier), Contains: h.Contains, Committed: h.Committed, Params: params,
			ID: roles.ModelID{Term: roles.Term{Counter: h.Term, Leader: c.peer.String()}, Version: h.Version},
		}
		if !c.n.post(event{to: c.tier.client(), ev: m, up: c, done: func() { taken <- struct{}{} }}) {
			return nil
		}
		select {
		case <-taken:
		case <-ctx.Done():
			return nil
		}
	}
}

// readPieces fills b; the stream must bring each piece in time.
func readPieces(s network.Stream, in io.Reader, b []byte) error {
	for len(b) > 0 {
		if err := s.SetReadDeadline(time.Now().Add(writeWait)); err != nil {
			return err
		}
		n := min(len(b), modelPiece)
		if _, err := io.ReadFull(in, b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return s.SetReadDeadline(time.Time{})
}
