package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"halos/wan"
)

// site is a host in a process and a region of its own, since the sockets of a host are made by goroutines that
// no namespace holds. It does orders, which come as JSON over stdin, and answers each over stdout.
type site struct {
	t       testing.TB
	orders  *json.Encoder
	answers *json.Decoder
}

// siteOrder is what a site is to do.
type siteOrder struct {
	Do    string // "connect", "push", "echo", "leave", "facts"
	Peer  string // multiaddr with peer id
	Times int    // echoes
}

// siteAnswer is what comes of it.
type siteAnswer struct {
	Err      string
	Addrs    []string // of the site
	Received int64    // bytes pushed to it
	Conns    []connFacts
	Echoes   []time.Duration // sorted
}

type connFacts struct{ Congestion, Local, Remote string }

// siteOptions are those of its host.
type siteOptions struct {
	Listen     []string // with the region's address in place of %s
	Congestion string
	Stripes    int
}

const siteVariable = "HALOS_TEST_SITE"

// newSite starts one in a region. It ends with the test.
func newSite(t testing.TB, n *wan.Network, region string, o siteOptions) *site {
	t.Helper()
	o.Listen = slices.Clone(o.Listen)
	for i, l := range o.Listen {
		o.Listen[i] = fmt.Sprintf(l, n.Addr(region))
	}
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestSite$", "-test.timeout=20m")
	cmd.Env = append(os.Environ(), siteVariable+"="+string(raw))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(region, cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close() // ends it
		if err := cmd.Wait(); err != nil {
			t.Errorf("site %s: %v", region, err)
		}
	})
	return &site{t: t, orders: json.NewEncoder(in), answers: json.NewDecoder(out)}
}

// do has an siteOrder carried out.
func (s *site) do(o siteOrder) siteAnswer {
	s.t.Helper()
	var a siteAnswer
	if err := s.orders.Encode(o); err != nil {
		s.t.Fatal(err)
	}
	if err := s.answers.Decode(&a); err != nil {
		s.t.Fatal(err)
	}
	if a.Err != "" {
		s.t.Fatalf("%s %s: %s", o.Do, o.Peer, a.Err)
	}
	return a
}

// addr is the first address that others dial.
func (s *site) addr() string {
	s.t.Helper()
	return s.do(siteOrder{Do: "facts"}).Addrs[0]
}

// TestSite is the process of a site.
func TestSite(t *testing.T) {
	raw, here := os.LookupEnv(siteVariable)
	if !here {
		t.Skip("this is a part of other tests")
	}
	var o siteOptions
	if err := json.Unmarshal([]byte(raw), &o); err != nil {
		t.Fatal(err)
	}
	h, _ := loopbackHost(t, hostOptions{Listen: o.Listen, Congestion: o.Congestion, Stripes: o.Stripes,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	var received atomic.Int64
	h.SetStreamHandler("/sink", func(s network.Stream) {
		b := make([]byte, 256<<10)
		for {
			n, err := s.Read(b)
			received.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	h.SetStreamHandler("/echo", func(s network.Stream) { io.Copy(s, s) })
	orders, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o siteOrder
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			os.Exit(0) // past what testing prints
		} else if err != nil {
			t.Fatal(err)
		}
		a := siteAnswer{Addrs: dialableAddrs(h)}
		if err := carryOut(t.Context(), h, o, &a); err != nil {
			a.Err = err.Error()
		}
		for _, c := range h.Network().Conns() {
			a.Conns = append(a.Conns, connFacts{congestionOf(h, c), c.LocalMultiaddr().String(), c.RemoteMultiaddr().String()})
		}
		a.Received = received.Load()
		if err := answers.Encode(a); err != nil {
			t.Fatal(err)
		}
	}
}

func carryOut(ctx context.Context, h host.Host, o siteOrder, a *siteAnswer) error {
	if o.Peer == "" {
		return nil
	}
	to, err := parsePeerAddr(o.Peer, h.ID())
	if err != nil {
		return err
	}
	switch o.Do {
	case "connect":
		return dialPeer(ctx, h, to)
	case "push":
		s, err := h.NewStream(ctx, to.ID, "/sink")
		if err != nil {
			return err
		}
		go func() {
			for b := make([]byte, 256<<10); ; {
				if _, err := s.Write(b); err != nil {
					return
				}
			}
		}()
		return nil
	case "leave":
		return h.Network().ClosePeer(to.ID)
	case "echo":
		s, err := h.NewStream(ctx, to.ID, "/echo")
		if err != nil {
			return err
		}
		defer s.Reset()
		for b := make([]byte, 64); len(a.Echoes) < o.Times; {
			began := time.Now()
			if _, err := s.Write(b); err != nil {
				return err
			}
			if _, err := io.ReadFull(s, b); err != nil {
				return err
			}
			a.Echoes = append(a.Echoes, time.Since(began))
		}
		slices.Sort(a.Echoes)
	}
	return nil
}

// sites makes two regions with a link between them, whose kernels have the given congestion control for sockets
// that choose none. It skips where that takes more than this user may do.
func sites(t testing.TB, link, control string) *wan.Network {
	t.Helper()
	l, err := wan.ParseLink(link)
	if err != nil {
		t.Fatal(err)
	}
	n, err := wan.New([]string{"a", "b"}, wan.Links{Default: l}, 1)
	if errors.Is(err, wan.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, region := range []string{"a", "b"} {
		if err := n.Do(region, func() error {
			return os.WriteFile("/proc/sys/net/ipv4/tcp_congestion_control", []byte(control), 0)
		}); err != nil {
			t.Fatal(err)
		}
	}
	return n
}
