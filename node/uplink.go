package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"halos/roles"
	"halos/wire"
)

const (
	dialWait   = 15 * time.Second
	redialLow  = 250 * time.Millisecond // between attempts, doubling
	redialHigh = 2 * time.Second
	lookEvery  = 500 * time.Millisecond // for a server that nobody knows yet
)

// connect keeps this node's client of tier t connected to its server, whoever that
// is at the time, until ctx ends.
func (n *Node) connect(ctx context.Context, t tier) {
	topic, err := n.pubsub.Join(n.deltaTopic(t), pubsub.FanoutOnly())
	for try := 0; err != nil && try < topicTries && ctx.Err() == nil; try++ { // the handle of a server that resigned
		wait(ctx, topicRetry)
		topic, err = n.pubsub.Join(n.deltaTopic(t), pubsub.FanoutOnly())
	}
	if err != nil {
		n.fail(fmt.Errorf("delta topic of the %s tier: %w", t, err))
		return
	}
	defer func() {
		if err := topic.Close(); err != nil {
			n.log.Debug("delta topic not left", "tier", t, "err", err)
		}
	}()
	delay := redialLow
	for missed := 0; ctx.Err() == nil; {
		server, known := n.roster.server(t, n.cfg.Region)
		if !known || server.ID == n.host.ID() {
			if missed++; missed%8 == 0 {
				n.log.Info("waiting for a server", "tier", t, "region", n.cfg.Region)
			}
			n.askAround(ctx)
			wait(ctx, lookEvery)
			continue
		}
		began := time.Now()
		err := n.exchange(ctx, t, server, topic)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > redialHigh {
			delay = redialLow
		}
		n.log.Warn("server out of reach", "tier", t, "server", server.ID, "err", err, "next_try", delay)
		n.askAround(ctx)
		wait(ctx, delay/2+rand.N(delay))
		delay = min(2*delay, redialHigh)
	}
}

// wait sleeps unless ctx ends first.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// exchange runs one connection to a server, from hello to its end.
func (n *Node) exchange(ctx context.Context, t tier, server peer.AddrInfo, topic *pubsub.Topic) error {
	dial, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	if err := n.host.Connect(dial, server); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	ack, err := n.host.NewStream(dial, server.ID, wire.AckProtocol)
	if err != nil {
		return fmt.Errorf("ack stream: %w", err)
	}
	models, err := n.host.NewStream(dial, server.ID, wire.ModelProtocol)
	if err != nil {
		abandon(ack)
		return fmt.Errorf("model stream: %w", err)
	}
	c := newServerConn(n, t, server.ID, ack, models, topic)
	defer n.call(func() { n.disconnected(c) })
	if !n.call(func() { n.connected(c) }) {
		c.close()
		return ctx.Err()
	}
	return c.run(ctx)
}

// connected makes c the way to the server of its tier. The role says hello.
func (n *Node) connected(c *serverConn) {
	if old := n.up[c.tier]; old != nil {
		old.close()
	}
	n.up[c.tier] = c
	n.step(c.tier.client(), roles.Connected{}, nil)
}

func (n *Node) disconnected(c *serverConn) {
	if n.up[c.tier] == c {
		n.up[c.tier] = nil
		n.step(c.tier.client(), roles.ServerGone{}, nil)
	}
}

// refused acts on a server's word that it does not want this client, as far as it is
// the node's to act. It runs on the loop.
func (n *Node) refused(c *serverConn, r *wire.Reject) {
	n.log.Warn("turned away", "tier", c.tier, "server", c.peer, "reason", r.GetReason(), "detail", r.GetDetail())
	switch r.GetReason() {
	case wire.Reason_REASON_ENDED:
		n.step(c.tier.client(), roles.Reject{Client: n.clientName(c.tier), Reason: roles.ReasonEnded, Detail: r.GetDetail()}, nil)
	case wire.Reason_REASON_REGION_TAKEN:
		if n.auto && n.machines[worker] != nil && c.tier == globalTier {
			n.resign()
			return
		}
		n.fault = fmt.Errorf("region %s has another server (%s): start this node without --role lps to work for that one", n.cfg.Region, r.GetDetail())
	case wire.Reason_REASON_SESSION:
		n.fault = fmt.Errorf("%s: to work for the job again start with an empty --dir", r.GetDetail())
	case wire.Reason_REASON_PROTOCOL:
		n.fault = fmt.Errorf("%w: %s", ErrMismatch, r.GetDetail())
	case wire.Reason_REASON_INVALID:
		n.fault = fmt.Errorf("the server of the %s tier refuses this node: %s", c.tier, r.GetDetail())
	}
}
