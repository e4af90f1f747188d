package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	manet "github.com/multiformats/go-multiaddr/net"

	"halos/stripes"
)

const (
	// greetTimeout is what a dialler has to say its first bytes, and its further sockets to join.
	greetTimeout = 10 * time.Second
	// manySockets is what a connection goes over whose sockets take each lost packet for a full link.
	manySockets = 16
	// stripeUnsent is unsent for each of many sockets, of which the slowest delays what the others have sent.
	stripeUnsent = 16 << 10
)

// greet settles with the listener at the other end of c over how many sockets the connection goes, which takes
// a round trip, within ctx. If it goes over several, the others join while it is in use. If greet fails it has
// closed c.
func (s *sockets) greet(ctx context.Context, c *net.TCPConn) (_ net.Conn, err error) {
	defer func() {
		if err != nil {
			_ = c.Close() // it has carried nothing
		}
	}()
	g := stripes.Greeting{Kind: stripes.Open, Sockets: s.spread}
	if _, err := rand.Read(g.ID[:]); err != nil {
		return nil, err
	}
	if g.Sockets, err = ask(ctx, c, g); err != nil {
		return nil, fmt.Errorf("greeting %s: %w", c.RemoteAddr(), err)
	}
	if g.Sockets == 1 {
		s.keep(c, func() (string, bool) { return congestionOn(c) })
		return c, nil
	}
	conn, err := s.striped(c, func() {})
	if err != nil {
		return nil, err
	}
	g.Kind = stripes.Join
	for range g.Sockets - 1 {
		go func() { // ends within greetTimeout
			if err := s.join(conn, g); err != nil {
				s.log.Debug("a connection goes over fewer sockets", "to", conn.RemoteAddr(), "err", err)
			}
		}()
	}
	return conn, nil
}

// ask sends a greeting and returns the number of sockets that the listener answers.
func ask(ctx context.Context, c *net.TCPConn, g stripes.Greeting) (int, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	var answer [1]byte
	_, err := c.Write(g.Append(nil))
	if err == nil {
		_, err = io.ReadFull(c, answer[:])
	}
	if !stop() {
		return 0, ctx.Err()
	}
	if err != nil {
		return 0, err
	}
	return int(answer[0]), stripes.Check(int(answer[0]))
}

// ofMany is the tuning of a socket that is one of many.
func (s *sockets) ofMany() tuning {
	t := s.tuning
	if t.congestion != lossProof { // else the first alone sends
		t.unsent = stripeUnsent
	}
	return t
}

// striped makes a connection over several sockets that begins with c.
func (s *sockets) striped(c *net.TCPConn, free func()) (*stripes.Conn, error) {
	if err := s.ofMany().of(c); err != nil {
		return nil, err
	}
	conn, err := stripes.New(c, s.tuning.congestion == lossProof, free)
	if err == nil {
		s.keep(c, func() (string, bool) {
			name, _ := congestionOn(c)
			n := conn.Sockets()
			return fmt.Sprintf("%s x%d", name, n), n > 0
		})
	}
	return conn, err
}

// join opens another socket for conn.
func (s *sockets) join(conn *stripes.Conn, g stripes.Greeting) error {
	to, err := manet.FromNetAddr(conn.RemoteAddr())
	if err != nil {
		return err
	}
	scope, err := s.limits.OpenConnection(network.DirOutbound, true, to)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), greetTimeout) // past the dial, which has its own
	defer cancel()
	d := net.Dialer{Control: s.ofMany().control}
	c, err := d.DialContext(ctx, "tcp", conn.RemoteAddr().String())
	if err != nil {
		scope.Done()
		return err
	}
	socket := c.(*net.TCPConn)
	if _, err = ask(ctx, socket, g); err == nil {
		err = conn.Add(socket, scope.Done)
	}
	if err != nil {
		_ = socket.Close() // it has carried nothing
		scope.Done()
	}
	return err
}

// receive hears what the dialler of c says first. It returns the connection that this opens, or nil where c
// joins one, which then calls free when it has closed c.
func (s *sockets) receive(ctx context.Context, c *accepted, free func()) (manet.Conn, error) {
	_ = c.SetDeadline(time.Now().Add(greetTimeout)) // fails on a broken socket, as what follows
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	said, err := firstWords(c)
	if !stop() {
		return nil, ctx.Err()
	}
	if err := errors.Join(err, c.SetDeadline(time.Time{})); err != nil {
		return nil, err
	}
	if len(said) < stripes.GreetingLen {
		s.keep(c, func() (string, bool) { return congestionOn(c.TCPConn) })
		return &labelled{&begun{c, said}, c.names}, nil
	}
	g, err := stripes.ParseGreeting(said)
	switch {
	case err != nil:
		return nil, err
	case g.Kind == stripes.Join:
		return nil, s.joined(g, c, free)
	}
	return s.answer(g, c)
}

// firstWords reads a greeting, or no more of what is none than its first byte.
func firstWords(c net.Conn) ([]byte, error) {
	b := make([]byte, stripes.GreetingLen)
	_, err := io.ReadFull(c, b[:1])
	if err != nil || b[0] != stripes.First {
		return b[:1], err
	}
	_, err = io.ReadFull(c, b[1:])
	return b, err
}

// answer opens the connection that g asks for.
func (s *sockets) answer(g stripes.Greeting, c *accepted) (manet.Conn, error) {
	n := max(g.Sockets, s.spread)
	var conn manet.Conn = c
	if n == 1 {
		s.keep(c, func() (string, bool) { return congestionOn(c.TCPConn) })
	} else {
		spread, err := s.opened(g.ID, c)
		if err != nil {
			return nil, err
		}
		conn = &labelled{spread, c.names}
	}
	_, err := c.Write([]byte{byte(n)})
	return conn, err
}

// opened makes a connection that others can join as soon as it is answered.
func (s *sockets) opened(id [16]byte, c *accepted) (*stripes.Conn, error) {
	conn, err := s.striped(c.TCPConn, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.joinable, id)
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joinable[id] = conn // one of an id that is taken loses those that are still to join
	return conn, nil
}

// joined gives c to the connection that it joins. The dialler uses c from the answer on.
func (s *sockets) joined(g stripes.Greeting, c *accepted, free func()) error {
	s.mu.Lock()
	conn := s.joinable[g.ID]
	s.mu.Unlock()
	if conn == nil {
		return errors.New("no connection of this id to join")
	}
	if err := s.ofMany().of(c.TCPConn); err != nil {
		return err
	}
	if _, err := c.Write([]byte{byte(g.Sockets)}); err != nil {
		return err
	}
	return conn.Add(c.TCPConn, free)
}

// begun is a connection of which said has been read.
type begun struct {
	net.Conn
	said []byte
}

// Read reads what was said before what comes.
func (c *begun) Read(b []byte) (int, error) {
	if len(c.said) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.said)
	c.said = c.said[n:]
	return n, nil
}
