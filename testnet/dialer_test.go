package testnet

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"halos/wan"
)

// regions skips a test where the system has 127.0.0.1 only, as macOS does: there
// regions are told apart by port, which other tests see to. Linux has them all.
func regions(t *testing.T, n int) {
	t.Helper()
	switch {
	case hasRegionHosts(n):
	case runtime.GOOS == "linux":
		t.Fatalf("no answer for 127.0.%d.1", n)
	default:
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

func dial(t *testing.T, link wan.Link, address string) net.Conn {
	t.Helper()
	d, err := NewDialer("/ip4/127.0.1.1/tcp/0", wan.Links{Default: link}, nil)
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

func TestLocalConnectionsAreNotShaped(t *testing.T) {
	regions(t, 2)
	address := serve(t, "127.0.1.1", func(c net.Conn) { _, _ = io.Copy(c, c) })
	if c := dial(t, linkOf(time.Second, mbit), address); !isTCP(c) {
		t.Errorf("within a region: %T, want the kernel's own connection", c)
	}
	address = serve(t, "127.0.2.1", func(c net.Conn) { _, _ = io.Copy(c, c) })
	if c := dial(t, linkOf(ms, mbit), address); isTCP(c) {
		t.Errorf("between regions: %T, want a shaped one", c)
	}
}

func isTCP(c net.Conn) bool { _, ok := c.(*net.TCPConn); return ok }

func TestAcceptorSeesTheDiallersRegion(t *testing.T) {
	regions(t, 2)
	from := make(chan string, 1)
	address := serve(t, "127.0.2.1", func(c net.Conn) { from <- c.RemoteAddr().String() })
	c := dial(t, linkOf(ms, 0), address)
	if got := <-from; got != c.LocalAddr().String() || !strings.HasPrefix(got, "127.0.1.1:") {
		t.Errorf("accepted from %s, dialled from %v, want 127.0.1.1", got, c.LocalAddr())
	}
	if got := c.RemoteAddr().String(); got != address {
		t.Errorf("connected to %s, want %s", got, address)
	}
}

func TestDialRefuses(t *testing.T) {
	regions(t, 2)
	d, err := NewDialer("/ip4/127.0.1.1/tcp/0", linksOf(500*ms, 0), nil)
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
		links  wan.Links
		ports  Ports
		fault  string
	}{
		{"/ip4/127.0.1.1/tcp/0", linksOf(-1, 0), nil, "rtt -1ns"},
		{"127.0.1.1:0", wan.Links{}, nil, "must be like /ip4/127.0.1.1/tcp/0"},
		{"/ip4/127.0.1.1/udp/0/quic-v1", wan.Links{}, nil, "must be like"},
		{"/ip4/0.0.0.0/tcp/0", wan.Links{}, nil, "is in no region"},
		{"/ip4/127.0.0.1/tcp/5", wan.Links{}, Ports{4: 1}, "127.0.0.1:5 is no port of this testnet"},
	} {
		if _, err := NewDialer(c.listen, c.links, c.ports); err == nil || !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s %v: got %v, want %q", c.listen, c.links, err, c.fault)
		}
	}
}
