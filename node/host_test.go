package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

const loopbackTCP, loopbackQUIC = "/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"

func newKey(t *testing.T) crypto.PrivKey {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// loopbackHost makes a host until the test ends; what o leaves open is a fresh key and TCP on loopback.
func loopbackHost(t *testing.T, o hostOptions) (host.Host, *traffic) {
	t.Helper()
	if o.Key == nil {
		o.Key = newKey(t)
	}
	if o.Listen == nil {
		o.Listen = []string{loopbackTCP}
	}
	if o.Log == nil {
		o.Log = quiet
	}
	h, count, err := newHost(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h, count
}

func infoOf(h host.Host) peer.AddrInfo { return peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()} }

func connect(t *testing.T, a, b host.Host) {
	t.Helper()
	if err := a.Connect(t.Context(), infoOf(b)); err != nil {
		t.Fatal(err)
	}
}

// echo sends data from a to b and back over a stream.
func echo(t *testing.T, a, b host.Host, data []byte) {
	t.Helper()
	b.SetStreamHandler("/echo", func(s network.Stream) {
		io.Copy(s, s)
		s.Close()
	})
	s, err := a.NewStream(t.Context(), b.ID(), "/echo")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		s.Write(data)
		s.CloseWrite()
	}()
	if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes came back, %v", len(got), err)
	}
}

func TestHostsTalk(t *testing.T) {
	for _, listen := range []string{loopbackTCP, loopbackQUIC} {
		t.Run(listen, func(t *testing.T) {
			a, fromA := loopbackHost(t, hostOptions{Listen: []string{listen}, UserAgent: "halos/test"})
			b, fromB := loopbackHost(t, hostOptions{Listen: []string{listen}})
			connect(t, a, b)
			const n = 1 << 20
			echo(t, a, b, make([]byte, n))
			for name, sent := range map[string]uint64{"a": fromA.sentTo()[b.ID()], "b": fromB.sentTo()[a.ID()]} {
				if sent < n || sent > n+16<<10 {
					t.Errorf("%s counts %d bytes sent, want %d and a little", name, sent, n)
				}
			}
			if agent, err := b.Peerstore().Get(a.ID(), "AgentVersion"); agent != "halos/test" {
				t.Errorf("b knows a as %v, %v", agent, err)
			}
		})
	}
}

func TestTrafficIsBounded(t *testing.T) {
	count := newTraffic()
	for i := range maxTrafficPeers + 100 {
		count.LogSentMessageStream(1, "", peer.ID([]byte{byte(i >> 8), byte(i)}))
	}
	if got := len(count.sentTo()); got != maxTrafficPeers {
		t.Errorf("%d peers in the table, want %d", got, maxTrafficPeers)
	}
}

// A peer may send a whole window before anybody reads, so that a long link is full from the start.
func TestStreamWindow(t *testing.T) {
	a, _ := loopbackHost(t, hostOptions{})
	b, _ := loopbackHost(t, hostOptions{})
	connect(t, a, b)
	b.SetStreamHandler("/deaf", func(network.Stream) {})
	s, err := a.NewStream(t.Context(), b.ID(), "/deaf")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Write(make([]byte, 2*streamWindow)); n < streamWindow-1024 || n > streamWindow || err == nil {
		t.Errorf("%d bytes were taken, %v; the window has %d", n, err, streamWindow)
	}
}

// What one peer can make a host hold is bounded by how many streams it can open.
func TestStreamsPerPeer(t *testing.T) {
	a, _ := loopbackHost(t, hostOptions{})
	b, _ := loopbackHost(t, hostOptions{})
	connect(t, a, b)
	b.SetStreamHandler("/echo", func(s network.Stream) { io.Copy(s, s) })
	open := 0
	for range 2 * streamsPerPeer {
		s, err := a.NewStream(t.Context(), b.ID(), "/echo")
		if err != nil {
			continue // refused
		}
		s.Write([]byte{1})
		s.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, _ := s.Read(make([]byte, 1)); n == 1 {
			open++
		}
	}
	if open < streamsPerPeer-2 || open > streamsPerPeer {
		t.Errorf("%d streams are open, want %d or those that libp2p leaves of them", open, streamsPerPeer)
	}
}

func TestDialTCP(t *testing.T) {
	var dials atomic.Int32
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	a, _ := loopbackHost(t, hostOptions{DialTCP: dial})
	b, _ := loopbackHost(t, hostOptions{Listen: []string{loopbackTCP, loopbackQUIC}})
	connect(t, a, b)
	if dials.Load() != 1 {
		t.Errorf("%d dials through DialTCP, want 1", dials.Load())
	}
	if got := a.Network().ConnsToPeer(b.ID())[0].RemoteMultiaddr().String(); strings.Contains(got, "quic") {
		t.Errorf("connected over %s", got)
	}
	_, _, err := newHost(hostOptions{Key: newKey(t), Listen: []string{loopbackQUIC}, DialTCP: dial, Log: quiet})
	checkErr(t, err, "speaks TCP only")
}

