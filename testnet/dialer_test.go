package testnet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// regions skips a test where the system has 127.0.0.1 only.
func regions(t *testing.T, n int) {
	t.Helper()
	if !hasRegionHosts(n) {
		t.Skipf("this system does not answer for 127.0.%d.1", n)
	}
}

// serve accepts connections at host and hands each to f, until the test ends.
func serve(t *testing.T, host string, f func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp4", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { defer c.Close(); f(c) })
		}
	})
	return l.Addr().String()
}

func dial(t *testing.T, link Link, address string) net.Conn {
	t.Helper()
	d, err := NewDialer("/ip4/127.0.1.1/tcp/0", link, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.DialContext(t.Context(), "tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// The bounds below are hard: nothing may be faster than the link. The upper ones
// leave room for a busy machine; the exact figures are tested in virtual time.
func TestMeasuredRoundTrip(t *testing.T) {
	regions(t, 2)
	const rtt, slack = 60 * ms, 30 * ms
	address := serve(t, "127.0.2.1", func(c net.Conn) { _, _ = io.Copy(c, c) })
	start := time.Now()
	c := dial(t, Link{rtt, 100 * mbit}, address)
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
	c := dial(t, Link{20 * ms, rate}, address)
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

// checkRate wants 4 MiB at 40 Mbit/s to have taken their time within 10 %.
func checkRate(t *testing.T, what string, took time.Duration) {
	t.Helper()
	got := float64(4<<20) * 8 / took.Seconds() / mbit
	t.Logf("%s: %.1f Mbit/s", what, got)
	if got < 36 || got > 44 {
		t.Errorf("%s: %.1f Mbit/s, want 40 within 10 %%", what, got)
	}
}

func TestLocalConnectionsAreNotShaped(t *testing.T) {
	regions(t, 2)
	address := serve(t, "127.0.1.1", func(c net.Conn) { _, _ = io.Copy(c, c) })
	if c := dial(t, Link{time.Second, mbit}, address); !isTCP(c) {
		t.Errorf("within a region: %T, want the kernel's own connection", c)
	}
	address = serve(t, "127.0.2.1", func(c net.Conn) { _, _ = io.Copy(c, c) })
	if c := dial(t, Link{ms, mbit}, address); isTCP(c) {
		t.Errorf("between regions: %T, want a shaped one", c)
	}
}

func isTCP(c net.Conn) bool { _, ok := c.(*net.TCPConn); return ok }

func TestAcceptorSeesTheDiallersRegion(t *testing.T) {
	regions(t, 2)
	from := make(chan string, 1)
	address := serve(t, "127.0.2.1", func(c net.Conn) { from <- c.RemoteAddr().String() })
	c := dial(t, Link{ms, 0}, address)
	if got := <-from; got != c.LocalAddr().String() || !strings.HasPrefix(got, "127.0.1.1:") {
		t.Errorf("accepted from %s, dialled from %v, want 127.0.1.1", got, c.LocalAddr())
	}
	if got := c.RemoteAddr().String(); got != address {
		t.Errorf("connected to %s, want %s", got, address)
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
	d, err := NewDialer("/ip4/127.0.1.1/tcp/0", Link{10 * ms, 400 * mbit}, nil)
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

func TestDialRefuses(t *testing.T) {
	regions(t, 2)
	d, err := NewDialer("/ip4/127.0.1.1/tcp/0", Link{500 * ms, 0}, nil)
	if err != nil {
		t.Fatal(err)
	}
	gone := serve(t, "127.0.2.1", func(net.Conn) {})
	for _, c := range []struct{ network, address, fault string }{
		{"tcp", "192.0.2.7:4001", "192.0.2.7:4001 is in no region of this testnet"},
		{"tcp", "127.0.0.1:4001", "is in no region"},
		{"tcp", "127.0.201.1:4001", "is in no region"},
		{"tcp", "127.1.1.1:4001", "is in no region"},
		{"tcp6", "[::1]:4001", "is in no region"},
		{"tcp", "localhost:4001", "localhost:4001"},
		{"udp", "127.0.2.1:4001", "carry tcp only"},
	} {
		if conn, err := d.DialContext(t.Context(), c.network, c.address); err == nil || !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s %s: got %v, %v, want %q", c.network, c.address, conn, err, c.fault)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*ms)
	defer cancel()
	if _, err := d.DialContext(ctx, "tcp", gone); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dial that takes longer than its context: %v", err)
	}
}

func TestNewDialerRefuses(t *testing.T) {
	for _, c := range []struct {
		listen string
		link   Link
		ports  Ports
		fault  string
	}{
		{"/ip4/127.0.1.1/tcp/0", Link{RTT: -1}, nil, "rtt -1ns"},
		{"127.0.1.1:0", Link{}, nil, "must be like /ip4/127.0.1.1/tcp/0"},
		{"/ip4/127.0.1.1/udp/0/quic-v1", Link{}, nil, "must be like"},
		{"/ip4/0.0.0.0/tcp/0", Link{}, nil, "is in no region"},
		{"/ip4/127.0.0.1/tcp/5", Link{}, Ports{4: 1}, "127.0.0.1:5 is no port of this testnet"},
	} {
		if _, err := NewDialer(c.listen, c.link, c.ports); err == nil || !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s %v: got %v, want %q", c.listen, c.link, err, c.fault)
		}
	}
}

func TestPortsTellTheRegion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ports")
	want := Ports{4001: 1, 4002: 1, 65535: 200}
	if err := want.write(path); err != nil {
		t.Fatal(err)
	}
	got, err := ReadPorts(path)
	if err != nil || len(got) != len(want) {
		t.Fatalf("read %v, %v, want %v", got, err, want)
	}
	for port, region := range want {
		if got[port] != region {
			t.Errorf("port %d is in region %d, want %d", port, got[port], region)
		}
	}

	free, err := freePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, "127.0.0.1", func(c net.Conn) {})
	_, port, _ := net.SplitHostPort(address)
	table := Ports{free[0]: 1, free[1]: 2}
	d, err := NewDialer(listenAddr(addrPort("127.0.0.1", free[0])), Link{}, table)
	if err != nil || d.region != 1 {
		t.Fatalf("dialler %+v, %v, want region 1", d, err)
	}
	if _, err := d.DialContext(t.Context(), "tcp", address); err == nil {
		t.Errorf("dialled port %s, which is not in the table", port)
	}
	table[addrPortOf(t, address).Port()] = 2
	c, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil || isTCP(c) {
		t.Fatalf("dial into region 2: %T, %v, want a shaped connection", c, err)
	}
	_ = c.Close()
}

func TestReadPortsRefuses(t *testing.T) {
	for _, text := range []string{"", "4001", "4001 0", "4001 201", "70000 1", "4001 1\n\n4002 1", "x 1"} {
		path := filepath.Join(t.TempDir(), "ports")
		writeFile(t, path, text)
		if p, err := ReadPorts(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: got %v, %v, want an error that names the file", text, p, err)
		}
	}
}
