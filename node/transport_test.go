package node

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"halos/stripes"
)

// tcpOf is the transport of a host.
func tcpOf(t *testing.T, h host.Host) *tcpTransport {
	t.Helper()
	tr, ok := h.Network().(*swarm.Swarm).TransportForDialing(ma.StringCast("/ip4/127.0.0.1/tcp/1")).(*tcpTransport)
	if !ok {
		t.Fatal("the host dials by another transport")
	}
	return tr
}

// waitFor polls for what another goroutine or host is to do.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	late, poll := time.After(10*time.Second), time.NewTicker(5*time.Millisecond)
	defer poll.Stop()
	for !done() {
		select {
		case <-poll.C:
		case <-late:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// portOf is the TCP port of an address.
func portOf(t *testing.T, a ma.Multiaddr) string {
	t.Helper()
	port, err := a.ValueForProtocol(ma.P_TCP)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Everybody sees a node at the port that it listens on, however many it has dialled.
func TestDialsShareThePort(t *testing.T) {
	for _, listen := range []string{loopbackTCP, "/ip4/0.0.0.0/tcp/0", "/ip6/::1/tcp/0"} {
		t.Run(listen, func(t *testing.T) {
			a, _ := loopbackHost(t, hostOptions{Listen: []string{listen}})
			want := portOf(t, a.Network().ListenAddresses()[0])
			for range 3 {
				b, _ := loopbackHost(t, hostOptions{Listen: []string{listen}})
				connect(t, a, b)
				waitFor(t, "the connection there", func() bool { return len(b.Network().ConnsToPeer(a.ID())) > 0 })
				for _, c := range b.Network().ConnsToPeer(a.ID()) {
					if got := portOf(t, c.RemoteMultiaddr()); got != want {
						t.Errorf("seen at port %s, listens on %s", got, want)
					}
				}
			}
		})
	}
}

// A second connection between the same ends is not possible: it comes from another port.
func TestDialFromATakenPort(t *testing.T) {
	a, _ := loopbackHost(t, hostOptions{})
	b, _ := loopbackHost(t, hostOptions{})
	at, err := manet.ToNetAddr(b.Network().ListenAddresses()[0])
	if err != nil {
		t.Fatal(err)
	}
	var ports []string
	for range 2 {
		c, err := tcpOf(t, a).sockets.DialContext(t.Context(), "tcp4", at.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, port, _ := net.SplitHostPort(c.LocalAddr().String())
		ports = append(ports, port)
	}
	if listens := portOf(t, a.Network().ListenAddresses()[0]); ports[0] != listens || ports[1] == listens {
		t.Errorf("dials come from ports %v, the listener has %s", ports, listens)
	}
}

func TestPortOfDials(t *testing.T) {
	lo, all := "127.0.0.1:1", "0.0.0.0:2"
	tests := []struct {
		name      string
		listening []string
		to, want  string
	}{
		{"nothing listens", nil, "127.0.0.1", ""},
		{"loopback", []string{lo, all}, "127.0.0.1", lo},
		{"loopback elsewhere", []string{lo, "127.0.0.2:3"}, "127.1.2.3", "127.0.0.2:3"},
		{"loopback reaches no others", []string{lo}, "192.0.2.1", ""},
		{"all interfaces", []string{all}, "192.0.2.1", all},
		{"all interfaces reach loopback", []string{all}, "127.0.0.1", all},
		{"another's address", []string{"192.0.2.7:4"}, "127.0.0.1", ""},
		{"another family", []string{"[::]:5"}, "127.0.0.1", ""},
		{"IPv6", []string{"[::]:5", "[::1]:6", all}, "::1", "[::1]:6"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s sockets
			for _, l := range tt.listening {
				s.listening = append(s.listening, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(l)))
			}
			got := ""
			if l := s.portFor(netip.MustParseAddr(tt.to)); l != nil {
				got = l.String()
			}
			if got != tt.want {
				t.Errorf("dials to %s come from %q, want %q", tt.to, got, tt.want)
			}
		})
	}
}

// A port that nobody listens on any more is not dialled from.
func TestClosedListenerLosesItsDials(t *testing.T) {
	a, _ := loopbackHost(t, hostOptions{})
	s := tcpOf(t, a).sockets
	l, err := s.listen(ma.StringCast(loopbackTCP))
	if err != nil {
		t.Fatal(err)
	}
	before := len(s.listening)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if before != 2 || len(s.listening) != 1 {
		t.Errorf("%d listeners, %d after one is closed", before, len(s.listening))
	}
}

// What is known of connections is as much as there are.
func TestClosedConnectionsAreForgotten(t *testing.T) {
	a, _ := loopbackHost(t, hostOptions{})
	for range 5 {
		b, _ := loopbackHost(t, hostOptions{})
		connect(t, a, b)
		c := a.Network().ConnsToPeer(b.ID())[0]
		if congestionOf(a, c) == "" {
			t.Error("an open connection without a congestion control")
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if got := congestionOf(a, c); got != "" {
			t.Errorf("a closed connection by %s", got)
		}
	}
	if n := len(tcpOf(t, a).sockets.open); n != 1 {
		t.Errorf("%d connections are known, the last one should be", n)
	}
}

// What does not begin as libp2p or halos do is dropped; who says nothing does not keep a host from closing.
func TestStrangersAtTheDoor(t *testing.T) {
	open := stripes.Greeting{Kind: stripes.Open, Sockets: 1}.Append(nil)
	tests := []struct{ name, says string }{
		{"noise", strings.Repeat("GET / HTTP/1.1\r\n", 100)},
		{"joins nothing", string(stripes.Greeting{Kind: stripes.Join, Sockets: 4}.Append(nil))},
		{"another version", strings.Replace(string(open), "halos\x01", "halos\x02", 1)},
		{"a greeting and then noise", string(open) + strings.Repeat("noise", 100)},
	}
	a, _ := loopbackHost(t, hostOptions{})
	at, err := manet.ToNetAddr(a.Network().ListenAddresses()[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("tcp", at.String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, tt.says); err != nil {
				t.Fatal(err)
			}
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Error("the connection is still open")
			}
		})
	}
	silent, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	b, _ := loopbackHost(t, hostOptions{})
	connect(t, b, a) // after the silent one is inside
	began := time.Now()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > greetTimeout/2 {
		t.Errorf("closing takes %v", took)
	}
}

// What the ends of a connection over several sockets say of it, whichever of them wants it.
func TestHostsTalkOverStripes(t *testing.T) {
	tests := []struct {
		name           string
		dialler, other int
		want           string
	}{
		{"the dialler wants it", 4, 1, " x4"},
		{"the listener wants it", 1, 4, " x4"},
		{"both do", 4, 2, " x4"},
		{"neither does", 1, 1, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := loopbackHost(t, hostOptions{Stripes: tt.dialler})
			b, _ := loopbackHost(t, hostOptions{Stripes: tt.other})
			connect(t, a, b)
			echo(t, a, b, make([]byte, 4<<20))
			for _, h := range []host.Host{a, b} {
				c := h.Network().Conns()[0]
				waitFor(t, "all sockets", func() bool { return strings.HasSuffix(congestionOf(h, c), tt.want) })
				if got := congestionOf(h, c); strings.Contains(got, " ") != (tt.want != "") {
					t.Errorf("goes by %q", got)
				}
			}
			if n := len(tcpOf(t, b).sockets.joinable); (n == 1) != (tt.want != "") {
				t.Errorf("%d connections can be joined", n)
			}
			if err := a.Network().ClosePeer(b.ID()); err != nil {
				t.Fatal(err)
			}
			s := tcpOf(t, b).sockets
			waitFor(t, "the end of what can be joined", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return len(s.joinable) == 0
			})
			waitFor(t, "all that was counted to be given back", func() bool { return openConns(t, a)+openConns(t, b) == 0 })
		})
	}
}

