package stripes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"halos/wan"
)

// What a connection over several sockets gets out of a link, and as many sockets by themselves.
func BenchmarkLink(b *testing.B) {
	for _, loss := range []string{"0%", "0.1%", "1%", "5%"} {
		for _, sockets := range []int{1, 4, 8, 16, 32} {
			for _, striped := range []bool{true, false} {
				name := map[bool]string{true: "striped", false: "apart"}[striped]
				b.Run(fmt.Sprintf("%s x%d %s", loss, sockets, name), func(b *testing.B) { benchLink(b, "100mbit/100ms/"+loss, sockets, striped) })
			}
		}
	}
}

// benchLink reports the rate at which bytes arrive after the first seconds.
func benchLink(b *testing.B, link string, sockets int, striped bool) {
	const before, lasting = 5 * time.Second, 12 * time.Second
	here, there := across(b, link, sockets)
	var received atomic.Int64
	send := func(c net.Conn) {
		for p := make([]byte, 64<<10); ; {
			if _, err := c.Write(p); err != nil {
				return
			}
		}
	}
	take := func(c net.Conn) {
		for p := make([]byte, 64<<10); ; {
			n, err := c.Read(p)
			received.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
	if striped {
		from, err := over(here, false)
		to, err2 := over(there, false)
		if err := errors.Join(err, err2); err != nil {
			b.Fatal(err)
		}
		go send(from)
		go take(to)
	} else {
		for i := range here {
			go send(here[i])
			go take(there[i])
		}
	}
	for b.Loop() {
		<-time.After(before)
		first := received.Load()
		<-time.After(lasting)
		b.ReportMetric(float64(received.Load()-first)*8e-6/lasting.Seconds(), "Mbit/s")
	}
}

// across makes sockets over a link, as halos sets them up where there is no BBR.
func across(b *testing.B, link string, sockets int) (here, there []*net.TCPConn) {
	l, err := wan.ParseLink(link)
	if err != nil {
		b.Fatal(err)
	}
	n, err := wan.New([]string{"a", "b"}, wan.Links{Default: l}, 1)
	if errors.Is(err, wan.ErrUnavailable) {
		b.Skip(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { n.Close() })
	control := func(_, _ string, c syscall.RawConn) (err error) {
		fault := c.Control(func(fd uintptr) {
			err = errors.Join(unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic"),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 16<<10))
		})
		return errors.Join(err, fault)
	}
	var listener net.Listener
	err = n.Do("b", func() (err error) {
		config := net.ListenConfig{Control: control}
		config.SetMultipathTCP(false)
		listener, err = config.Listen(context.Background(), "tcp", netip.AddrPortFrom(n.Addr("b"), 0).String())
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	for range sockets {
		err := n.Do("a", func() error {
			c, err := (&net.Dialer{Control: control}).Dial("tcp", listener.Addr().String())
			if err == nil {
				here = append(here, c.(*net.TCPConn))
				c, err = listener.Accept()
			}
			if err == nil {
				there = append(there, c.(*net.TCPConn))
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Cleanup(func() {
		for i := range here {
			here[i].Close()
			there[i].Close()
		}
	})
	return here, there
}
