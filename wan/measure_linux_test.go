package wan

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

// eventually polls until ok, for at most 10 s.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * ms)
	defer tick.Stop()
	for limit := time.Now().Add(10 * time.Second); !ok(); <-tick.C {
		if time.Now().After(limit) {
			t.Fatalf("not seen within 10 s: %s", what)
		}
	}
}

// datagrams opens a UDP socket in region b and one in region a that sends to it.
func (n *Network) datagrams(t *testing.T) (from, to *net.UDPConn) {
	t.Helper()
	err := errors.Join(
		n.Do("b", func() (err error) {
			to, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(n.Addr("b"), 0)))
			return err
		}),
		n.Do("a", func() (err error) {
			from, err = net.DialUDP("udp4", nil, to.LocalAddr().(*net.UDPAddr))
			return err
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = from.Close(); _ = to.Close() })
	return from, to
}

// The bounds are hard: nothing may be faster than the link. The upper ones leave room
// for a busy machine.
func TestRoundTrip(t *testing.T) {
	const rtt, slack = 40 * ms, 40 * ms
	n := connected(t, Link{RTT: rtt})
	from, to := n.datagrams(t)
	least, b := time.Hour, make([]byte, 8)
	for range 10 {
		start := time.Now()
		if _, err := from.Write(b); err != nil {
			t.Fatal(err)
		}
		_, back, err := to.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.WriteToUDPAddrPort(b, back); err != nil {
			t.Fatal(err)
		}
		if _, err := from.Read(b); err != nil {
			t.Fatal(err)
		}
		least = min(least, time.Since(start))
	}
	t.Logf("least round trip %v", least)
	if least < rtt || least > rtt+slack {
		t.Errorf("least round trip %v, want %v to %v", least, rtt, rtt+slack)
	}
}

// What is sent faster than the link carries it takes its time, and what finds no room
// in the queue is dropped.
func TestRateAndQueue(t *testing.T) {
	const packets, payload = 1000, 972 // 1,000 bytes with their headers
	n := connected(t, Link{Rate: 8 * mbit, Queue: 500_000})
	from, _ := n.datagrams(t)
	start := time.Now()
	for range packets {
		if _, err := from.Write(make([]byte, payload)); err != nil {
			t.Fatal(err)
		}
	}
	var c Count
	eventually(t, "all packets", func() bool {
		c = n.Count("a", "b")
		return c.Packets+c.Dropped == packets
	})
	took := time.Since(start)
	t.Logf("%+v within %v", c, took)
	if least := time.Duration(c.Packets) * ms; took < least || c.Bytes != 1000*c.Packets {
		t.Errorf("%d bytes arrived within %v, want %v at least", c.Bytes, took, least)
	}
	if c.Packets < 500 || c.Dropped == 0 {
		t.Errorf("%+v, want the 500 that the queue holds to arrive and some of the others dropped", c)
	}
}

func TestLossIsWhatWasAskedFor(t *testing.T) {
	const packets = 20_000
	n := connected(t, Link{Loss: 0.1})
	from, _ := n.datagrams(t)
	for i := range packets {
		if _, err := from.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 0 { // no faster than the reader takes them
			eventually(t, "those before", func() bool { c := n.Count("a", "b"); return c.Packets+c.Lost == uint64(i+1) })
		}
	}
	eventually(t, "all packets", func() bool { c := n.Count("a", "b"); return c.Packets+c.Lost == packets })
	if c := n.Count("a", "b"); c.Lost < 1850 || c.Lost > 2150 || c.Dropped > 0 {
		t.Errorf("%+v, want a tenth of %d lost", c, packets)
	}
}
