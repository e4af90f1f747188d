package stripes

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/nettest"
)

// pairs makes n connections over loopback.
func pairs(n int) (here, there []*net.TCPConn, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	for range n {
		a, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return nil, nil, err
		}
		b, err := l.Accept()
		if err != nil {
			return nil, nil, err
		}
		here, there = append(here, a.(*net.TCPConn)), append(there, b.(*net.TCPConn))
	}
	return here, there, nil
}

// over makes a connection over sockets.
func over(sockets []*net.TCPConn, narrow bool) (*Conn, error) {
	c, err := New(sockets[0], narrow, func() {})
	for _, s := range sockets[1:] {
		if err == nil {
			err = c.Add(s, func() {})
		}
	}
	return c, err
}

// ends makes both ends of a connection over n sockets, until the test ends.
func ends(t testing.TB, n int) (a, b *Conn) {
	t.Helper()
	here, there, err := pairs(n)
	if err != nil {
		t.Fatal(err)
	}
	a, err = over(here, false)
	b, err2 := over(there, false)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestIsANetConn(t *testing.T) {
	tests := []struct {
		name    string
		sockets int
		narrow  bool
	}{{"one socket", 1, false}, {"four sockets", 4, false}, {"four, of which one sends", 4, true}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nettest.TestConn(t, func() (a, b net.Conn, stop func(), err error) {
				here, there, err := pairs(tt.sockets)
				if err != nil {
					return nil, nil, nil, err
				}
				a, err = over(here, tt.narrow)
				b, err2 := over(there, tt.narrow)
				return a, b, func() { a.Close(); b.Close() }, errors.Join(err, err2)
			})
		})
	}
}

// Bytes come in order and once, in both directions at a time, while sockets are added, be it to an end that has
// said its last: what the peer sends by them must be read.
func TestBytesKeepTheirOrder(t *testing.T) {
	here, there, err := pairs(8)
	if err != nil {
		t.Fatal(err)
	}
	a, err := over(here[:1], false)
	b, err2 := over(there[:1], false)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	defer b.Close()
	const size = 16 << 20
	var work sync.WaitGroup
	for _, way := range []struct{ from, to *Conn }{{a, b}, {b, a}} {
		sent := make([]byte, size)
		for i := range sent {
			sent[i] = byte(i ^ i>>8 ^ i>>16)
		}
		work.Go(func() {
			rng := rand.New(rand.NewPCG(1, 2))
			for rest := sent; len(rest) > 0; {
				n := min(len(rest), 1+rng.IntN(3*maxPayload))
				if _, err := way.from.Write(rest[:n]); err != nil {
					t.Error(err)
				}
				rest = rest[n:]
			}
			if err := way.from.CloseWrite(); err != nil {
				t.Error(err)
			}
		})
		work.Go(func() {
			if got, err := io.ReadAll(way.to); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d bytes arrived, %v", len(got), err)
			}
		})
	}
	for i := 1; i < len(here); i++ {
		work.Go(func() {
			if err := errors.Join(a.Add(here[i], func() {}), b.Add(there[i], func() {})); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
}

// A peer that has closed its end is read to its last byte.
func TestCloseSendsTheRest(t *testing.T) {
	a, b := ends(t, 4)
	sent := make([]byte, 1<<20)
	go func() {
		a.Write(sent)
		a.Close()
	}()
	if got, err := io.ReadAll(b); len(got) != len(sent) || err != nil {
		t.Errorf("%d of %d bytes, %v", len(got), len(sent), err)
	}
}

// A closed connection that nobody reads gives up after a while.
func TestCloseDoesNotWaitForEver(t *testing.T) {
	here, there, err := pairs(2)
	if err != nil {
		t.Fatal(err)
	}
	var open atomic.Int32
	open.Add(1)
	a, err := New(here[0], false, func() { open.Add(-1) })
	if err != nil {
		t.Fatal(err)
	}
	a.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	if _, err := a.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("all was written: %v", err)
	}
	began := time.Now()
	a.Close()
	if took := time.Since(began); took > lingering/2 {
		t.Errorf("closing takes %v", took)
	}
	waitFor(t, func() bool { return open.Load() == 0 })
	there[0].Close()
}
