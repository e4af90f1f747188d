package wan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// connected makes a network of regions a and b, or skips the test.
func connected(t testing.TB, l Link) *Network {
	t.Helper()
	n, err := New([]string{"a", "b"}, Links{Default: l}, 1)
	if errors.Is(err, ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// congestion sets the control of a socket before it connects or listens.
func congestion(name string) func(string, string, syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var fault error
		err := c.Control(func(fd uintptr) { fault = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, name) })
		return errors.Join(err, fault)
	}
}

// pair connects a to b by TCP.
func (n *Network) pair(t testing.TB, control string) (near, far net.Conn) {
	t.Helper()
	if s, err := n.Settings(); err != nil || !slices.Contains(s.Available, control) {
		t.Skipf("no %s in this kernel: %v, %v", control, s, err)
	}
	var l net.Listener
	listen := net.ListenConfig{Control: congestion(control)}
	if err := n.Do("b", func() (err error) {
		l, err = listen.Listen(t.Context(), "tcp4", netip.AddrPortFrom(n.Addr("b"), 0).String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		accepted <- c
	}()
	dial := net.Dialer{Control: congestion(control), Timeout: 10 * time.Second}
	if err := n.Do("a", func() (err error) {
		near, err = dial.DialContext(context.Background(), "tcp4", l.Addr().String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if far = <-accepted; far == nil {
		t.Fatal("nobody was accepted")
	}
	t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
	return near, far
}

// transfer sends from near to far for d and returns what has arrived by then.
func transfer(t testing.TB, near, far net.Conn, d time.Duration) (received int64) {
	t.Helper()
	end := time.Now().Add(d)
	_ = near.SetDeadline(end)
	_ = far.SetDeadline(end)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		b := make([]byte, 256<<10)
		for {
			if _, err := near.Write(b); err != nil {
				return
			}
		}
	}()
	for b := make([]byte, 256<<10); ; {
		n, err := far.Read(b)
		received += int64(n)
		if err != nil {
			<-sent
			return received
		}
	}
}

// TCP of the kernel with BBR comes to the rate of the link, whatever it loses. The
// bounds are physical above, and below what even a busy machine comes to: other
// controls make 2 Mbit/s of a loss of 1 %.
func TestBulk(t *testing.T) {
	for _, c := range []struct {
		loss  float64
		least float64 // Mbit/s
	}{{0, 10}, {0.01, 10}, {0.05, 3}} {
		t.Run(formatLoss(c.loss), func(t *testing.T) {
			t.Parallel()
			l := Link{Rate: 100 * mbit, RTT: 100 * ms, Loss: c.loss}
			n := connected(t, l)
			near, far := n.pair(t, "bbr")
			const lasting = 4 * time.Second
			got := float64(transfer(t, near, far, lasting)) * 8 / lasting.Seconds() / mbit
			count := n.Count("a", "b")
			t.Logf("%.1f Mbit/s, %+v", got, count)
			if got < c.least || got > 100 {
				t.Errorf("%.1f Mbit/s, want %v to 100", got, c.least)
			}
			if mean := float64(count.Bytes) / float64(count.Packets); mean < 1000 || mean > mtu {
				t.Errorf("packets of %.0f bytes on average, want full ones of %d", mean, mtu)
			}
			if share := float64(count.Lost) / float64(count.Packets+count.Lost); share < 0.7*c.loss || share > 1.3*c.loss {
				t.Errorf("%.4f lost, want %v", share, c.loss)
			}
		})
	}
}

// cpu is the time that this process has computed.
func cpu() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// What a TCP connection of the kernel gets out of a link in 25 s.
func BenchmarkBulk(b *testing.B) {
	for _, c := range []struct{ control, link string }{
		{"bbr", "100mbit/100ms"},
		{"bbr", "100mbit/100ms/1%"},
		{"bbr", "100mbit/100ms/5%"},
		{"cubic", "100mbit/100ms"},
		{"cubic", "100mbit/100ms/1%"},
		{"bbr", "1gbit/30ms"},
		{"cubic", "1gbit/30ms"},
		{"bbr", "1gbit/30ms/0.1%"},
	} {
		b.Run(c.control+" "+c.link, func(b *testing.B) {
			l, err := ParseLink(c.link)
			if err != nil {
				b.Fatal(err)
			}
			n := connected(b, l)
			near, far := n.pair(b, c.control)
			const lasting = 25 * time.Second
			for b.Loop() {
				before := cpu()
				got := transfer(b, near, far, lasting)
				b.ReportMetric(float64(got)*8/lasting.Seconds()/1e6, "Mbit/s")
				b.ReportMetric(100*(cpu()-before).Seconds()/lasting.Seconds(), "%CPU")
				b.Log(fmt.Sprintf("%+v", n.Count("a", "b")))
			}
		})
	}
}
