package node

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-reuseport"
)

// near is the round trip below which a link is taken for one within a site: there a lost packet costs little
// time, whatever the congestion control, and nothing is negotiated.
const near = 5 * time.Millisecond

// reusing sets up a socket that may share its port with others of the process.
func (s *sockets) reusing(kind, addr string, c syscall.RawConn) error {
	return errors.Join(reuseport.Control(kind, addr, c), s.tuning.control(kind, addr, c))
}

// DialContext connects to addr, an IP and a port, from the port of a listener where there is one that addr
// can answer to. Over a link that is not near both ends then settle over how many sockets they go.
func (s *sockets) DialContext(ctx context.Context, kind, addr string) (net.Conn, error) {
	c, took, err := s.dial(ctx, kind, addr)
	if err != nil {
		return nil, err
	}
	// Two that punch a hole both dial, so neither would answer a greeting.
	if both, _, _ := network.GetSimultaneousConnect(ctx); both || took < s.near {
		s.keep(c, func() (string, bool) { return congestionOn(c) })
		return c, nil
	}
	return s.greet(ctx, c)
}

// dial connects from the best port. took is the round trip, or more.
func (s *sockets) dial(ctx context.Context, kind, addr string) (c *net.TCPConn, took time.Duration, err error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, 0, err
	}
	d := net.Dialer{Control: s.tuning.control}
	if from := s.portFor(to.Addr()); from != nil {
		d = net.Dialer{Control: s.reusing, LocalAddr: from}
	}
	began := time.Now()
	conn, err := d.DialContext(ctx, kind, addr)
	if d.LocalAddr != nil && isPortTaken(err) {
		d = net.Dialer{Control: s.tuning.control}
		began = time.Now()
		conn, err = d.DialContext(ctx, kind, addr)
	}
	if err != nil {
		return nil, 0, err
	}
	took = time.Since(began)
	c = conn.(*net.TCPConn)
	_ = c.SetLinger(0) // as libp2p does it, see listener.Accept; fails only where the connection has
	return c, took, nil
}

// isPortTaken says whether a dial failed because of the port it came from: another connection between the
// same ends has it, or the address is not this machine's any more.
func isPortTaken(err error) bool {
	const windows = syscall.Errno(10049) // what Windows calls EADDRNOTAVAIL
	return err != nil && (isAddrInUse(err) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, windows))
}

// portFor returns the listener whose port a dial to ip should come from: the one at the address that packets
// to ip leave from, or on loopback where ip is, or on all interfaces. nil is any port.
func (s *sockets) portFor(ip netip.Addr) *net.TCPAddr {
	s.mu.Lock()
	listening := slices.Clone(s.listening)
	s.mu.Unlock()
	var loopback, all *net.TCPAddr
	for _, l := range listening {
		at := l.AddrPort().Addr()
		switch {
		case at.Is4() != ip.Is4():
		case at.IsUnspecified():
			all = l
		case at.IsLoopback():
			loopback = l
		case at == source(ip):
			return l
		}
	}
	if loopback != nil && ip.IsLoopback() {
		return loopback
	}
	return all
}

// source is the address that packets to ip leave from. Connecting a UDP socket looks up the route and sends
// nothing.
func source(ip netip.Addr) netip.Addr {
	c, err := net.Dial("udp", netip.AddrPortFrom(ip, 9).String())
	if err != nil {
		return netip.Addr{} // no route, as the dial will say
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
}
