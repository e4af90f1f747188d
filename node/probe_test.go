package node

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"golang.org/x/sync/errgroup"
)

// spent is a usage that grows.
func spent() func() Usage {
	var u Usage
	return func() Usage {
		u.CPU, u.Peak = u.CPU+time.Second, 7
		return u
	}
}

// serveProbes serves on loopback until the test is over.
func serveProbes(t *testing.T, limit int, listen ...string) (addr string) {
	t.Helper()
	ready := make(chan string, 1)
	s := &ProbeServer{
		Dir: t.TempDir(), Listen: listen, Max: limit, Limit: time.Minute, Usage: spent(), Log: testLog(t),
		Ready: func(addrs []string) error { ready <- addrs[0]; return nil },
	}
	group, ctx := errgroup.WithContext(deadline(t))
	group.Go(func() error { return s.Run(ctx) })
	t.Cleanup(func() {
		if err := group.Wait(); !errors.Is(err, context.Canceled) {
			t.Errorf("server: %v", err)
		}
	})
	select {
	case addr = <-ready:
	case <-ctx.Done():
		t.Fatal(context.Cause(ctx))
	}
	return addr
}

func testLog(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func testProbe(t *testing.T, p Probe) Probe {
	p.Limit, p.Dir, p.Usage, p.Log = time.Minute, t.TempDir(), spent(), testLog(t)
	return p
}

const (
	onTCP  = "/ip4/127.0.0.1/tcp/0"
	onQUIC = "/ip4/127.0.0.1/udp/0/quic-v1"
)

func TestProbesMeasureEveryPath(t *testing.T) {
	addr := serveProbes(t, 1<<20, onTCP, onQUIC)
	for _, p := range []Probe{
		{Path: ProbeDelta, Bytes: 1 << 19, For: 100 * time.Millisecond},
		{Path: ProbeModel, Bytes: 1 << 19, For: 100 * time.Millisecond},
		{Path: ProbeBBR, Bytes: 1 << 20}, {Path: ProbeBBR, Bytes: 1 << 20, Down: true},
		{Path: ProbeCubic, Bytes: 1 << 20}, {Path: ProbeCubic, Bytes: 1 << 20, Down: true},
		{Path: ProbeQUIC, Bytes: 1 << 20}, {Path: ProbeQUIC, Bytes: 1 << 20, For: 10 * time.Millisecond, Down: true},
	} {
		if control := p.Path.control(true); control != "" && tryCongestion(control) != nil {
			t.Logf("%s: not here", control)
			continue
		}
		got, err := testProbe(t, p).Run(deadline(t), addr)
		if err != nil {
			t.Errorf("%s, down %v: %v", p.Path, p.Down, err)
			continue
		}
		from, to := got.Client, got.Server
		if p.Down || p.Path == ProbeModel {
			from, to = to, from
		}
		if !p.Path.Raw() && got.Payload%uint64(got.Transfers) != 0 || got.Took < p.For || got.RTT <= 0 || got.Broken != 0 ||
			p.For == 0 && got.Payload != 1<<20 || from.CPU != time.Second || to.CPU != time.Second || from.Peak != 7 {
			t.Errorf("%s, down %v: %+v", p.Path, p.Down, got)
		}
		// What else goes over the connection is little, but it is there where there are nodes.
		if from.Sent < got.Payload || from.Sent > got.Payload+got.Payload/20+20_000 {
			t.Errorf("%s, down %v: %d bytes on the streams for %d of payload", p.Path, p.Down, from.Sent, got.Payload)
		}
		if want := p.Path.control(true); want != "" && from.Congestion != want || from.Congestion == "" {
			t.Errorf("%s, down %v: sent under %q", p.Path, p.Down, from.Congestion)
		}
		if hasVectors := from.Vectors > 0 && to.Vectors > 0; hasVectors == p.Path.Raw() {
			t.Errorf("%s: vectors of %d and %d bytes", p.Path, from.Vectors, to.Vectors)
		}
	}
}

func TestProbesThatAreRefused(t *testing.T) {
	addr := serveProbes(t, 1<<20, onTCP)
	for _, c := range []struct {
		name string
		p    Probe
		addr string
		want string
	}{
		{"too large for the server", Probe{Path: ProbeDelta, Bytes: 1<<20 + 1}, addr, "1048577 bytes, this server measures with 1048576 at most"},
		{"no such listener", Probe{Path: ProbeQUIC, Bytes: 1 << 20}, addr, "does not listen for raw-quic"},
		{"no address", Probe{Path: ProbeDelta, Bytes: 1 << 20}, "127.0.0.1:4001", "is no multiaddr"},
		{"nonsense", Probe{Path: "raw", Bytes: 1, For: -1}, addr, "path \"raw\": there are [\"delta\" \"model\" \"raw-bbr\" \"raw-cubic\" \"raw-quic\"]\n1 bytes: want 65536 to 2147483648\ntime -1ns"},
		{"a delta downwards", Probe{Path: ProbeDelta, Bytes: 1 << 20, Down: true}, addr, "path delta has one direction only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := testProbe(t, c.p).Run(deadline(t), c.addr)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

// A server that measures tells others so, and is free again afterwards.
func TestProbesComeOneByOne(t *testing.T) {
	addr := serveProbes(t, 1<<20, onTCP, onQUIC)
	ctx := deadline(t)
	server, err := parsePeerAddr(addr, "")
	if err != nil {
		t.Fatal(err)
	}
	first, second := testProbe(t, Probe{Path: ProbeQUIC, Bytes: 1 << 20}), testProbe(t, Probe{Path: ProbeQUIC, Bytes: 1 << 20})
	first.Listen, second.Listen = []string{onTCP}, []string{onTCP}
	key := func() crypto.PrivKey {
		k, _, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	mine := key()
	if _, _, err := first.ask(ctx, mine, server); err != nil {
		t.Fatal(err)
	}
	h, _, err := second.host(key(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var no refusal
	err = within(ctx, switchWait, func(ctx context.Context) (done bool, err error) {
		s, err := openStream(ctx, h, server, askProtocol)
		if err == nil {
			defer abandon(s)
			_, _, err = second.talk(s, server)
		}
		return errors.As(err, &no), err
	})
	if !no.Busy {
		t.Errorf("the second client got %v, want to hear that the server is busy", err)
	}
	mineAgain, _, err := first.host(mine, "")
	if err != nil {
		t.Fatal(err)
	}
	defer mineAgain.Close()
	if err := redial(ctx, mineAgain, server); err != nil {
		t.Fatal(err)
	}
	if end, err := serverEnd(ctx, mineAgain, server.ID); err != nil || end.CPU != time.Second {
		t.Errorf("%+v, %v", end, err)
	}
	if _, err := second.Run(ctx, addr); err != nil {
		t.Errorf("after the first has left: %v", err)
	}
}
