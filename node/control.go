package node

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"halos/wire"
)

const (
	beatEvery = 2 * time.Second  // between two signs of presence, among few
	beatLow   = 10 * time.Second // the same among many
	beatCrowd = 4                // nodes from which on the beats slow down: each hears all others
	// A busy loop, which copies a large model say, does not hold up this node's presence: what it said last
	// is repeated, as long as it said something lately.
	beatPatience = 200 * time.Millisecond
	beatStale    = 30 * time.Second
	tableBeats   = 5 // every so many beats carry the membership, and each that follows a change
)

// joinControl joins the control topics: the region's, and for servers the global one.
func (n *Node) joinControl(ctx context.Context) error {
	names := []string{wire.RegionControl(n.id.Short(), n.cfg.Region)}
	if n.machines[lps] != nil || n.machines[gps] != nil {
		names = append(names, wire.GlobalControl(n.id.Short()))
	}
	var topics []*controlTopic
	for _, name := range names {
		t, err := joinControl(n.pubsub, n.host.ID(), n.key, name, n.offences)
		if err != nil {
			for _, joined := range topics {
				err = errors.Join(err, joined.Close())
			}
			return err
		}
		topics = append(topics, t)
		n.group.Go(func() error { n.hear(ctx, t); return nil })
	}
	n.group.Go(func() error { n.beat(ctx, topics); return nil })
	return nil
}

// hear takes in what others say about themselves and about the membership. A table
// counts if its GPS or a server it names has signed it.
func (n *Node) hear(ctx context.Context, t *controlTopic) {
	for {
		from, c, err := t.next(ctx)
		if err != nil {
			return // the context or the topic has ended
		}
		n.roster.heard(from, c.GetSelf())
		n.roster.beat(from)
		if m := c.GetMembership(); m != nil && signs(from, m) && n.roster.adopt(m) {
			n.log.Debug("membership", "revision", m.GetRevision(), "regions", len(m.GetLeaders()))
		}
	}
}

func signs(from peer.ID, m *wire.Membership) bool {
	if string(m.GetGps().GetPeer()) == string(from) {
		return true
	}
	for _, l := range m.GetLeaders() {
		if string(l.GetPeer()) == string(from) {
			return true
		}
	}
	return false
}

// beat tells the topics, every beatEvery, that this node is there.
func (n *Node) beat(ctx context.Context, topics []*controlTopic) {
	tick := time.NewTimer(0)
	defer tick.Stop()
	var told *wire.Membership
	last := &wire.Control{} // what the loop said last
	var said time.Time
	for count := uint64(1); ; count++ {
		if n.callSoon(beatPatience, func() {
			last.Self = n.presence()
			last.Version, last.Loss, last.Tokens = n.report.newest()
		}) {
			said = time.Now()
		}
		c := &wire.Control{
			Session: n.start, Count: count, Self: last.Self, Version: last.Version, Loss: last.Loss, Tokens: last.Tokens,
		}
		if m := n.roster.membership(); m != told || count%tableBeats == 0 {
			c.Membership = m
			told = m
		}
		for _, t := range topics {
			if time.Since(said) > beatStale {
				break // the loop is stuck, or has never run
			}
			if err := t.publish(ctx, c); err != nil && ctx.Err() == nil {
				n.log.Warn("presence not sent", "topic", t.name, "err", err)
			}
		}
		crowd := time.Duration(max(1, n.roster.size()/beatCrowd))
		tick.Reset(min(beatEvery*crowd, beatLow))
		select {
		case <-tick.C:
		case <-n.told:
		case <-ctx.Done():
			return
		}
	}
}

// tellNow makes the next beat come at once.
func (n *Node) tellNow() {
	select {
	case n.told <- struct{}{}:
	default:
	}
}
