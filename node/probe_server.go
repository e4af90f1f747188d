package node

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"halos/wire"
)

// arriveWait is how long a server waits for a client that is not connected.
const arriveWait = 20 * time.Second

// ProbeServer is the other end of Probes, for one at a time. What a measurement takes
// is bounded by Max and Limit, whoever asks: memory for about eight times the payload
// at most, and all of it is given back afterwards.
type ProbeServer struct {
	Dir    string   // of its own, for keys and the directories of nodes
	Listen []string // multiaddrs; empty: TCP and QUIC on all interfaces
	Max    int      // bytes of payload
	Limit  time.Duration
	Usage  func() Usage
	Forget func()                     // begins Usage.Peak anew
	Ready  func(addrs []string) error // called once, when addrs can be dialled
	Log    *slog.Logger

	key   crypto.PrivKey
	quiet *slog.Logger // for hosts and nodes
}

// Run serves until ctx ends.
func (p *ProbeServer) Run(ctx context.Context) (err error) {
	if p.key, _, err = crypto.GenerateEd25519Key(rand.Reader); err != nil {
		return fmt.Errorf("make identity: %w", err)
	}
	p.quiet = slog.New(warnings{p.Log.Handler()})
	for {
		ask, err := p.await(ctx)
		if err != nil {
			return err
		}
		began := time.Now()
		p.Log.Info("measuring", "path", ask.Path, "bytes", ask.Bytes, "client", ask.from)
		err = p.measure(ctx, ask)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			p.Log.Warn("measurement ended", "path", ask.Path, "client", ask.from, "err", err)
		default:
			p.Log.Info("measured", "path", ask.Path, "took", time.Since(began).Round(time.Millisecond))
		}
		debug.FreeOSMemory()
	}
}

// host is the server's for anything but a node.
func (p *ProbeServer) host(congestion string) (host.Host, *traffic, error) {
	return newHost(hostOptions{
		Key: p.key, Listen: p.Listen, Log: p.quiet, UserAgent: fmt.Sprintf("halos/%d", wire.ProtocolVersion),
		Congestion: congestion, Stripes: 1,
	})
}

// await listens until somebody asks for a measurement that can be made.
func (p *ProbeServer) await(ctx context.Context) (probeAsk, error) {
	h, _, err := p.host("")
	if err != nil {
		return probeAsk{}, err
	}
	defer h.Close()
	addrs := dialableAddrs(h)
	if p.Ready != nil {
		p.Listen = nil
		for _, a := range h.Network().ListenAddresses() {
			p.Listen = append(p.Listen, a.String())
		}
		if err := p.Ready(addrs); err != nil {
			return probeAsk{}, err
		}
		p.Ready = nil
	}
	taken, asks := make(chan struct{}, 1), make(chan probeAsk, 1)
	h.SetStreamHandler(askProtocol, func(s network.Stream) {
		defer abandon(s)
		if ask, ok := p.hear(s, taken, addrs); ok {
			asks <- ask
		}
	})
	select {
	case ask := <-asks:
		return ask, nil
	case <-ctx.Done():
		return probeAsk{}, context.Cause(ctx)
	}
}

// measure is the server's end of one measurement.
func (p *ProbeServer) measure(ctx context.Context, ask probeAsk) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.Limit, fmt.Errorf("not over after %v", p.Limit))
	defer cancel()
	if p.Forget != nil {
		p.Forget()
	}
	if ask.Path.Raw() {
		return p.serveRaw(ctx, ask)
	}
	return p.serveNode(ctx, ask)
}

// serveNode runs a GPS whose machine is a sink.
func (p *ProbeServer) serveNode(ctx context.Context, ask probeAsk) (err error) {
	j, err := probeJob(ask.Bytes)
	if err != nil {
		return err
	}
	dir, err := probeDir(p.Dir, p.key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var s *probeSink
	n, err := New(ctx, Config{
		Dir: dir, Job: j, Region: "server", Roles: []string{gps.String()}, Listen: p.Listen, Log: p.quiet,
		cast: func(n *Node) (role, machine) {
			s = newSink(n, ask)
			return gps, s
		},
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := n.Run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		return err
	})
	group.Go(func() error {
		defer stop()
		return attend(ctx, n.host, ask.from, startToll(n.host, n.traffic, p.Usage), s.vectors())
	})
	return group.Wait()
}

// probeDir makes a directory for a node in dir, with its identity.
func probeDir(dir string, key crypto.PrivKey) (string, error) {
	dir, err := os.MkdirTemp(dir, "node")
	if err != nil {
		return "", err
	}
	raw, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return "", err
	}
	return dir, replaceFile(filepath.Join(dir, identityFile), raw)
}

// attend waits until the client says that the measurement is over, tells it what it
// cost here, and sees it go. A client that is away for long has gone without a word.
func attend(ctx context.Context, h host.Host, client peer.ID, t *toll, vectors uint64) error {
	over := make(chan struct{}, 1)
	h.SetStreamHandler(endProtocol, func(s network.Stream) {
		defer abandon(s)
		if s.Conn().RemotePeer() != client || s.SetDeadline(time.Now().Add(helloWait)) != nil ||
			json.NewEncoder(s).Encode(t.stop(client, vectors)) != nil || s.CloseWrite() != nil {
			return
		}
		_, _ = s.Read(make([]byte, 1)) // ends when the client has read it all, or cannot any more
		offer(over, struct{}{})
	})
	h.SetStreamHandler(askProtocol, func(s network.Stream) {
		defer abandon(s)
		in, out := json.NewDecoder(io.LimitReader(s, maxAsk)), json.NewEncoder(s)
		for s.SetDeadline(time.Now().Add(helloWait)) == nil && in.Decode(new(probeAsk)) == nil {
			if out.Encode(probeAnswer{Refused: "another measurement is under way", Busy: true}) != nil {
				return
			}
		}
	})
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for seen := time.Now(); ; {
		select {
		case <-over:
			return nil
		case <-tick.C:
			if h.Network().Connectedness(client) == network.Connected {
				seen = time.Now()
			} else if time.Since(seen) > arriveWait {
				return fmt.Errorf("the client has been away for %v", arriveWait)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// warnings passes on what is at least a warning.
type warnings struct{ slog.Handler }

// Enabled reports that the record would be passed on.
func (w warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && w.Handler.Enabled(ctx, l)
}

// WithAttrs adds to each record.
func (w warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{w.Handler.WithAttrs(attrs)}
}

// WithGroup puts what is added later into a group.
func (w warnings) WithGroup(name string) slog.Handler { return warnings{w.Handler.WithGroup(name)} }
