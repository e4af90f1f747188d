package testnet

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"halos/wan"
)

const (
	ms   = time.Millisecond
	mbit = 1_000_000
)

// tunnel returns the shaped end and the far end of a connection without a kernel
// between them, for bubbles of synctest: time is virtual, so it must be exact.
func tunnel(shared *lanes) (near *conn, far net.Conn) {
	a, b := net.Pipe()
	return newConn(a, shared), b
}

// linksOf are links that lose nothing, all alike.
func linksOf(rtt time.Duration, rate int64) wan.Links { return wan.Links{Default: linkOf(rtt, rate)} }

// linkOf is a link that loses nothing.
func linkOf(rtt time.Duration, rate int64) wan.Link { return wan.Link{RTT: rtt, Rate: rate} }

// sleep passes virtual time.
func sleep(d time.Duration) { <-time.After(d) }

// bubble runs f in virtual time and then gives closed connections the time to end;
// a goroutine that outlives it fails the test.
func bubble(t *testing.T, f func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		f(t)
		sleep(time.Minute)
	})
}

// onLink runs f in a bubble over one connection with that link and closes both ends.
func onLink(t *testing.T, link wan.Link, f func(t *testing.T, near *conn, far net.Conn)) {
	bubble(t, func(t *testing.T) {
		near, far := tunnel(newLanes(link, 1))
		f(t, near, far)
		_ = near.Close()
		_ = far.Close()
	})
}

// within fails the test unless the time since start is want, give or take what
// rounding a byte's time to nanoseconds costs.
func within(t *testing.T, what string, start time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(start); (got - want).Abs() > 10*time.Microsecond {
		t.Errorf("%s after %v, want %v", what, got, want)
	}
}

func TestRoundTripTakesRTT(t *testing.T) {
	for _, link := range []wan.Link{linkOf(80*ms, 0), linkOf(80*ms, 100*mbit), linkOf(250*ms, 1000*mbit), linkOf(0, 100*mbit)} {
		onLink(t, link, func(t *testing.T, near *conn, far net.Conn) {
			go func() { _, _ = io.CopyN(far, far, 3) }()
			for range 3 {
				start := time.Now()
				b := []byte{7}
				if _, err := near.Write(b); err != nil {
					t.Fatal(err)
				}
				if n, err := near.Read(b); n != 1 || err != nil || b[0] != 7 {
					t.Fatalf("read %d bytes %v, %v", n, b, err)
				}
				within(t, link.String()+": echo", start, link.RTT)
			}
		})
	}
}

func TestTransferTakesItsSizeByRate(t *testing.T) {
	const size = 4 << 20
	for _, link := range []wan.Link{linkOf(0, 100*mbit), linkOf(80*ms, 100*mbit), linkOf(200*ms, mbit), linkOf(10*ms, 1000*mbit)} {
		want := link.RTT/2 + time.Duration(size*8*int64(time.Second)/link.Rate)
		onLink(t, link, func(t *testing.T, near *conn, far net.Conn) {
			start := time.Now()
			go func() { _, _ = near.Write(make([]byte, size)) }()
			mustRead(t, far, size)
			within(t, link.String()+": up", start, want)

			start = time.Now()
			go func() { _, _ = far.Write(make([]byte, size)) }()
			mustRead(t, near, size)
			within(t, link.String()+": down", start, want)
		})
	}
}

func mustRead(t *testing.T, r io.Reader, n int) {
	t.Helper()
	if _, err := io.CopyN(io.Discard, r, int64(n)); err != nil {
		t.Fatalf("reading %d bytes: %v", n, err)
	}
}

func TestConnectionsShareALaneAndDirectionsDoNot(t *testing.T) {
	const size = 1 << 20
	link := linkOf(40*ms, 100*mbit)
	alone := time.Duration(size * 8 * int64(time.Second) / link.Rate)
	for _, c := range []struct {
		name       string
		oneRegion  bool
		secondDown bool
		want       time.Duration
	}{
		{"two up to one region", true, false, 2*alone + link.RTT/2},
		{"two up to two regions", false, false, alone + link.RTT/2},
		{"one up, one down", true, true, alone + link.RTT/2},
	} {
		bubble(t, func(t *testing.T) {
			first := newLanes(link, 1)
			second := first
			if !c.oneRegion {
				second = newLanes(link, 2)
			}
			near1, far1 := tunnel(first)
			near2, far2 := tunnel(second)
			from, to := net.Conn(near2), far2
			if c.secondDown {
				from, to = to, from
			}
			start := time.Now()
			go func() { _, _ = near1.Write(make([]byte, size)) }()
			go func() { _, _ = from.Write(make([]byte, size)) }()
			done := make(chan struct{})
			go func() { defer close(done); mustRead(t, far1, size) }()
			mustRead(t, to, size)
			<-done
			within(t, c.name, start, c.want)
			for _, conn := range []net.Conn{near1, far1, near2, far2} {
				_ = conn.Close()
			}
		})
	}
}

