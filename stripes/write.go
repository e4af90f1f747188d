package stripes

import (
	"net"
	"os"
	"sync"
)

// segment is a piece of a connection over several sockets, as it is sent.
type segment struct {
	b    [headerLen + maxPayload]byte
	from int // what Read has taken
	to   int // the end of the payload
}

var segments = sync.Pool{New: func() any { return new(segment) }}

// Write hands b to the sockets, at once what fits into what they buffer. A short write is one that a deadline
// or the end of the connection has cut off.
func (c *Conn) Write(b []byte) (n int, err error) {
	if c.writeBy.over() {
		return 0, os.ErrDeadlineExceeded
	}
	select {
	case c.writing <- struct{}{}:
		defer func() { <-c.writing }()
	case <-c.writeBy.passed():
		return 0, os.ErrDeadlineExceeded
	case <-c.shut:
		return 0, net.ErrClosed
	case <-c.done:
		return 0, c.why()
	}
	for n < len(b) {
		sent, err := c.hand(b[n:min(n+maxPayload, len(b))])
		n += sent
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// hand gives one segment to the socket that first has room. The caller holds the token of writing.
func (c *Conn) hand(payload []byte) (n int, err error) {
	f := segments.Get().(*segment)
	f.from, f.to = headerLen, headerLen+copy(f.b[headerLen:], payload)
	appendHeader(f.b[:0], c.sent, len(payload))
	select {
	case c.out <- f:
		c.sent++
		return len(payload), nil
	case <-c.writeBy.passed():
		err = os.ErrDeadlineExceeded
	case <-c.shut:
		err = net.ErrClosed
	case <-c.done:
		err = c.why()
	}
	segments.Put(f)
	return 0, err
}

// why is the fault that has ended the connection.
func (c *Conn) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fault
}

// send writes the segments of out to socket until there are no more.
func (c *Conn) send(socket net.Conn, out <-chan *segment) error {
	for {
		select {
		case f := <-out:
			_, err := socket.Write(f.b[:f.to])
			segments.Put(f)
			if err != nil {
				return err
			}
		case <-c.final:
			_, err := socket.Write(appendHeader(nil, c.sent, 0))
			return err
		case <-c.done:
			return nil
		}
	}
}

// CloseWrite ends this direction: the peer reads what was written before, and then io.EOF.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	again := c.mute
	c.mute = true
	c.mu.Unlock()
	if again {
		return net.ErrClosed
	}
	close(c.shut)
	c.writing <- struct{}{} // a Write in progress ends by shut
	close(c.final)
	return nil
}
