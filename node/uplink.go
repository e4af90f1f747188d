package node

import (
	"context"
	"fmt"
	"log/slog"
	"math/bits"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"halos/bulk"
	"halos/roles"
	"halos/wire"
)

const (
	lookEvery = 500 * time.Millisecond // for a server that nobody knows yet
	askEvery  = 2 * time.Second        // others, whether the server is another one by now
)

// uplink is what outlives the connections of this node's client of a tier to its server: what they have
// not carried to the end goes on over the next.
type uplink struct {
	n      *Node
	tier   tier
	topic  *pubsub.Topic
	sender *bulk.Sender
	inflow *inflow
}

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
	l := &uplink{n: n, tier: t, topic: topic, sender: bulk.NewSender(), inflow: newInflow(n)}
	defer n.end(l.inflow.rx)
	defer l.sender.Close()
	others := make(chan peer.ID, 1)
	var asking sync.WaitGroup
	asking.Go(func() { n.askOthers(ctx, others) })
	asking.Go(func() { l.inflow.params() }) // while nothing needs it yet
	defer asking.Wait()
	var try redials
	for missed := 0; ctx.Err() == nil; {
		server, known := n.roster.server(t, n.cfg.Region)
		if !known || server.ID == n.host.ID() {
			if missed++; missed%8 == 0 {
				n.log.Info("waiting for a server", "tier", t, "region", n.cfg.Region)
			}
			n.askAround(ctx, "")
			wait(ctx, lookEvery)
			continue
		}
		began := time.Now()
		met, err := l.exchange(ctx, n.withSeeds(server), try.patience())
		if ctx.Err() != nil {
			return
		}
		pause := try.failed(met, time.Since(began))
		level := slog.LevelDebug
		if bits.OnesCount(uint(try.count)) == 1 { // fewer and fewer in a long outage
			level = slog.LevelWarn
		}
		n.log.Log(ctx, level, "server out of reach", "tier", t, "server", server.ID, "attempt", try.count, "err", err)
		offer(others, server.ID)
		wait(ctx, pause)
	}
}

// askOthers asks for a newer membership when told to, one at a time and not too often.
// The server that is out of reach, which comes with the word, is left out: libp2p
// makes one dial of two to the same peer, and uplinks pace their own.
func (n *Node) askOthers(ctx context.Context, told <-chan peer.ID) {
	for {
		select {
		case server := <-told:
			n.askAround(ctx, server)
			wait(ctx, askEvery)
		case <-ctx.Done():
			return
		}
	}
}

// withSeeds adds the addresses by which this node was told to find the server, which
// may lead through a NAT that the server does not know of.
func (n *Node) withSeeds(server peer.AddrInfo) peer.AddrInfo {
	for _, s := range n.cfg.Seeds {
		if p, err := parsePeerAddr(s, n.host.ID()); err == nil && p.ID == server.ID {
			server.Addrs = append(server.Addrs, p.Addrs...)
		}
	}
	return server
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

// exchange runs one connection to a server, from hello to its end. met is false if
// there was none within the patience.
func (l *uplink) exchange(ctx context.Context, server peer.AddrInfo, patience time.Duration) (met bool, err error) {
	n := l.n
	dial, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := redial(dial, n.host, server); err != nil {
		return false, fmt.Errorf("connect: %w", err)
	}
	ack, err := n.host.NewStream(dial, server.ID, wire.AckProtocol)
	if err != nil {
		return false, fmt.Errorf("ack stream: %w", err)
	}
	models, err := n.host.NewStream(dial, server.ID, wire.ModelProtocol)
	if err != nil {
		abandon(ack)
		return false, fmt.Errorf("model stream: %w", err)
	}
	c := newServerConn(l, server.ID, ack, models)
	defer n.call(func() { n.disconnected(c) })
	if !n.call(func() { n.connected(c) }) {
		c.close()
		return false, ctx.Err()
	}
	return true, c.run(ctx)
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
		if n.contested.IsZero() {
			n.contested = time.Now()
		}
		if time.Since(n.contested) > seatKept+beatLow { // the one that has gone is not waited for any longer
			n.fault = fmt.Errorf("region %s has another server (%s): start this node without --role lps to work for that one", n.cfg.Region, r.GetDetail())
		}
	case wire.Reason_REASON_SESSION:
		n.fault = fmt.Errorf("%s: to work for the job again start with an empty --dir", r.GetDetail())
	case wire.Reason_REASON_PROTOCOL:
		n.fault = fmt.Errorf("%w: %s", ErrMismatch, r.GetDetail())
	case wire.Reason_REASON_INVALID:
		n.fault = fmt.Errorf("the server of the %s tier refuses this node: %s", c.tier, r.GetDetail())
	}
}
