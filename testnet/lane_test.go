package testnet

import (
	"io"
	"net"
	"testing"
	"time"

	"halos/wan"
)

// A packet may be lost more than once; each time costs a round trip and its share of
// the rate.
func TestLaneLosesItsShare(t *testing.T) {
	const packets = 100_000
	l := &newLanes(wan.Link{Loss: 0.1}, 1).up
	var late [9]int // by the number of times that a packet was lost
	again := 0
	for range packets {
		trips, n := l.lose(segment)
		late[min(trips, 8)]++
		again += n
	}
	for trips, want := range []float64{0.9, 0.09, 0.009} {
		if share := float64(late[trips]) / packets; share < 0.9*want || share > 1.1*want {
			t.Errorf("%.4f of the packets lost %d times, want %.4f", share, trips, want)
		}
	}
	if share := float64(again) / (packets * segment); share < 0.105 || share > 0.117 {
		t.Errorf("%.4f of the bytes sent again, want 0.111", share)
	}
}

// What follows a lost packet on its connection waits for it.
func TestWhatFollowsALostPacketWaits(t *testing.T) {
	const packets = 2000
	link := wan.Link{RTT: 80 * ms, Loss: 0.01}
	onLink(t, link, func(t *testing.T, near *conn, far net.Conn) {
		start := time.Now()
		go func() {
			for i := range packets {
				_, _ = near.Write([]byte{byte(i)})
				sleep(10 * ms)
			}
		}()
		late := 0
		for i := range packets {
			var b [1]byte
			if _, err := io.ReadFull(far, b[:]); err != nil || b[0] != byte(i) {
				t.Fatalf("packet %d holds %d, %v", i, b[0], err)
			}
			took := time.Since(start) - time.Duration(i)*10*ms
			if took < link.RTT/2 {
				t.Fatalf("packet %d came after %v", i, took)
			}
			if took > link.RTT/2+ms {
				late++
			}
		}
		// One in a hundred, and the seven sent in the round trip after it.
		if share := float64(late) / packets; share < 0.04 || share > 0.12 {
			t.Errorf("%.3f of the packets late, want 0.08", share)
		}
	})
}

func TestLossLeavesTheRate(t *testing.T) {
	const size = 32 << 20
	for _, loss := range []float64{0.01, 0.05} {
		link := wan.Link{Rate: 100 * mbit, RTT: 100 * ms, Loss: loss}
		onLink(t, link, func(t *testing.T, near *conn, far net.Conn) {
			start := time.Now()
			go func() { _, _ = near.Write(make([]byte, size)) }()
			mustRead(t, far, size)
			share := size * 8 / time.Since(start).Seconds() / float64(link.Rate)
			t.Logf("%v: %.3f of the rate", link, share)
			if share < 0.9-2*loss || share > 1-loss {
				t.Errorf("%v: %.3f of the rate, want a little less than %.3f", link, share, 1-loss)
			}
		})
	}
}

// Each pair of regions has its own link.
func TestLinksOfPairs(t *testing.T) {
	links, err := wan.ParseLinks(linkOf(80*ms, mbit), []string{"us-eu=2mbit/9ms/1%"}, RegionNames(3))
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDialer("/ip4/127.0.1.1/tcp/0", links, nil)
	if err != nil {
		t.Fatal(err)
	}
	for region, want := range map[int]wan.Link{2: {Rate: 2 * mbit, RTT: 9 * ms, Loss: 0.01}, 3: links.Default} {
		if to := d.to(region); to.up.link != want || to.down.link != want {
			t.Errorf("to region %d: %v up, %v down, want %v", region, to.up.link, to.down.link, want)
		}
	}
}
