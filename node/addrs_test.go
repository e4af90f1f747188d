package node

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

func TestDialableAddrs(t *testing.T) {
	t.Run("loopback only", func(t *testing.T) {
		h, _ := loopbackHost(t, hostOptions{Listen: []string{loopbackQUIC, loopbackTCP}})
		got := dialableAddrs(h)
		if len(got) != 2 || !strings.HasPrefix(got[0], "/ip4/127.0.0.1/tcp/") || !strings.HasSuffix(got[0], "/p2p/"+h.ID().String()) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("all interfaces", func(t *testing.T) {
		h, _ := loopbackHost(t, hostOptions{Listen: []string{"/ip4/0.0.0.0/tcp/0"}})
		got := dialableAddrs(h)
		other := slices.ContainsFunc(got, func(a string) bool { return !strings.Contains(a, "/127.") })
		for _, a := range got {
			if strings.Contains(a, "/0.0.0.0/") || other && strings.Contains(a, "/127.") {
				t.Errorf("%s in %q", a, got)
			}
		}
		if len(got) == 0 {
			t.Error("no address")
		}
	})
}

func TestAddrRank(t *testing.T) {
	want := []ma.Multiaddr{
		ma.StringCast("/ip4/8.8.8.8/tcp/1"),             // public, an own interface
		ma.StringCast("/ip4/192.168.1.5/tcp/1"),         // leads to the internet
		ma.StringCast("/ip4/192.168.1.5/udp/1/quic-v1"), //
		ma.StringCast("/ip4/10.9.0.1/tcp/1"),            // another interface
		ma.StringCast("/ip6/fd00::1/tcp/1"),             //
		ma.StringCast("/ip4/10.9.0.1/udp/1/quic-v1"),    //
		ma.StringCast("/ip4/9.9.9.9/tcp/1"),             // what the NAT shows
		ma.StringCast("/dns4/node.example.org/udp/1"),   //
	}
	own := want[:6]
	uplink := []net.IP{net.ParseIP("192.168.1.5")}
	for i := range want[1:] {
		if a, b := addrRank(want[i], own, uplink), addrRank(want[i+1], own, uplink); a >= b {
			t.Errorf("%s has rank %d, %s has %d", want[i], a, want[i+1], b)
		}
	}
}

func TestParsePeerAddr(t *testing.T) {
	const id = "12D3KooWEPqtw9tyBSQoFmx3HcWrUnKvqkLPQYhPW3qp44TA3WuH"
	const self = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
	selfID, err := peer.Decode(self)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, addr, want string }{
		{"tcp", "/ip4/203.0.113.7/tcp/4001/p2p/" + id, ""},
		{"quic with a space", " /ip6/2001:db8::1/udp/4001/quic-v1/p2p/" + id, ""},
		{"name", "/dns4/node.example.org/tcp/4001/p2p/" + id, ""},
		{"no peer id", "/ip4/203.0.113.7/tcp/4001", "has no /p2p/ part"},
		{"host and port", "203.0.113.7:4001", "is no multiaddr"},
		{"empty", "", "is no multiaddr"},
		{"bad peer id", "/ip4/203.0.113.7/tcp/4001/p2p/abc", "is no multiaddr"},
		{"peer id alone", "/p2p/" + id, "names a peer but not where"},
		{"all interfaces", "/ip4/0.0.0.0/tcp/4001/p2p/" + id, "means all interfaces"},
		{"own", "/ip4/203.0.113.7/tcp/4001/p2p/" + self, "is this node itself"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parsePeerAddr(tt.addr, selfID)
			checkErr(t, err, tt.want)
			if tt.want == "" && (got.ID.String() != id || len(got.Addrs) != 1) {
				t.Errorf("got %v", got)
			}
			if err != nil && tt.name != "own" && !strings.Contains(err.Error(), peerAddrExample) {
				t.Errorf("no example in %v", err)
			}
		})
	}
}

func TestDialPeer(t *testing.T) {
	a, _ := loopbackHost(t, hostOptions{})
	b, _ := loopbackHost(t, hostOptions{})
	gone, _ := loopbackHost(t, hostOptions{})
	goneInfo := infoOf(gone)
	gone.Close()
	stranger, err := peer.IDFromPrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		to   peer.AddrInfo
		want string
	}{
		{"there", infoOf(b), ""},
		{"nobody listens", goneInfo, "is it running"},
		{"another node answers", peer.AddrInfo{ID: stranger, Addrs: b.Addrs()}, "another node, " + b.ID().String()},
		{"no address", peer.AddrInfo{ID: stranger + "x"}, "no addresses"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := dialPeer(t.Context(), a, tt.to)
			checkErr(t, err, tt.want)
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %v", err)
			}
		})
	}
}
