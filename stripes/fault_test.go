package stripes

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// Faults of one socket are those of the connection.
func TestBrokenSocket(t *testing.T) {
	tests := []struct {
		name  string
		cause func(s *net.TCPConn) error
	}{
		{"reset", func(s *net.TCPConn) error { return errors.Join(s.SetLinger(0), s.Close()) }},
		{"ended", func(s *net.TCPConn) error { return s.CloseWrite() }},
		{"within a segment", func(s *net.TCPConn) error {
			_, err := s.Write(appendHeader(nil, 0, 100))
			return errors.Join(err, s.CloseWrite())
		}},
		{"too long", func(s *net.TCPConn) error { _, err := s.Write(appendHeader(nil, 0, maxPayload+1)); return err }},
		{"twice", func(s *net.TCPConn) error {
			_, err := s.Write(append(append(appendHeader(nil, 1, 1), 'x'), appendHeader(nil, 1, 1)...))
			return err
		}},
		{"falling", func(s *net.TCPConn) error {
			_, err := s.Write(append(append(appendHeader(nil, 5, 1), 'x'), appendHeader(nil, 4, 1)...))
			return err
		}},
		{"after the end", func(s *net.TCPConn) error {
			_, err := s.Write(append(append(appendHeader(nil, 5, 1), 'x'), appendHeader(nil, 3, 0)...))
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			here, there, err := pairs(3)
			if err != nil {
				t.Fatal(err)
			}
			c, err := over(here, false)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := tt.cause(there[1]); err != nil {
				t.Fatal(err)
			}
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.EOF) {
				t.Errorf("read %d bytes, %v", n, err)
			}
			if _, err := c.Write([]byte("x")); err == nil {
				t.Error("writes go on")
			}
			if err := c.Add(there[2], func() {}); err == nil || c.Sockets() != 0 {
				t.Errorf("%d sockets, and another was taken", c.Sockets())
			}
		})
	}
}

// A stranger who sends what nobody can read yet fills little memory, one who is being read more.
func TestEarlySegmentsAreBounded(t *testing.T) {
	here, there, err := pairs(2)
	if err != nil {
		t.Fatal(err)
	}
	c, err := over(here, false)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		full := make([]byte, maxPayload)
		for seq := uint64(1); ; seq++ { // all but the first
			if _, err := there[1].Write(append(appendHeader(nil, seq, maxPayload), full...)); err != nil {
				return
			}
		}
	}()
	waitFor(t, func() bool { return kept(c) == firstEarly-1 })
	if _, err := there[0].Write(append(appendHeader(nil, 0, 1), 'x')); err != nil {
		t.Fatal(err)
	}
	for left := 200 * maxPayload; left > 0; {
		n, err := c.Read(make([]byte, min(left, maxPayload)))
		if err != nil {
			t.Fatal(err)
		}
		left -= n
	}
	waitFor(t, func() bool { return kept(c) > 200 })
	if n := kept(c); n > firstEarly+200 {
		t.Errorf("%d segments are kept", n)
	}
}

// kept is how many segments wait to be read.
func kept(c *Conn) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.early {
		if s != nil {
			n++
		}
	}
	return n
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	late, poll := time.After(10*time.Second), time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for !done() {
		select {
		case <-poll.C:
		case <-late:
			t.Fatal("waited in vain")
		}
	}
}

// Nothing is left of a connection that is over.
func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	var used atomic.Int32
	for range 20 {
		here, there, err := pairs(4)
		if err != nil {
			t.Fatal(err)
		}
		used.Add(1)
		a, err := New(here[0], false, func() { used.Add(-1) })
		for _, s := range here[1:] {
			used.Add(1)
			err = errors.Join(err, a.Add(s, func() { used.Add(-1) }))
		}
		b, err2 := over(there, false)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		a.Close()
		b.Close()
	}
	waitFor(t, func() bool { return used.Load() == 0 && runtime.NumGoroutine() <= before })
}
