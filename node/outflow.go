package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"halos/roles"
	"halos/wire"
)

// announce offers deltas, one after the other.
func (c *serverConn) announce(ctx context.Context) error {
	for {
		select {
		case d := <-c.deltas:
			if err := c.put(ctx, d); err != nil {
				return fmt.Errorf("delta %d: %w", d.Seq, err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// put announces a delta, and seals it once it is encoded, while its first chunks
// travel. What an earlier connection has encoded is not encoded again.
func (c *serverConn) put(ctx context.Context, d roles.Delta) error {
	if a, seal, known := c.sender.Again(d.Session, d.Seq, time.Now()); known {
		c.say(ctx, a, seal)
		return nil
	}
	head, size, err := c.n.deltaHead(c.tier, d)
	if err != nil {
		return err
	}
	f := c.n.newFrame(size)
	defer f.close() // the sender may have no use for it before it is whole
	f.tell(c.sender)
	c.say(ctx, c.sender.Offer(d.Session, d.Seq, f.id, size, f.hold(), time.Now()), nil)
	// It must become whole, whatever becomes of the connection.
	if err := f.fill(head, c.n.codec[c.tier], d.Values); err != nil {
		c.sender.Withdraw(d.Session, d.Seq)
		return err
	}
	c.say(ctx, nil, c.sender.Seal(d.Session, d.Seq))
	return nil
}

// say queues those of the messages that are not nil for the server, unless the
// connection ends.
func (c *serverConn) say(ctx context.Context, a *wire.Announce, seal *wire.Seal) {
	var messages []*wire.ToServer
	if a != nil {
		messages = append(messages, &wire.ToServer{Body: &wire.ToServer_Announce{Announce: a}})
	}
	if seal != nil {
		messages = append(messages, &wire.ToServer{Body: &wire.ToServer_Seal{Seal: seal}})
	}
	for _, m := range messages {
		select {
		case c.out <- m:
		case <-ctx.Done():
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
	feed := c.n.newFeed(c.sender, c.peer)
	defer feed.stop()
	for {
		chunk, err := feed.next(ctx, func() (bool, error) { return false, nil })
		if chunk == nil {
			return err
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

func (c *serverConn) subscribed() bool { return slices.Contains(c.topic.ListPeers(), c.peer) }