func TestPortInUse(t *testing.T) {
	for _, free := range []string{loopbackTCP, loopbackQUIC} {
		t.Run(free, func(t *testing.T) {
			first, _ := loopbackHost(t, hostOptions{Listen: []string{free}})
			taken := first.Network().ListenAddresses()[0]
			_, _, err := newHost(hostOptions{Key: newKey(t), Listen: []string{loopbackTCP, taken.String()}, Log: quiet})
			checkErr(t, err, "listen on "+taken.String()+": the port is in use: stop the program that has it")
		})
	}
}

func TestRestartKeepsPorts(t *testing.T) {
	listen := []string{loopbackTCP, loopbackQUIC}
	first, _ := loopbackHost(t, hostOptions{Listen: listen})
	before := first.Network().ListenAddresses()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	o := hostOptions{Listen: listen, Before: before, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	second, _ := loopbackHost(t, o)
	if got := second.Network().ListenAddresses(); !sameAddrs(got, before) || log.Len() > 0 {
		t.Errorf("listens on %v, want %v; log %q", got, before, log.String())
	}
	third, _ := loopbackHost(t, o) // while the second has the ports
	got := third.Network().ListenAddresses()
	for _, a := range before {
		if slices.ContainsFunc(got, a.Equal) {
			t.Errorf("two hosts listen on %v", a)
		}
	}
	if len(got) != 2 || strings.Count(log.String(), "level=WARN") != 2 {
		t.Errorf("listens on %v; log %q", got, log.String())
	}
}

func sameAddrs(a, b []ma.Multiaddr) bool {
	order := ma.Multiaddr.Compare
	return slices.EqualFunc(slices.SortedFunc(slices.Values(a), order), slices.SortedFunc(slices.Values(b), order), ma.Multiaddr.Equal)
}

func TestParseListen(t *testing.T) {
	tests := []struct{ name, addr, want string }{
		{"tcp", "/ip4/0.0.0.0/tcp/4001", ""},
		{"quic", "/ip6/::/udp/4001/quic-v1", ""},
		{"junk", "4001", "should look like"},
		{"host and port", "0.0.0.0:4001", "should look like"},
		{"bare udp", "/ip4/0.0.0.0/udp/4001", "cannot listen on ip4/udp"},
		{"name", "/dns4/example.org/tcp/1", "cannot listen on dns4/tcp"},
		{"with peer", "/ip4/0.0.0.0/tcp/1/p2p/12D3KooWEPqtw9tyBSQoFmx3HcWrUnKvqkLPQYhPW3qp44TA3WuH", "cannot listen on ip4/tcp/p2p"},
		{"port too large", "/ip4/0.0.0.0/tcp/65536", "should look like"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseListen([]string{tt.addr}, false)
			checkErr(t, err, tt.want)
		})
	}
	for tcpOnly, want := range map[bool]int{false: 4, true: 2} {
		if got, err := parseListen(nil, tcpOnly); len(got) != want || err != nil {
			t.Errorf("TCP only %v: default is %v, %v", tcpOnly, got, err)
		}
	}
}

func TestForeignListenAddress(t *testing.T) {
	_, _, err := newHost(hostOptions{Key: newKey(t), Listen: []string{"/ip4/198.51.100.77/tcp/0"}, Log: quiet})
	checkErr(t, err, "listen on /ip4/198.51.100.77/tcp/0: ")
}

func TestRankDials(t *testing.T) {
	quicAddr, tcpAddr := ma.StringCast("/ip4/203.0.113.7/udp/1/quic-v1"), ma.StringCast("/ip4/203.0.113.7/tcp/1")
	tests := []struct {
		name  string
		addrs []ma.Multiaddr
		want  map[string]time.Duration
	}{
		{"TCP goes first", []ma.Multiaddr{quicAddr, tcpAddr}, map[string]time.Duration{tcpAddr.String(): 0, quicAddr.String(): quicDelay}},
		{"QUIC alone at once", []ma.Multiaddr{quicAddr}, map[string]time.Duration{quicAddr.String(): 0}},
		{"nothing", nil, map[string]time.Duration{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ranked := rankDials(tt.addrs)
			for _, r := range ranked {
				if want, ok := tt.want[r.Addr.String()]; !ok || r.Delay != want {
					t.Errorf("%s after %v, want %v", r.Addr, r.Delay, want)
				}
			}
			if len(ranked) != len(tt.want) {
				t.Errorf("ranked %v", ranked)
			}
		})
	}
}
