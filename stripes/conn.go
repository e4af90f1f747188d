package stripes

import (
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// A reader keeps at most maxEarly segments, 8 MiB, until those before them are there: at 8 MB/s a socket
	// may resend for a second. At first it is firstEarly, so that a stranger who has proven nothing fills
	// little memory; each maxPayload bytes that were wanted let one more be early.
	maxEarly, firstEarly = 512, 32
	// lingering is how long a closed connection goes on sending what was written before.
	lingering = 2 * time.Second
)

// Conn is a connection over TCP sockets. Each segment goes to whichever has room, and the reader puts them into
// order. Sockets can be added at any time. If one breaks, the connection does.
type Conn struct {
	local, remote net.Addr // of the first socket
	narrow        bool     // this end sends by that one only

	// Of the writing half, in write.go.
	writing chan struct{} // holds a token while a Write is in progress, and for ever from CloseWrite on
	sent    uint64        // segments handed to sockets; of whoever has the token
	out     chan *segment // to the socket that has room
	shut    chan struct{} // closed when no Write may begin
	final   chan struct{} // closed when sent does not change any more
	senders sync.WaitGroup
	writeBy deadline

	// Of the reading half, in read.go.
	reading chan struct{} // holds a token while a Read is in progress
	arrived chan struct{} // of capacity 1: something has changed for a Read
	readBy  deadline

	done chan struct{} // closed with all sockets, when there is a fault

	mu      sync.Mutex
	room    *sync.Cond // next, closed or fault have changed
	sockets []*net.TCPConn
	early   [maxEarly]*segment // by seq modulo maxEarly: of those from next on the ones that are here
	next    uint64             // the segment that is read next
	read    uint64             // bytes
	total   uint64             // segments that the peer sends, once it has ended its direction
	ended   bool               // the peer has
	mute    bool               // CloseWrite was called
	closed  bool               // Close was called
	fault   error              // ended both directions
}

// New makes a connection that begins with one socket, as if it was added. An end that is narrow sends by the
// first socket only: one whose congestion control does not need others.
func New(first *net.TCPConn, narrow bool, free func()) (*Conn, error) {
	c := &Conn{
		local: first.LocalAddr(), remote: first.RemoteAddr(), narrow: narrow,
		writing: make(chan struct{}, 1), out: make(chan *segment), shut: make(chan struct{}), final: make(chan struct{}),
		reading: make(chan struct{}, 1), arrived: make(chan struct{}, 1), done: make(chan struct{}),
		writeBy: newDeadline(), readBy: newDeadline(),
	}
	c.room = sync.NewCond(&c.mu)
	return c, c.Add(first, free)
}

// Add lets c use another socket, and close it, and call free when nothing uses it any more. An error leaves the
// socket to the caller. A bound on what the socket may hold unsent must be set before: what waits in a slow
// socket delays all the others.
func (c *Conn) Add(socket *net.TCPConn, free func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sockets) == Max || c.closed || c.fault != nil {
		return fmt.Errorf("connection of %d sockets takes no more", len(c.sockets))
	}
	if err := socket.SetLinger(-1); err != nil { // a close sends what was written
		return err
	}
	out := c.out
	if c.narrow && len(c.sockets) > 0 {
		out = nil // only the end is sent
	}
	c.sockets = append(c.sockets, socket)
	c.senders.Go(func() { c.fail(c.send(socket, out)) })
	go func() {
		c.fail(c.receive(socket))
		<-c.done
		free()
	}()
	return nil
}

// fail ends the connection in both directions for err, if that is one.
func (c *Conn) fail(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault != nil {
		return
	}
	c.fault = err
	close(c.done)
	for _, s := range c.sockets {
		_ = s.Close() // what mattered is sent or lost
	}
	c.changed()
}

// changed wakes those who wait for something under mu, which the caller holds.
func (c *Conn) changed() {
	c.room.Broadcast()
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

// Sockets is how many c goes over, 0 once it is over.
func (c *Conn) Sockets() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.fault != nil {
		return 0
	}
	return len(c.sockets)
}

// LocalAddr is that of the first socket.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is that of the first socket.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets the deadlines of Read and Write.
func (c *Conn) SetDeadline(t time.Time) error {
	c.readBy.set(t)
	c.writeBy.set(t)
	return nil
}

// SetReadDeadline ends Reads at t, also those in progress.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.readBy.set(t)
	return nil
}

// SetWriteDeadline ends Writes at t, also those in progress.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.writeBy.set(t)
	return nil
}

// Close ends Reads and Writes. What was written before goes out for a while longer, and then the sockets are
// closed.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.closed = true
	for _, s := range c.sockets {
		_ = s.SetWriteDeadline(time.Now().Add(lingering)) // fails where there is nothing to send any more
	}
	c.changed()
	c.mu.Unlock()
	_ = c.CloseWrite() // an error says that it was called before
	go func() {
		c.senders.Wait()
		c.fail(net.ErrClosed)
	}()
	return nil
}
