package node

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"halos/roles"
)

// serveStatus answers halos status. A node without its socket trains all the same.
func (n *Node) serveStatus(ctx context.Context) error {
	err := serveStatus(ctx, socketPath(n.dir.path), func() (s Status) {
		n.call(func() { s = n.status() })
		return s
	})
	if err != nil {
		n.log.Warn("halos status will not reach this node", "err", err)
	}
	return nil
}

// status describes the node. It runs on the loop.
func (n *Node) status() Status {
	r := n.report
	s := Status{
		Schema: StatusSchema, Peer: n.self, Job: n.id.String(), Region: n.cfg.Region,
		Roles: n.roleNames(), Addrs: n.JoinAddrs(), Uptime: time.Since(r.began).Seconds(),
		Peers: n.roster.others(), Bytes: r.count(n), Dropped: n.drops.lost(),
	}
	for i := range s.Peers {
		if id, err := peer.Decode(s.Peers[i].ID); err == nil {
			s.Peers[i].Connected = n.host.Network().Connectedness(id) == network.Connected
			s.Peers[i].Refused, s.Peers[i].ShutOut = n.offences.refused(id)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range n.machines {
		switch m := m.(type) {
		case *roles.Worker:
			s.Worker = n.workerStatus(m.Status())
		case *roles.LPS:
			s.LPS = n.lpsStatus(m.Status())
		case *roles.GPS:
			g := m.Status()
			s.GPS = &GPSStatus{
				Version: g.Version, Regions: g.Clients, Committed: g.Committed, Total: n.job.Samples(), ValLoss: n.eval.loss,
				Alarm: n.savers[gps].alarm.status(time.Now()),
			}
		}
	}
	return s
}

func (n *Node) workerStatus(c roles.ClientStatus) *WorkerStatus {
	w := n.report.worker
	w.Session, w.Seq, w.Outbox, w.Decided, w.Durable, w.State = n.start, c.Seq, c.Outbox, c.Decided, c.Durable, c.State
	return &w
}

func (n *Node) lpsStatus(s roles.ServerStatus, c roles.ClientStatus) *LPSStatus {
	m := n.report.marks[lps]
	return &LPSStatus{
		Version: s.Version, MergedVersion: m.merged, GlobalVersion: m.global, Workers: s.Clients,
		UpdatesSincePush: s.Updates, Pushes: c.Seq, Decided: c.Decided, Durable: c.Durable,
		Leased: s.Leased, Committed: s.Committed, Alarm: n.savers[lps].alarm.status(time.Now()),
	}
}
