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
	"golang.org/x/sync/errgroup"

	"halos/bulk"
	"halos/roles"
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
	sender *bulk.Sender // outlives the connection
	inflow *inflow      // likewise

	out     chan *wire.ToServer
	deltas  chan roles.Delta // to be encoded and announced; the outbox's window fits
	follows chan roles.Follow

	once sync.Once
	end  chan struct{}
}

func newServerConn(l *uplink, server peer.ID, ack, models network.Stream) *serverConn {
	return &serverConn{
		n: l.n, tier: l.tier, peer: server, ack: ack, models: models,
		topic: l.topic, sender: l.sender, inflow: l.inflow,
		out:     make(chan *wire.ToServer, 64),
		deltas:  make(chan roles.Delta, l.n.window+1),
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
	c.sender.Reset(time.Now())
	c.inflow.rx.Drop(c.peer.String())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.write(ctx) })
	group.Go(func() error { return c.read(ctx) })
	group.Go(func() error { return c.announce(ctx) })
	group.Go(func() error { return c.publish(ctx) })
	group.Go(func() error { return c.follow(ctx) })
	group.Go(func() error { return c.receive() })
	group.Go(func() error { work(ctx, c.inflow.rx); return nil })
	group.Go(func() error { return c.adopt(ctx) })
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
	c.inflow.rx.Drop(c.peer.String())
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
			if c.sender.Credit(b.Credit, time.Now()) {
				c.n.delivered(c.peer)
			}
			continue
		case *wire.ToClient_Missing:
			c.sender.Missing(b.Missing, time.Now())
			continue
		case *wire.ToClient_Reject:
			c.n.call(func() { c.n.refused(c, b.Reject) })
			return fmt.Errorf("turned away: %s", b.Reject.GetDetail())
		case *wire.ToClient_Welcome:
			c.sender.Forget(b.Welcome.GetSession(), b.Welcome.GetDecided())
		case *wire.ToClient_Marks:
			c.sender.Forget(b.Marks.GetSession(), b.Marks.GetDecided())
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
