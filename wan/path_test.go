package wan

import (
	"math/rand/v2"
	"testing"
	"time"
)

func newPath(t *testing.T, link string) path {
	t.Helper()
	l, err := ParseLink(link)
	if err != nil {
		t.Fatal(err)
	}
	return path{link: l, rng: rand.New(rand.NewPCG(1, 2))}
}

// Packets that come all at once leave at the rate and arrive half a round trip later.
func TestPathKeepsItsRate(t *testing.T) {
	p := newPath(t, "12mbit/80ms/0%/1MiB")
	for i := range 100 {
		at, fate := p.pass(0, 1500, 0)
		if want := time.Duration(i+1)*ms + 40*ms; at != want || fate != carried {
			t.Fatalf("packet %d: %v at %v, want it carried at %v", i, fate, at, want)
		}
	}
	if at, _ := p.pass(time.Second, 1500, 0); at != 1041*ms {
		t.Errorf("after a rest: at %v, want 1.041s", at)
	}
}

// The queue holds what it may, and drops what comes then; what has left makes room.
func TestPathDropsFromAFullQueue(t *testing.T) {
	p := newPath(t, "12mbit/80ms/0%/150000B")
	var fits int
	for range 200 {
		if _, fate := p.pass(0, 1500, 0); fate == carried {
			fits++
		}
	}
	if fits != 100 {
		t.Errorf("%d packets of 1500 bytes fit into a queue of 150000", fits)
	}
	fits = 0
	for range 200 {
		if _, fate := p.pass(10*ms, 1500, 0); fate == carried {
			fits++
		}
	}
	if fits != 10 {
		t.Errorf("%d packets fit after 10 have left", fits)
	}
}

func TestPathWithoutARateHoldsItsQueue(t *testing.T) {
	p := newPath(t, "0/80ms/0%/64KiB")
	if at, fate := p.pass(ms, 1500, 64<<10-1500); at != 41*ms || fate != carried {
		t.Errorf("%v at %v, want it carried at 41ms", fate, at)
	}
	if _, fate := p.pass(ms, 1500, 64<<10); fate != dropped {
		t.Errorf("%v beyond the queue, want it dropped", fate)
	}
}

// A lost packet has taken its share of the rate.
func TestPathLosesItsShare(t *testing.T) {
	const packets = 100_000
	p := newPath(t, "12mbit/0/5%")
	gone := 0
	for i := range packets {
		now := time.Duration(i) * ms
		at, fate := p.pass(now, 1500, 0)
		switch {
		case fate == lost:
			gone++
		case fate != carried || at != now+ms:
			t.Fatalf("packet %d: %v at %v, want %v", i, fate, at, now+ms)
		}
	}
	if share := float64(gone) / packets; share < 0.048 || share > 0.052 {
		t.Errorf("%.4f of the packets lost, want 0.05", share)
	}
	if p.free != packets*ms {
		t.Errorf("the last packet has passed at %v, want %v", p.free, packets*ms)
	}
}
