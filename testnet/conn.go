package testnet

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

const (
	// carrySize is how much moves between a socket and a pipe at once.
	carrySize = 64 << 10
	// lingerTime is how long a closed connection may wait for a peer that does not
	// read, beyond the time that its last bytes need on the link.
	lingerTime = 5 * time.Second
)

// conn is a TCP connection to another region: its bytes pass the lanes of the
// link in both directions, and a goroutine for each carries them between socket
// and pipe. As with a kernel's TCP, Close returns at once and what was written
// before still arrives.
type conn struct {
	socket net.Conn
	up     *pipe // written by Write, read by send
	down   *pipe // written by receive, read by Read
	gate   *gate // between pipes and socket

	closed atomic.Bool
	gone   chan struct{} // closed with it
	users  atomic.Int32  // the owner and send: the last one closes the socket
}

// newConn shapes socket, which it takes over.
func newConn(socket net.Conn, shared *lanes) *conn {
	c := &conn{
		socket: socket, up: newPipe(&shared.up), down: newPipe(&shared.down),
		gate: &shared.gate, gone: make(chan struct{}),
	}
	c.users.Store(2)
	go c.send()
	go c.receive()
	return c
}

// send carries bytes from the pipe to the socket until the pipe ends, then passes
// the end on.
func (c *conn) send() {
	defer c.leave()
	buf := make([]byte, carrySize)
	for {
		n, err := c.up.read(buf)
		if !c.gate.wait(c.gone) {
			return // cut off and closed: the rest is lost
		}
		if err != nil {
			if half, ok := c.socket.(interface{ CloseWrite() error }); ok && !c.closed.Load() {
				_ = half.CloseWrite() // the peer is gone: the next Read says so
			}
			return
		}
		if _, err := c.socket.Write(buf[:n]); err != nil {
			c.up.abort(err)
			return
		}
	}
}

// receive carries bytes from the socket to the pipe until either ends.
func (c *conn) receive() {
	buf := make([]byte, carrySize)
	for {
		n, err := c.socket.Read(buf)
		if !c.gate.wait(c.gone) {
			return
		}
		if n > 0 {
			if _, err := c.down.write(buf[:n]); err != nil {
				return // closed here
			}
		}
		if err != nil {
			c.down.finish(err)
			return
		}
	}
}

// leave closes the socket once its owner and send are both through with it.
func (c *conn) leave() {
	if c.users.Add(-1) == 0 {
		_ = c.socket.Close() // nobody is left to be told
	}
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.down.read(b)
	return n, c.fault("read", err)
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.up.write(b)
	return n, c.fault("write", err)
}

// Close ends both directions: Read and Write return net.ErrClosed from now on,
// pending ones too.
func (c *conn) Close() error {
	if !c.closed.CompareAndSwap(false, true) {
		return c.fault("close", net.ErrClosed)
	}
	close(c.gone)
	c.down.abort(net.ErrClosed)
	c.up.finish(io.EOF)
	_ = c.socket.SetReadDeadline(time.Unix(1, 0))                           // wakes receive; fails only on a closed socket
	_ = c.socket.SetWriteDeadline(time.Now().Add(c.up.left() + lingerTime)) // likewise
	c.leave()
	return nil
}

// CloseWrite ends the way out behind what was written; reading goes on.
func (c *conn) CloseWrite() error {
	if c.closed.Load() {
		return c.fault("close", net.ErrClosed)
	}
	if _, ok := c.socket.(interface{ CloseWrite() error }); !ok {
		return c.fault("close", errors.ErrUnsupported)
	}
	c.up.finish(io.EOF)
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return c.socket.LocalAddr() }
func (c *conn) RemoteAddr() net.Addr { return c.socket.RemoteAddr() }

// SetDeadline sets both deadlines; the zero time is none.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline sets when Read stops waiting, a pending one too.
func (c *conn) SetReadDeadline(t time.Time) error {
	return c.fault("set", c.down.setDeadline(&c.down.readBy, t))
}

// SetWriteDeadline sets when Write stops waiting for room, a pending one too.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if c.closed.Load() {
		return c.fault("set", net.ErrClosed)
	}
	return c.fault("set", c.up.setDeadline(&c.up.writeBy, t))
}

// fault dresses err as package net would, so that callers find net.Error; io.EOF
// and what the socket itself reported stay as they are.
func (c *conn) fault(op string, err error) error {
	var dressed *net.OpError
	if err == nil || err == io.EOF || errors.As(err, &dressed) {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