func TestWriterWaitsWhenTheLinkIsFull(t *testing.T) {
	link := linkOf(80*ms, 100*mbit)
	onLink(t, link, func(t *testing.T, near *conn, far net.Conn) {
		start := time.Now()
		_ = near.SetWriteDeadline(start.Add(time.Second))
		n, err := near.Write(make([]byte, 16<<20))
		within(t, "deadline", start, time.Second)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want a timeout", err)
		}
		if least, most := holds(link), holds(link)+carrySize; n < least || n > most {
			t.Errorf("%d bytes fit, want %d to %d", n, least, most)
		}
		if err := near.SetWriteDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = near.Write([]byte{1}) }()
		mustRead(t, far, n+1)
	})
}

func TestReadDeadline(t *testing.T) {
	onLink(t, linkOf(80*ms, 0), func(t *testing.T, near *conn, far net.Conn) {
		start := time.Now()
		b := make([]byte, 8)
		for _, after := range []time.Duration{50 * ms, 0, -time.Hour} {
			start = time.Now()
			_ = near.SetReadDeadline(start.Add(after))
			_, err := near.Read(b)
			var timeout net.Error
			if !errors.As(err, &timeout) || !timeout.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("deadline %v: got %v, want a timeout", after, err)
			}
			within(t, "timeout", start, max(0, after))
		}
		go func() { sleep(20 * ms); _ = near.SetReadDeadline(time.Now()) }()
		_ = near.SetDeadline(time.Time{})
		start = time.Now()
		if _, err := near.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("pending read: got %v, want a timeout", err)
		}
		within(t, "deadline of a pending read", start, 20*ms)

		_ = near.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = far.Write([]byte("late"))
		if n, err := near.Read(b); string(b[:n]) != "late" || err != nil {
			t.Errorf("after the timeouts: read %q, %v", b[:n], err)
		}
	})
}

func TestCloseUnblocksAndDelivers(t *testing.T) {
	onLink(t, linkOf(80*ms, mbit), func(t *testing.T, near *conn, far net.Conn) {
		_, _ = near.Write([]byte("last words"))
		faults := make(chan error)
		go func() { _, err := near.Read(make([]byte, 1)); faults <- err }()
		synctest.Wait()
		start := time.Now()
		if err := near.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-faults; !errors.Is(err, net.ErrClosed) {
			t.Errorf("pending read: %v, want net.ErrClosed", err)
		}
		_, err := near.Write([]byte{1})
		for what, err := range map[string]error{"write": err, "close": near.Close(), "deadline": near.SetDeadline(time.Time{})} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after close: %v, want net.ErrClosed", what, err)
			}
		}
		within(t, "close", start, 0)
		if got, err := io.ReadAll(far); string(got) != "last words" || err != nil {
			t.Errorf("the other end read %q, %v", got, err)
		}
	})
}

func TestCloseUnblocksAWriteThatFoundNoRoom(t *testing.T) {
	onLink(t, linkOf(0, mbit), func(t *testing.T, near *conn, far net.Conn) {
		go func() { sleep(time.Second); _ = near.Close() }()
		n, err := near.Write(make([]byte, 1<<20))
		if !errors.Is(err, net.ErrClosed) || n == 0 || n == 1<<20 {
			t.Errorf("wrote %d bytes, %v, want a part of them and net.ErrClosed", n, err)
		}
	})
}

// A closed connection whose peer never reads must still end: the bubble fails if
// a goroutine is left.
func TestCloseDoesNotWaitForEver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		near, _ := tunnel(newLanes(linkOf(80*ms, mbit), 1))
		_, _ = near.Write(make([]byte, 100<<10))
		_ = near.Close()
	})
}

func TestEndArrivesBehindTheData(t *testing.T) {
	onLink(t, linkOf(80*ms, mbit), func(t *testing.T, near *conn, far net.Conn) {
		start := time.Now()
		go func() { _, _ = far.Write(make([]byte, 12500)); _ = far.Close() }()
		got, err := io.ReadAll(near)
		if len(got) != 12500 || err != nil {
			t.Errorf("read %d bytes, %v, want 12500 and the end", len(got), err)
		}
		within(t, "end", start, 140*ms)

		start = time.Now()
		if n, err := near.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("read %d bytes, %v behind the end", n, err)
		}
		within(t, "the end again", start, 0)
	})
}

func TestPeerThatResetsFailsWrites(t *testing.T) {
	onLink(t, linkOf(80*ms, 0), func(t *testing.T, near *conn, far net.Conn) {
		_ = far.Close()
		_, _ = near.Write([]byte{1})
		sleep(time.Second)
		if _, err := near.Write([]byte{1}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("got %v, want what the socket said", err)
		}
	})
}
