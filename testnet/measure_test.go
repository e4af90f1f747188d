package testnet

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// The bounds below are hard: nothing may be faster than the link. The upper ones
// leave room for a busy machine; the exact figures are tested in virtual time.
func TestMeasuredRoundTrip(t *testing.T) {
	regions(t, 2)
	const rtt, slack = 60 * ms, 30 * ms
	address := serve(t, "127.0.2.1", func(c net.Conn) { _, _ = io.Copy(c, c) })
	start := time.Now()
	c := dial(t, linkOf(rtt, 100*mbit), address)
	if took := time.Since(start); took < rtt || took > rtt+10*slack {
		t.Errorf("connected after %v, want %v", took, rtt)
	}
	least := time.Hour
	b := make([]byte, 1)
	for range 10 {
		start := time.Now()
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		least = min(least, time.Since(start))
	}
	t.Logf("least round trip %v", least)
	if least < rtt || least > rtt+slack {
		t.Errorf("least round trip %v, want %v to %v", least, rtt, rtt+slack)
	}
}

func TestMeasuredRate(t *testing.T) {
	regions(t, 2)
	const rate, size = 40 * mbit, 4 << 20
	received := make(chan time.Duration, 1)
	address := serve(t, "127.0.2.1", func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		start := time.Now()
		if n, err := io.Copy(io.Discard, c); n != size-1 || err != nil {
			t.Errorf("received %d of %d bytes, %v", n+1, size, err)
		}
		received <- time.Since(start)
		_, _ = c.Write(make([]byte, size))
	})
	c := dial(t, linkOf(20*ms, rate), address)
	if _, err := c.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := c.(*conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	checkRate(t, "up", <-received)
	start := time.Now()
	mustRead(t, c, size)
	checkRate(t, "down", time.Since(start))
}

// checkRate wants 4 MiB at 40 Mbit/s to have taken their time: never less than a tenth
// below it, and no more than a busy machine may add.
func checkRate(t *testing.T, what string, took time.Duration) {
	t.Helper()
	got := float64(4<<20) * 8 / took.Seconds() / mbit
	t.Logf("%s: %.1f Mbit/s", what, got)
	if got < 26 || got > 44 {
		t.Errorf("%s: %.1f Mbit/s, want 40, at most 44 and at least 26", what, got)
	}
}

// Several connections at once, both directions, writes of all sizes: every byte
// arrives, in order.
func TestNothingIsLostOrReordered(t *testing.T) {
	regions(t, 2)
	const conns, size = 3, 3 << 20
	address := serve(t, "127.0.2.1", func(c net.Conn) {
		var head [8]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			t.Errorf("no header: %v", err)
			return
		}
		exchange(t, c, binary.LittleEndian.Uint64(head[:])+1000, binary.LittleEndian.Uint64(head[:]), size)
	})
	d, err := NewDialer("/ip4/127.0.1.1/tcp/0", linksOf(10*ms, 400*mbit), nil)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range uint64(conns) {
		all.Go(func() {
			c, err := d.DialContext(t.Context(), "tcp4", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if _, err := c.Write(binary.LittleEndian.AppendUint64(nil, i)); err != nil {
				t.Error(err)
			}
			exchange(t, c, i, i+1000, size)
		})
	}
	all.Wait()
}

// exchange writes size bytes of stream out while it reads as many, which must be
// those of stream in.
func exchange(t *testing.T, c net.Conn, out, in uint64, size int) {
	sent := make(chan error, 1)
	go func() {
		b, r := stream(out, size), rand.New(rand.NewPCG(out, 1))
		for len(b) > 0 {
			n := min(len(b), 1+r.IntN(1<<r.IntN(19)))
			if _, err := c.Write(b[:n]); err != nil {
				sent <- err
				return
			}
			b = b[n:]
		}
		sent <- nil
	}()
	got := make([]byte, size)
	if n, err := io.ReadFull(c, got); err != nil {
		t.Errorf("stream %d: %d of %d bytes, %v", in, n, size, err)
	} else if want := stream(in, size); !bytes.Equal(got, want) {
		t.Errorf("stream %d: got %x, want %x", in, sha256.Sum256(got), sha256.Sum256(want))
	}
	if err := <-sent; err != nil {
		t.Errorf("stream %d: %v", out, err)
	}
}

func stream(seed uint64, size int) []byte {
	b := make([]byte, size)
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}
