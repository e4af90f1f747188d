package stripes

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

var (
	errOrder      = errors.New("segments of a socket that do not rise")
	errEndedEarly = errors.New("a socket of the connection has ended early")
)

// Read reads what comes next, as much as is here. Segments that are here are read even after a fault.
func (c *Conn) Read(b []byte) (int, error) {
	if c.readBy.over() {
		return 0, os.ErrDeadlineExceeded
	}
	select {
	case c.reading <- struct{}{}:
		defer func() { <-c.reading }()
	case <-c.readBy.passed():
		return 0, os.ErrDeadlineExceeded
	}
	for {
		if n, err := c.take(b); n > 0 || err != nil || len(b) == 0 {
			return n, err
		}
		select {
		case <-c.arrived:
		case <-c.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// take copies to b what can be read now.
func (c *Conn) take(b []byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	for n < len(b) {
		f := c.early[c.next%maxEarly]
		if f == nil {
			break
		}
		k := copy(b[n:], f.b[f.from:f.to])
		n, f.from = n+k, f.from+k
		c.read += uint64(k)
		if f.from == f.to {
			c.early[c.next%maxEarly] = nil
			c.next++
			c.room.Broadcast()
			segments.Put(f)
		}
	}
	switch {
	case n > 0:
		return n, nil
	case c.ended && c.next == c.total:
		return 0, io.EOF
	}
	return 0, c.fault
}

// receive reads the segments of socket until the peer ends them.
func (c *Conn) receive(socket net.Conn) error {
	r := bufio.NewReader(socket)
	for last, begun := uint64(0), false; ; begun = true {
		seq, length, err := readHeader(r)
		switch {
		case errors.Is(err, io.EOF):
			return errEndedEarly
		case err != nil:
			return err
		case begun && seq <= last:
			return errOrder
		case length == 0:
			return c.end(seq)
		}
		last = seq
		if !c.wait(seq) {
			return nil
		}
		f := segments.Get().(*segment)
		f.from, f.to = headerLen, headerLen+length
		if _, err := io.ReadFull(r, f.b[f.from:f.to]); err != nil {
			return errEndedEarly
		}
		if err := c.put(seq, f); err != nil {
			return err
		}
	}
}

// wait returns when the reader has room for segment seq, or false if the connection is over. The segment that is
// read next always has room, and no socket sends one before it that waits: so somebody can go on.
func (c *Conn) wait(seq uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.fault == nil && !c.closed && seq >= c.next && seq-c.next >= min(maxEarly, firstEarly+c.read/maxPayload) {
		c.room.Wait()
	}
	return c.fault == nil
}

// put keeps segment seq, whose turn wait has awaited, for Read.
func (c *Conn) put(seq uint64, f *segment) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	place := &c.early[seq%maxEarly]
	switch {
	case c.closed:
		segments.Put(f)
		return nil
	case seq < c.next || *place != nil || c.ended && seq >= c.total:
		return fmt.Errorf("segment %d comes twice or after the end", seq)
	}
	*place = f
	if seq == c.next {
		c.changed()
	}
	return nil
}

// end takes note that the peer sends total segments. Each socket says so.
func (c *Conn) end(total uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended && c.total != total || total < c.next {
		return fmt.Errorf("the end is after %d segments, not after %d", total, max(c.total, c.next))
	}
	c.ended, c.total = true, total
	c.changed()
	return nil
}
