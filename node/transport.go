package node

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/tcpreuse"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// tcpTransport is libp2p's transport over TCP on sockets that halos makes: go-libp2p's own has no hook for
// those it accepts, and with another dialler its dials leave the listening port, by which others know the
// node and holes are punched.
type tcpTransport struct {
	*tcp.TcpTransport
	upgrader transport.Upgrader
	sockets  *sockets
}

// newTCP returns the constructor that libp2p calls. dial opens all connections.
func newTCP(s *sockets, dial tcp.ContextDialer) any {
	by := tcp.WithDialerForAddr(func(ma.Multiaddr) (tcp.ContextDialer, error) { return dial, nil })
	return func(u transport.Upgrader, limits network.ResourceManager, shared *tcpreuse.ConnMgr) (*tcpTransport, error) {
		t, err := tcp.NewTCPTransport(u, limits, shared, by)
		return &tcpTransport{TcpTransport: t, upgrader: u, sockets: s}, err
	}
}

// Listen listens at a. Dials that can come from its port do.
func (t *tcpTransport) Listen(a ma.Multiaddr) (transport.Listener, error) {
	l, err := t.sockets.listen(a)
	if err != nil {
		return nil, err
	}
	return t.upgrader.UpgradeGatedMaListener(t, newReception(t.upgrader.GateMaListener(l), t.sockets)), nil
}

// reception hears what diallers say before libp2p does, each in its own time, and hands on connections.
type reception struct {
	transport.GatedMaListener
	sockets *sockets
	ready   chan visitor
	closing <-chan struct{}
	close   func() error // the first call is the one that counts
	inside  sync.WaitGroup
}

// visitor is what the gated listener has accepted, and the resource manager counted.
type visitor struct {
	conn  manet.Conn
	scope network.ConnManagementScope
	err   error
}

func newReception(l transport.GatedMaListener, s *sockets) *reception {
	ctx, cancel := context.WithCancel(context.Background()) // Close ends it
	r := &reception{GatedMaListener: l, sockets: s, ready: make(chan visitor), closing: ctx.Done()}
	r.close = sync.OnceValue(func() error {
		cancel()
		err := l.Close()
		r.inside.Wait()
		return err
	})
	r.inside.Go(func() { r.admit(ctx) })
	return r
}

// admit accepts until the listener is closed. How many are inside the resource manager bounds.
func (r *reception) admit(ctx context.Context) {
	for {
		conn, scope, err := r.GatedMaListener.Accept()
		switch {
		case err == nil:
			r.inside.Go(func() { r.hear(ctx, visitor{conn: conn, scope: scope}) })
		case errors.Is(err, net.ErrClosed) || !r.hand(visitor{err: err}):
			return
		}
	}
}

// hear hands on a visitor who opens a connection. Who joins one is that connection's.
func (r *reception) hear(ctx context.Context, v visitor) {
	socket := v.conn.(*accepted)
	conn, err := r.sockets.receive(ctx, socket, v.scope.Done)
	switch {
	case err != nil:
		r.sockets.log.Debug("no connection", "from", socket.RemoteAddr(), "err", err)
		_ = socket.Close() // it has carried nothing
		v.scope.Done()
	case conn != nil:
		v.conn = conn
		if !r.hand(v) {
			_ = conn.Close() // likewise
			v.scope.Done()
		}
	}
}

// hand hands v to Accept, unless the listener closes before.
func (r *reception) hand(v visitor) bool {
	select {
	case r.ready <- v:
		return true
	case <-r.closing:
		return false
	}
}

// Accept returns the next connection.
func (r *reception) Accept() (manet.Conn, network.ConnManagementScope, error) {
	select {
	case v := <-r.ready:
		return v.conn, v.scope, v.err
	case <-r.closing:
		return nil, nil, net.ErrClosed
	}
}

// Close stops listening and drops those who are still inside.
func (r *reception) Close() error { return r.close() }
