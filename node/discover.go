package node

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"halos/job"
	"halos/wire"
)

const (
	maxJobReply = 1 << 20          // bytes of manifest and membership
	jobWait     = 10 * time.Second // for one node's answer
	startWait   = time.Second      // for a node that listens already
	lanWait     = 20 * time.Second // for a node of the job on the LAN
	knownWait   = time.Second / 2  // for any node, where the directory holds the job: it goes on without
)

// handleJob tells anyone what this node works on.
func (n *Node) handleJob(_ context.Context, s network.Stream) {
	err := s.SetDeadline(time.Now().Add(jobWait))
	if err == nil {
		err = wire.WriteMessage(s, &wire.JobReply{Manifest: n.job.Canonical(), Membership: n.roster.membership()})
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		abandon(s)
		n.log.Debug("job not told", "peer", s.Conn().RemotePeer(), "err", err)
	}
}

// askJob asks one node what it works on.
func (n *Node) askJob(ctx context.Context, p peer.AddrInfo) (*wire.JobReply, error) {
	ctx, cancel := context.WithTimeout(ctx, jobWait)
	defer cancel()
	if err := dialPeer(ctx, n.host, p); err != nil {
		return nil, err
	}
	s, err := n.host.NewStream(ctx, p.ID, protocolID(wire.JobProtocol))
	if err != nil { // perhaps it has just started: it listens before it answers
		wait(ctx, startWait)
		s, err = n.host.NewStream(ctx, p.ID, protocolID(wire.JobProtocol))
	}
	if err != nil {
		return nil, fmt.Errorf("%s is no node of this program's wire version: %w", p.ID, err)
	}
	defer abandon(s) // once the answer has been read
	if err := s.SetDeadline(time.Now().Add(jobWait)); err != nil {
		return nil, err
	}
	var reply wire.JobReply
	if err := wire.ReadMessage(bufio.NewReader(s), &reply, maxJobReply); err != nil {
		return nil, fmt.Errorf("%s does not say what it works on: %w", p.ID, err)
	}
	return &reply, nil
}

// fetchJob gets the manifest from the nodes named, or from one on the LAN. known is
// the manifest of this directory, nil if it has none.
func (n *Node) fetchJob(ctx context.Context, known []byte) error {
	if n.cfg.JobID != "" && len(n.cfg.Seeds) == 0 {
		return n.fetchOnLAN(ctx, known)
	}
	if len(n.cfg.Seeds) == 0 {
		return fmt.Errorf("%w: there is no job in %s: start one with a manifest or a preset, or join one by an address", ErrUsage, n.dir.path)
	}
	if known != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, knownWait)
		defer cancel()
	}
	var errs []error
	for _, s := range n.cfg.Seeds {
		p, err := parsePeerAddr(s, n.host.ID())
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUsage, err)
		}
		reply, err := n.askJob(ctx, p)
		if err == nil {
			return n.take(reply, known)
		}
		errs = append(errs, err)
	}
	if known != nil && !errors.Is(ctx.Err(), context.Canceled) {
		n.log.Warn("no seed answers, going on with the job of this directory", "err", errors.Join(errs...))
		var err error
		n.job, err = job.Parse(known)
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, errors.Join(errs...))
}

func (n *Node) fetchOnLAN(ctx context.Context, known []byte) error {
	if !n.cfg.MDNS {
		return fmt.Errorf("%w: without mDNS a job is joined by the address of one of its nodes", ErrUsage)
	}
	n.log.Info("looking for the job on this LAN", "job", n.cfg.JobID, "for", lanWait)
	var wrong error
	err := findJob(ctx, n.host.ID(), n.cfg.JobID, lanWait, func(ctx context.Context, p peer.AddrInfo) error {
		reply, err := n.askJob(ctx, p)
		if err != nil {
			return err
		}
		wrong = n.take(reply, known)
		if wrong == nil {
			for _, a := range p.Addrs {
				n.cfg.Seeds = append(n.cfg.Seeds, fmt.Sprintf("%s/p2p/%s", a, p.ID))
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return wrong
}

// take checks what a node said about its job and adopts it.
func (n *Node) take(reply *wire.JobReply, known []byte) error {
	j, err := job.Parse(reply.GetManifest())
	if err != nil {
		return fmt.Errorf("%w: manifest: %w", ErrMismatch, err)
	}
	if !bytes.Equal(j.Canonical(), reply.GetManifest()) {
		return fmt.Errorf("%w: the manifest is not in its canonical form", ErrMismatch)
	}
	id := j.ID()
	if want := n.cfg.JobID; want != "" && want != id.String()[:min(len(want), len(id.String()))] {
		return fmt.Errorf("%w: that node works on job %s, not on %s", ErrMismatch, id, want)
	}
	if known != nil && !bytes.Equal(known, reply.GetManifest()) {
		return fmt.Errorf("%w: %s belongs to another job than the one at that address (%s): name another --dir", ErrMismatch, n.dir.path, id)
	}
	n.job = j
	n.roster.adopt(reply.GetMembership())
	return nil
}

// askAround asks the nodes it knows, but one, for a newer membership.
func (n *Node) askAround(ctx context.Context, but peer.ID) {
	peers := n.roster.servers()
	for _, s := range n.cfg.Seeds {
		if p, err := parsePeerAddr(s, n.host.ID()); err == nil {
			peers = append(peers, p)
		}
	}
	for _, p := range peers {
		if p.ID == but {
			continue
		}
		reply, err := n.askJob(ctx, p)
		if err == nil && bytes.Equal(reply.GetManifest(), n.job.Canonical()) {
			n.roster.adopt(reply.GetMembership())
			return
		}
	}
}

// announceJob makes the node findable on its LAN.
func (n *Node) announceJob(ctx context.Context) {
	if !n.cfg.MDNS {
		return
	}
	done, err := announce(ctx, n.host, n.id.String())
	if err != nil {
		n.log.Warn("not announced on the LAN; others can join by address", "err", err)
		return
	}
	n.group.Go(func() error { <-done; return nil })
}
