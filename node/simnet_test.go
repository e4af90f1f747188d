package node

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/config"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/marcopolo/simnet"
)

const (
	simPort  = 4001
	lanDelay = 200 * time.Microsecond // inside a region, one way
	fastLink = 1_000_000_000          // bits per second
)

// simNet is an internet in the virtual time of a synctest bubble. Its hosts are real and speak QUIC, which runs on
// simnet. What simnet lacks is in their sockets: packets get lost as a seed decides, and ways are cut.
type simNet struct {
	simnet.Simnet
	weather simWeather
	seed    uint64
	hosts   byte

	mu       sync.Mutex
	ways     map[simWay]*simFate
	managers []*quicreuse.ConnManager
}

// simWeather is what packets meet.
type simWeather struct {
	delay time.Duration // between regions, one way
	loss  float64       // share of the packets between regions that is lost
	rate  int           // of the links of hosts from now on, in bits per second, up and down alike
}

// simWay is one direction between two hosts.
type simWay struct{ from, to netip.Addr }

// simFate is what becomes of the packets on a way.
type simFate struct {
	rng  *rand.Rand
	cut  bool
	sent int   // packets so far, whatever became of them
	size int   // of these in bytes
	lost []int // those that the seed lost, by their number on this way
}

// newSimNet makes a network until the test ends, which is one in a bubble.
func newSimNet(t *testing.T, w simWeather, seed uint64) *simNet {
	t.Helper()
	n := &simNet{weather: w, seed: seed, ways: map[simWay]*simFate{}}
	n.Logger = slog.New(slog.DiscardHandler) // simnet names each packet to a host that has ended
	n.LatencyFunc = func(p *simnet.Packet) time.Duration {
		if (simWay{addrOf(p.From), addrOf(p.To)}).near() {
			return lanDelay
		}
		return n.weather.delay
	}
	n.Start()
	t.Cleanup(func() {
		for _, m := range n.managers {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
		n.Close()
	})
	return n
}

// host is the address of one more host in a region.
func (n *simNet) host(region byte) netip.Addr {
	n.hosts++
	return netip.AddrFrom4([4]byte{1, 0, region, n.hosts})
}

// near reports that a way does not leave its region.
func (w simWay) near() bool { return w.from.As4()[2] == w.to.As4()[2] }

func addrOf(a net.Addr) netip.Addr { return a.(*net.UDPAddr).AddrPort().Addr().Unmap() }

// options put a libp2p host on the network, at address ip.
func (n *simNet) options(ip netip.Addr) []libp2p.Option {
	listen := func(_ string, a *net.UDPAddr) (net.PacketConn, error) {
		link := simnet.LinkSettings{BitsPerSecond: n.weather.rate}
		return simConn{n.NewEndpoint(a, simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}), n, ip}, nil
	}
	source := func() (quicreuse.SourceIPSelector, error) { return simSource(ip.AsSlice()), nil }
	keep := func(m *quicreuse.ConnManager) error { // a host does not close one that it was given
		n.managers = append(n.managers, m)
		return nil
	}
	return []libp2p.Option{
		libp2p.QUICReuse(quicreuse.NewConnManager,
			quicreuse.OverrideListenUDP(listen), quicreuse.OverrideSourceIPSelector(source), keep),
		libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", ip, simPort)),
		libp2p.DisableIdentifyAddressDiscovery(), // virtual time would stand still
		func(c *config.Config) error {
			c.NATManager = nil // it would look for a real router
			return nil
		},
	}
}

// simSource is the address that a host sends from, whatever the destination.
type simSource net.IP

// PreferredSourceIPForDestination returns s.
func (s simSource) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) {
	return net.IP(s), nil
}

// simConn is the socket of a host.
type simConn struct {
	*simnet.SimConn
	net *simNet
	ip  netip.Addr
}

// WriteTo sends a packet, unless it gets lost.
func (c simConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if c.net.loses(simWay{c.ip, addrOf(to)}, len(b)) {
		return len(b), nil
	}
	return c.SimConn.WriteTo(b, to)
}

// ReadFrom waits for a packet. Those that were on their way when it was cut are lost.
func (c simConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		size, from, err := c.SimConn.ReadFrom(b)
		if err != nil || !c.net.isCut(simWay{addrOf(from), c.ip}) {
			return size, from, err
		}
	}
}

// loses decides over the next packet on a way, of so many bytes. The seed does so packet by packet, so that two runs with one seed lose
// the same ones, however many there are and however long a way is cut.
func (n *simNet) loses(w simWay, size int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.fate(w)
	lost := f.rng.Float64() < n.weather.loss && !w.near()
	if lost {
		f.lost = append(f.lost, f.sent)
	}
	f.sent++
	f.size += size
	return lost || f.cut
}

// isCut reports that nothing passes on a way.
func (n *simNet) isCut(w simWay) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fate(w).cut
}

// fate is that of a way. The caller holds n.mu.
func (n *simNet) fate(w simWay) *simFate {
	f := n.ways[w]
	if f == nil {
		from, to := w.from.As4(), w.to.As4()
		way := binary.BigEndian.Uint64(append(from[:], to[:]...))
		f = &simFate{rng: rand.New(rand.NewPCG(n.seed, way))}
		n.ways[w] = f
	}
	return f
}

// silence drops whatever one host sends to the other, until it is lifted.
func (n *simNet) silence(from, to netip.Addr, on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fate(simWay{from, to}).cut = on
}

// part drops whatever passes between two hosts, until they are joined again.
func (n *simNet) part(a, b netip.Addr) { n.silence(a, b, true); n.silence(b, a, true) }
func (n *simNet) join(a, b netip.Addr) { n.silence(a, b, false); n.silence(b, a, false) }

// fates tells what has become of all packets so far.
func (n *simNet) fates() map[simWay]simFate {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make(map[simWay]simFate, len(n.ways))
	for w, f := range n.ways {
		all[w] = simFate{sent: f.sent, size: f.size, lost: slices.Clone(f.lost)}
	}
	return all
}
