package node

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	manet "github.com/multiformats/go-multiaddr/net"

	"halos/stripes"
)

// What does not begin as libp2p or halos do is dropped; who says nothing does not keep a host from closing.
func TestStrangersAtTheDoor(t *testing.T) {
	open := stripes.Greeting{Kind: stripes.Open, Sockets: 1}.Append(nil)
	tests := []struct{ name, says string }{
		{"noise", strings.Repeat("GET / HTTP/1.1\r\n", 100)},
		{"joins nothing", string(stripes.Greeting{Kind: stripes.Join, Sockets: 4}.Append(nil))},
		{"another version", strings.Replace(string(open), "halos\x01", "halos\x02", 1)},
		{"a greeting and then noise", string(open) + strings.Repeat("noise", 100)},
	}
	a, _ := loopbackHost(t, hostOptions{})
	at, err := manet.ToNetAddr(a.Network().ListenAddresses()[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("tcp", at.String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, tt.says); err != nil {
				t.Fatal(err)
			}
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Error("the connection is still open")
			}
		})
	}
	silent, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	b, _ := loopbackHost(t, hostOptions{})
	connect(t, b, a) // after the silent one is inside
	began := time.Now()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > greetTimeout/2 {
		t.Errorf("closing takes %v", took)
	}
}

// What the ends of a connection over several sockets say of it, whichever of them wants it.
func TestHostsTalkOverStripes(t *testing.T) {
	tests := []struct {
		name           string
		dialler, other int
		want           string
	}{
		{"the dialler wants it", 4, 1, " x4"},
		{"the listener wants it", 1, 4, " x4"},
		{"both do", 4, 2, " x4"},
		{"neither does", 1, 1, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, _ := loopbackHost(t, hostOptions{Stripes: tt.dialler})
			b, _ := loopbackHost(t, hostOptions{Stripes: tt.other})
			connect(t, a, b)
			echo(t, a, b, make([]byte, 4<<20))
			for _, h := range []host.Host{a, b} {
				c := h.Network().Conns()[0]
				waitFor(t, "all sockets", func() bool { return strings.HasSuffix(congestionOf(h, c), tt.want) })
				if got := congestionOf(h, c); strings.Contains(got, " ") != (tt.want != "") {
					t.Errorf("goes by %q", got)
				}
			}
			if n := len(tcpOf(t, b).sockets.joinable); (n == 1) != (tt.want != "") {
				t.Errorf("%d connections can be joined", n)
			}
			if err := a.Network().ClosePeer(b.ID()); err != nil {
				t.Fatal(err)
			}
			s := tcpOf(t, b).sockets
			waitFor(t, "the end of what can be joined", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return len(s.joinable) == 0
			})
			waitFor(t, "all that was counted to be given back", func() bool { return openConns(t, a)+openConns(t, b) == 0 })
		})
	}
}

// openConns is how many connections the resource manager of h counts.
func openConns(t *testing.T, h host.Host) (n int) {
	t.Helper()
	if err := h.Network().ResourceManager().ViewSystem(func(s network.ResourceScope) error {
		n = s.Stat().NumConnsInbound + s.Stat().NumConnsOutbound
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// A host that punches a hole says nothing that the other end, which dials as well, would have to answer.
func TestNoGreetingThroughAHole(t *testing.T) {
	a, _ := loopbackHost(t, hostOptions{Stripes: 4})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx := network.WithSimultaneousConnect(t.Context(), true, "test")
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := tcpOf(t, a).sockets.DialContext(ctx, "tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, plain := c.(*net.TCPConn); !plain {
		t.Errorf("dialled a %T", c)
	}
}

// A listener that takes no more sockets leaves a connection with those it has.
func TestFewerSocketsThanWanted(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const wanted = 4
	listened := make(chan error, 1)
	go func() { listened <- takeOne(l, wanted) }()
	a, _ := loopbackHost(t, hostOptions{Stripes: wanted})
	c, err := tcpOf(t, a).sockets.DialContext(t.Context(), "tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := <-listened; err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("halos")); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := io.ReadFull(c, make([]byte, 5)); err != nil || c.(*stripes.Conn).Sockets() != 1 {
		t.Errorf("%d bytes over %d sockets, %v", n, c.(*stripes.Conn).Sockets(), err)
	}
}

// takeOne accepts a connection that echoes, and hangs up on the sockets that are to join it.
func takeOne(l net.Listener, sockets int) error {
	first, err := l.Accept()
	if err != nil {
		return err
	}
	if _, err := firstWords(first); err != nil {
		return err
	}
	if _, err := first.Write([]byte{byte(sockets)}); err != nil {
		return err
	}
	conn, err := stripes.New(first.(*net.TCPConn), false, func() {})
	if err != nil {
		return err
	}
	go func() {
		defer conn.Close()
		io.Copy(conn, conn)
	}()
	for range sockets - 1 {
		c, err := l.Accept()
		if err == nil {
			_, err = firstWords(c)
		}
		if err != nil {
			return err
		}
		c.Close()
	}
	return nil
}
