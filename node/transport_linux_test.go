package node

import (
	"net"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/transport"
	ma "github.com/multiformats/go-multiaddr"
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
	b, _ := loopbackHost(t, hostOptions{})
	l, err := tcpOf(t, a).sockets.listen(ma.StringCast(loopbackTCP))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, _, err := tcpOf(t, b).sockets.dial(t.Context(), "tcp4", l.Addr().String())
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
	var dials errgroup.Group
	var conns [2]transport.CapableConn
	for i, from := range []string{"a", "b"} {
		other := hosts[map[string]string{"a": "b", "b": "a"}[from]]
		dials.Go(func() error {
			return n.Do(from, func() (err error) {
				ctx := network.WithSimultaneousConnect(t.Context(), from == "a", "test")
				conns[i], err = tcpOf(t, hosts[from]).Dial(ctx, other.Network().ListenAddresses()[0], other.ID())
				return err
			})
		})
	}
	if err := dials.Wait(); err != nil {
		t.Fatal(err)
	}
	for i, c := range conns {
		if got, want := c.LocalMultiaddr(), conns[1-i].RemoteMultiaddr(); !got.Equal(want) {
			t.Errorf("one end is at %s, the other sees it at %s", got, want)
		}
	}
	for _, c := range conns {
		c.Close()
	}
	for region, h := range hosts {
		if n := len(h.Network().Conns()); n > 0 {
			t.Errorf("%s accepted %d connections: the dials did not meet", region, n)
		}
	}
}