// openConns is how many connections the resource manager of h counts.
func openConns(t *testing.T, h host.Host) (n int) {
	t.Helper()
	if err := h.Network().ResourceManager().ViewSystem(func(s network.ResourceScope) error {
		n = s.Stat().NumConnsInbound + s.Stat().NumConnsOutbound
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// A host that punches a hole says nothing that the other end, which dials as well, would have to answer.
func TestNoGreetingThroughAHole(t *testing.T) {
	a, _ := loopbackHost(t, hostOptions{Stripes: 4})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx := network.WithSimultaneousConnect(t.Context(), true, "test")
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := tcpOf(t, a).sockets.DialContext(ctx, "tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, plain := c.(*net.TCPConn); !plain {
		t.Errorf("dialled a %T", c)
	}
}

// Streams leave QUIC for TCP as soon as both are there.
func TestTCPReplacesQUIC(t *testing.T) {
	both := []string{loopbackTCP, loopbackQUIC}
	a, _ := loopbackHost(t, hostOptions{Listen: both})
	b, _ := loopbackHost(t, hostOptions{Listen: both})
	to := infoOf(b)
	to.Addrs = ma.FilterAddrs(to.Addrs, func(x ma.Multiaddr) bool { return has(x, ma.P_UDP) })
	if err := a.Connect(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if c := a.Network().ConnsToPeer(b.ID())[0]; !has(c.RemoteMultiaddr(), ma.P_QUIC_V1) {
		t.Fatalf("connected over %s", c.RemoteMultiaddr())
	}
	at := ma.FilterAddrs(b.Addrs(), func(x ma.Multiaddr) bool { return has(x, ma.P_TCP) })[0]
	c, err := tcpOf(t, a).Dial(t.Context(), at, b.ID()) // of b's swarm, not of a's
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	waitFor(t, "the end of QUIC", func() bool {
		conns := b.Network().ConnsToPeer(a.ID())
		return len(conns) == 1 && has(conns[0].RemoteMultiaddr(), ma.P_TCP)
	})
}
