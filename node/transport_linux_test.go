package node

import (
	"net"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/transport"
	manet "github.com/multiformats/go-multiaddr/net"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Both the socket that dials and the one that is accepted go by what the hosts choose, not by what the kernel
// gives to those who choose nothing, and each end sees the other at the port it listens on.
func TestBothEndsChoose(t *testing.T) {
	const tcp = "/ip4/%s/tcp/0"
	if err := tryCongestion(lossProof); err != nil {
		t.Skipf("%s: %v", lossProof, err)
	}
	tests := []struct {
		name       string
		near, far  siteOptions
		here, then string // congestion control at either end
	}{
		{"best there is", siteOptions{Listen: []string{tcp}}, siteOptions{Listen: []string{tcp}}, "bbr", "bbr"},
		{"by name", siteOptions{[]string{tcp}, "bbr", 1}, siteOptions{[]string{tcp}, "reno", 1}, "bbr", "reno"},
		{"the dialler has none", siteOptions{[]string{tcp}, "reno", 4}, siteOptions{Listen: []string{tcp}}, "reno x4", "bbr x4"},
		{"the listener has none", siteOptions{Listen: []string{tcp}}, siteOptions{[]string{tcp}, "reno", 4}, "bbr x4", "reno x4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := sites(t, "0/20ms", "reno")
			from, to := newSite(t, n, "a", tt.near), newSite(t, n, "b", tt.far)
			peer, self := to.addr(), from.addr()
			from.do(siteOrder{Do: "connect", Peer: peer})
			waitFor(t, "all sockets", func() bool {
				return strings.Contains(from.do(siteOrder{Do: "facts"}).Conns[0].Congestion, tt.here) &&
					strings.Contains(to.do(siteOrder{Do: "facts"}).Conns[0].Congestion, tt.then)
			})
			if seen := to.do(siteOrder{Do: "facts"}).Conns[0].Remote; !strings.HasPrefix(self, seen+"/") {
				t.Errorf("seen at %s, listens on %s", seen, self)
			}
			from.do(siteOrder{Do: "echo", Peer: peer, Times: 3})
		})
	}
}

// An accepted socket bounds what it holds unsent as a dialled one does.
func TestUnsentIsBounded(t *testing.T) {
	a, _ := loopbackHost(t, hostOptions{})
	s := tcpOf(t, a).sockets
	l, err := s.listen(a.Network().ListenAddresses()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, _, err := s.dial(t.Context(), "tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer dialled.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, socket := range map[string]*net.TCPConn{"dialled": dialled, "accepted": c.(*accepted).TCPConn} {
		raw, err := socket.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT); got != unsent || err != nil {
				t.Errorf("%s: %d bytes, %v", name, got, err)
			}
		})
	}
}

// Two that dial each other at once from the ports they listen on meet in the middle, as they must to punch a
// hole, and one of them is the server of the handshake.
func TestSimultaneousConnect(t *testing.T) {
	n := sites(t, "0/200ms", "reno")
	hosts := make(map[string]host.Host)
	for _, region := range []string{"a", "b"} {
		if err := n.Do(region, func() error {
			hosts[region], _ = loopbackHost(t, hostOptions{Listen: []string{"/ip4/" + n.Addr(region).String() + "/tcp/0"}})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	conns := make(map[string]transport.CapableConn)
	var dials errgroup.Group
	for from, to := range map[string]string{"a": "b", "b": "a"} {
		tr, other := tcpOf(t, hosts[from]), hosts[to]
		conns[from] = nil
		dials.Go(func() error {
			return n.Do(from, func() error {
				ctx := network.WithSimultaneousConnect(t.Context(), from == "a", "test")
				c, err := tr.Dial(ctx, other.Network().ListenAddresses()[0], other.ID())
				if err == nil {
					defer c.Close()
				}
				return err
			})
		})
	}
	if err := dials.Wait(); err != nil {
		t.Fatal(err)
	}
	_ = manet.Conn(nil)
	for region, h := range hosts {
		if n := len(h.Network().Conns()); n > 0 {
			t.Errorf("%s accepted %d connections: the dials did not meet", region, n)
		}
	}
}
