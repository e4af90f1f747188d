package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// dialableAddrs returns the addresses under which other machines may reach h, with /p2p/ID, best first:
// public ones of an own interface, then the address that leads to the internet, then others of the
// machine, then those a NAT shows to the outside; TCP before QUIC. Loopback comes only if there is
// nothing else, and then this machine alone can dial it.
func dialableAddrs(h host.Host) []string {
	own, _ := h.Network().InterfaceListenAddresses() // none known: all count as foreign
	var addrs, loopback []ma.Multiaddr
	for _, a := range ma.Unique(append(slices.Clone(own), h.Addrs()...)) {
		switch {
		case manet.IsIPUnspecified(a) || manet.IsIP6LinkLocal(a):
		case manet.IsIPLoopback(a):
			loopback = append(loopback, a)
		default:
			addrs = append(addrs, a)
		}
	}
	if len(addrs) == 0 {
		addrs = loopback
	}
	uplink := uplinkIPs()
	rank := func(a ma.Multiaddr) int { return addrRank(a, own, uplink) }
	slices.SortStableFunc(addrs, func(a, b ma.Multiaddr) int { return cmp.Compare(rank(a), rank(b)) })
	full := make([]string, len(addrs))
	for i, a := range addrs {
		full[i] = fmt.Sprintf("%s/p2p/%s", a, h.ID())
	}
	return full
}

// addrRank orders addresses by where they lead, then by transport, then by IP version; lower is better.
func addrRank(a ma.Multiaddr, own []ma.Multiaddr, uplink []net.IP) int {
	const public, up, local, outside = 0, 4, 8, 12
	rank := local
	ip, err := manet.ToIP(a)
	switch {
	case err != nil || !slices.ContainsFunc(own, a.Equal):
		rank = outside
	case manet.IsPublicAddr(a):
		rank = public
	case slices.ContainsFunc(uplink, ip.Equal):
		rank = up
	}
	if _, err := a.ValueForProtocol(ma.P_TCP); err != nil {
		rank += 2
	}
	if ip.To4() == nil {
		rank++
	}
	return rank
}

// uplinkIPs returns the addresses from which this machine would send to the internet. Connecting a UDP
// socket looks up the route and sends nothing.
func uplinkIPs() []net.IP {
	var ips []net.IP
	for _, documentation := range []string{"198.51.100.1:9", "[2001:db8::1]:9"} {
		conn, err := net.Dial("udp", documentation)
		if err != nil {
			continue // no route
		}
		ips = append(ips, conn.LocalAddr().(*net.UDPAddr).IP)
		conn.Close()
	}
	return ips
}

// peerAddrExample is what the errors of parsePeerAddr hold against a bad address.
const peerAddrExample = "/ip4/203.0.113.7/tcp/4001/p2p/12D3KooW..."

// parsePeerAddr parses the address of another node, with its peer id, as dialableAddrs prints it.
func parsePeerAddr(s string, self peer.ID) (peer.AddrInfo, error) {
	fail := func(why string) (peer.AddrInfo, error) {
		return peer.AddrInfo{}, fmt.Errorf("peer address %q %s: it should look like %s, take it from the join line that the other node prints",
			s, why, peerAddrExample)
	}
	a, err := ma.NewMultiaddr(strings.TrimSpace(s))
	if err != nil {
		return fail(fmt.Sprintf("is no multiaddr (%v)", err))
	}
	if _, err := a.ValueForProtocol(ma.P_P2P); err != nil {
		return fail("has no /p2p/ part, the peer id by which the other node proves who it is")
	}
	info, err := peer.AddrInfoFromP2pAddr(a)
	switch {
	case err != nil:
		return fail(fmt.Sprintf("cannot be used (%v)", err))
	case len(info.Addrs) == 0:
		return fail("names a peer but not where it is")
	case manet.IsIPUnspecified(info.Addrs[0]):
		return fail("means all interfaces of a machine, which nobody can dial")
	case info.ID == self:
		return peer.AddrInfo{}, fmt.Errorf("peer address %q is this node itself: give the address of another one, or another --dir if both run here", s)
	}
	return *info, nil
}

// dialPeer connects to a peer, or says in one line why it could not.
func dialPeer(ctx context.Context, h host.Host, p peer.AddrInfo) error {
	err := h.Connect(ctx, p)
	if err == nil {
		return nil
	}
	var mismatch sec.ErrPeerIDMismatch
	if errors.As(err, &mismatch) {
		return fmt.Errorf("peer %s: another node, %s, answers at its address: ask for a fresh join line", p.ID, mismatch.Actual)
	}
	var dial *swarm.DialError
	if !errors.As(err, &dial) || len(dial.DialErrors) == 0 {
		return fmt.Errorf("peer %s: %w", p.ID, err)
	}
	var causes []string
	for _, e := range dial.DialErrors {
		causes = append(causes, fmt.Sprintf("%s: %v", e.Address, e.Cause))
	}
	return fmt.Errorf("peer %s cannot be reached (%s): is it running, and is the port open?", p.ID, strings.Join(causes, "; "))
}
