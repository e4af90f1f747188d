package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"halos/stripes"
)

// keepAlive is libp2p's, for sockets over which nothing comes.
const keepAlive = 30 * time.Second

// sockets makes the TCP sockets of a host, which have its tuning and share its ports, and knows those that
// are open.
type sockets struct {
	tuning tuning
	spread int           // sockets that this side wants a connection over a link that is not near to have
	near   time.Duration // round trips below it are those of a site
	limits network.ResourceManager
	log    *slog.Logger

	mu        sync.Mutex
	listening []*net.TCPAddr
	open      map[ends]func() (congestion string, ok bool) // not ok: closed
	joinable  map[[16]byte]*stripes.Conn                   // accepted ones, by id
}

// ends tell the connections of a host apart.
type ends struct{ local, remote netip.AddrPort }

// newSockets settles by what o's host sends. Through o.DialTCP that matters little, and nothing is said.
func newSockets(o hostOptions, limits network.ResourceManager) (*sockets, error) {
	log := o.Log
	if o.DialTCP != nil {
		log = slog.New(slog.DiscardHandler)
	}
	control, err := chooseCongestion(o.Congestion, log)
	if err != nil {
		return nil, err
	}
	s := &sockets{
		tuning: tuning{control, unsent}, spread: o.Stripes, limits: limits, log: o.Log,
		open: make(map[ends]func() (string, bool)), joinable: make(map[[16]byte]*stripes.Conn),
	}
	if o.Stripes == 0 {
		s.spread, s.near = 1, near
		if control == "" {
			s.spread = manySockets
		}
	}
	return s, stripes.Check(s.spread)
}

// listener makes accepted sockets of those of a net.Listener.
type listener struct {
	*net.TCPListener
	addr    ma.Multiaddr
	sockets *sockets
}

// accepted is a socket with the names that libp2p has for its ends.
type accepted struct {
	*net.TCPConn
	names
}

// labelled is a connection with them.
type labelled struct {
	net.Conn
	names
}

// names are what libp2p calls the ends of a connection.
type names struct{ local, remote ma.Multiaddr }

// LocalMultiaddr is this end.
func (n names) LocalMultiaddr() ma.Multiaddr { return n.local }

// RemoteMultiaddr is the other end.
func (n names) RemoteMultiaddr() ma.Multiaddr { return n.remote }

// listen listens at a. Its port is that of dials, too, until the listener is closed.
func (s *sockets) listen(a ma.Multiaddr) (manet.Listener, error) {
	kind, addr, err := manet.DialArgs(a)
	if err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: s.reusing, KeepAlive: keepAlive}
	config.SetMultipathTCP(false) // Go's default, whose accepted sockets do not have the listener's unsent
	l, err := config.Listen(context.Background(), kind, addr)
	if err != nil {
		return nil, err
	}
	at, err := manet.FromNetAddr(l.Addr())
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listening = append(s.listening, l.Addr().(*net.TCPAddr))
	return &listener{TCPListener: l.(*net.TCPListener), addr: at, sockets: s}, nil
}

// Multiaddr is where l listens.
func (l *listener) Multiaddr() ma.Multiaddr { return l.addr }

// Accept returns the next socket, set up as libp2p does it: a close is a reset, which leaves the port free
// for the next dial between the same ends.
func (l *listener) Accept() (manet.Conn, error) {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		local, here := manet.FromNetAddr(c.LocalAddr())
		remote, there := manet.FromNetAddr(c.RemoteAddr())
		if errors.Join(here, there, c.SetLinger(0)) == nil {
			return &accepted{c, names{local, remote}}, nil
		}
		_ = c.Close() // whoever it was is gone already
	}
}

// Close stops listening.
func (l *listener) Close() error {
	l.sockets.mu.Lock()
	l.sockets.listening = slices.DeleteFunc(l.sockets.listening, func(a *net.TCPAddr) bool { return a == l.Addr() })
	l.sockets.mu.Unlock()
	return l.TCPListener.Close()
}

// keep knows a connection for as long as it is open, by what says how it is congested.
func (s *sockets) keep(c net.Conn, congestion func() (string, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e, of := range s.open {
		if _, ok := of(); !ok {
			delete(s.open, e)
		}
	}
	s.open[endsOf(c.LocalAddr(), c.RemoteAddr())] = congestion
}

// congestionOf names the congestion control of a connection of h and, where it is spread over several
// sockets, how many: "bbr", "cubic x16". "" is a connection through hostOptions.DialTCP.
func congestionOf(h host.Host, c network.Conn) string {
	remote := c.RemoteMultiaddr()
	if has(remote, ma.P_UDP) {
		return "reno" // all that quic-go has
	}
	local, here := manet.ToNetAddr(c.LocalMultiaddr())
	there, err := manet.ToNetAddr(remote)
	t, ours := h.Network().(*swarm.Swarm).TransportForDialing(remote).(*tcpTransport)
	if here != nil || err != nil || !ours {
		return ""
	}
	s := t.sockets
	s.mu.Lock()
	defer s.mu.Unlock()
	if of := s.open[endsOf(local, there)]; of != nil {
		name, _ := of()
		return name
	}
	return ""
}

// endsOf names the ends of a TCP connection.
func endsOf(local, remote net.Addr) ends {
	plain := func(a net.Addr) netip.AddrPort {
		p := a.(*net.TCPAddr).AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port())
	}
	return ends{plain(local), plain(remote)}
}
