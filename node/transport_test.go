package node

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
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
