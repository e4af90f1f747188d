package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"halos/bulk"
	"halos/roles"
	"halos/wire"
)

// announce offers deltas, one after the other.
func (c *serverConn) announce(ctx context.Context) error {
	for {
		select {
		case d := <-c.deltas:
			if err := c.offer(ctx, d); err != nil {
				return fmt.Errorf("delta %d: %w", d.Seq, err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// offer announces a delta, and seals it once it is encoded, while its first chunks
// travel. What an earlier connection has encoded is not encoded again.
func (c *serverConn) offer(ctx context.Context, d roles.Delta) error {
	a, seal, known := c.sender.Again(d.Session, d.Seq, time.Now())
	if !known {
		head, size, err := c.n.deltaHead(c.tier, d)
		if err != nil {
			return err
		}
		f := c.n.newFrame(size)
		defer f.close() // the sender may have no use for it before it is whole
		f.tell(c.sender)
		c.say(ctx, &wire.ToServer{Body: &wire.ToServer_Announce{
			Announce: c.sender.Offer(d.Session, d.Seq, f.id, size, f.hold(), time.Now()),
		}})
		// It must become whole, whatever becomes of the connection.
		if err := f.fill(head, c.n.codec[c.tier], d.Values); err != nil {
			c.sender.Withdraw(d.Session, d.Seq)
			return err
		}
		a, seal = nil, c.sender.Seal(d.Session, d.Seq)
	}
	if a != nil {
		c.say(ctx, &wire.ToServer{Body: &wire.ToServer_Announce{Announce: a}})
	}
	if seal != nil {
		c.say(ctx, &wire.ToServer{Body: &wire.ToServer_Seal{Seal: seal}})
	}
	return nil
}

// say queues a message for the server, unless the connection ends.
func (c *serverConn) say(ctx context.Context, m *wire.ToServer) {
	select {
	case c.out <- m:
	case <-ctx.Done():
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
	look := time.NewTicker(giveUpAfter / 8)
	defer look.Stop()
	for {
		chunk, err := c.sender.Next(time.Now())
		if errors.Is(err, bulk.ErrGreedy) {
			c.n.offences.note(c.peer, err)
		}
		if err != nil {
			return err
		}
		if chunk == nil {
			select {
			case <-c.sender.Ready():
			case now := <-look.C:
				if c.sender.Silent(now) > giveUpAfter {
					err := fmt.Errorf("the server has neither given credit nor acknowledged a chunk for %v", giveUpAfter)
					c.n.offences.note(c.peer, err)
					return err
				}
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
