package node

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"halos/codec"
	"halos/wire"
)

// Run measures with the server at a multiaddr.
func (p Probe) Run(ctx context.Context, addr string) (Probed, error) {
	if err := p.Validate(); err != nil {
		return Probed{}, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if len(p.Listen) == 0 {
		p.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	}
	server, err := parsePeerAddr(addr, "")
	if err != nil {
		return Probed{}, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if _, err := chooseCongestion(p.Path.control(!p.Down), slog.New(slog.DiscardHandler)); err != nil {
		return Probed{}, err
	}
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return Probed{}, fmt.Errorf("make identity: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.Limit, fmt.Errorf("not over after %v", p.Limit))
	defer cancel()
	at, rtt, err := p.ask(ctx, key, server)
	if err != nil {
		return Probed{}, err
	}
	var out Probed
	if p.Path.Raw() {
		out, err = p.runRaw(ctx, key, at)
	} else {
		out, err = p.runNode(ctx, key, server.ID, addr)
	}
	out.RTT = rtt
	return out, err
}

// host is the client's for anything but a node.
func (p Probe) host(key crypto.PrivKey, congestion string) (host.Host, *traffic, error) {
	return newHost(hostOptions{
		Key: key, Listen: p.Listen, Log: p.Log, UserAgent: fmt.Sprintf("halos/%d", wire.ProtocolVersion),
		Congestion: congestion, Stripes: 1,
	})
}

// runNode runs an LPS whose machine is a source.
func (p Probe) runNode(ctx context.Context, key crypto.PrivKey, server peer.ID, addr string) (out Probed, err error) {
	j, err := probeJob(p.Bytes)
	if err != nil {
		return out, err
	}
	var src *probeSource
	var t *toll
	var n *Node
	cast := func(n *Node) (role, machine) {
		src = newSource(n, probeAsk{Path: p.Path, Bytes: p.Bytes, For: p.For}, func() { t = startToll(n.host, n.traffic, p.Usage) })
		return lps, src
	}
	err = within(ctx, switchWait+time.Duration(p.Bytes/fillRate)*time.Second, func(ctx context.Context) (done bool, err error) {
		dir, err := probeDir(p.Dir, key)
		if err != nil {
			return true, err
		}
		n, err = New(ctx, Config{
			Dir: dir, Seeds: []string{addr}, Region: "client", Roles: []string{lps.String()}, Listen: p.Listen, Log: p.Log, cast: cast,
		})
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
		return err == nil || !errors.Is(err, ErrUnreachable), err
	})
	if err != nil {
		return out, err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	defer func() {
		stop()
		if out.Took == 0 { // the node itself may know why
			err = errors.Join(err, <-ended)
			return
		}
		<-ended
	}()
	if n.params != j.Model.NumParams() {
		return out, fmt.Errorf("%w: the server's model has %d parameters, want %d", ErrMismatch, n.params, j.Model.NumParams())
	}
	select {
	case d := <-src.over:
		if d.err != nil {
			return out, d.err
		}
		out.Client = t.stop(server, src.vectors())
		out.Transfers, out.Took, out.Broken = d.transfers, d.took, d.broken
		out.Payload = uint64(d.transfers) * uint64(codec.F32.EncodedLen(n.params))
	case err := <-ended:
		ended <- nil
		return out, err
	case <-ctx.Done():
		return out, context.Cause(ctx)
	}
	out.Server, err = serverEnd(ctx, n.host, server)
	return out, err
}

// runRaw opens a stream and moves bytes.
func (p Probe) runRaw(ctx context.Context, key crypto.PrivKey, at peer.AddrInfo) (out Probed, err error) {
	h, count, err := p.host(key, p.Path.control(!p.Down))
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	var s network.Stream
	err = within(ctx, switchWait, func(ctx context.Context) (done bool, err error) {
		s, err = openStream(ctx, h, at, rawProtocol)
		return err == nil, err
	})
	if err != nil {
		return out, fmt.Errorf("raw stream: %w", err)
	}
	defer abandon(s)
	defer context.AfterFunc(ctx, func() { abandon(s) })()
	t, began := startToll(h, count, p.Usage), time.Now()
	if out.Payload, err = moveRaw(s, p); err != nil {
		return out, fmt.Errorf("raw stream: %w", err)
	}
	out.Took, out.Transfers = time.Since(began), 1
	out.Client = t.stop(at.ID, 0)
	out.Server, err = serverEnd(ctx, h, at.ID)
	return out, err
}

// serverEnd takes leave of the server, which says what the measurement cost it.
func serverEnd(ctx context.Context, h host.Host, server peer.ID) (end ProbeEnd, err error) {
	s, err := h.NewStream(ctx, server, endProtocol)
	if err != nil {
		return end, fmt.Errorf("the server's cost: %w", err)
	}
	defer abandon(s)
	err = s.SetDeadline(time.Now().Add(helloWait))
	if err == nil {
		err = json.NewDecoder(s).Decode(&end)
	}
	if err != nil {
		return end, fmt.Errorf("the server's cost: %w", err)
	}
	return end, nil
}
