package testnet

import (
	"math/rand/v2"
	"sync"
	"time"

	"halos/wan"
)

const (
	// queueSlack is what a pipe holds beyond what is on the way: enough that a late
	// wake-up of its writer does not leave the lane idle.
	queueSlack = 256 << 10
	// freeQueue is what a pipe without a rate holds: 400 Mbit/s at 80 ms.
	freeQueue = 4 << 20
	// segment is the most that one packet carries of a connection.
	segment = 1460
)

// lane is one direction of the link between two regions, as one process sees it:
// the packets of all its connections pass it one after the other.
//
// It loses packets as they look to a TCP that keeps its rate: one that is lost is sent
// again, which takes its share of the rate, arrives a round trip later if it is not
// lost once more, and what follows on its connection waits for it.
type lane struct {
	link wan.Link

	mu   sync.Mutex
	free time.Time  // when the last packet let in will have passed
	rng  *rand.Rand // draws what is lost
}

// pass lets in n bytes that came at now and returns when they arrive, but for those
// before them on their connection.
func (l *lane) pass(now time.Time, n int) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	trips, again := l.lose(n)
	if l.free.Before(now) {
		l.free = now
	}
	if l.link.Rate > 0 {
		l.free = l.free.Add(time.Duration(int64(n+again) * 8 * int64(time.Second) / l.link.Rate))
	}
	return l.free.Add(l.link.RTT/2 + time.Duration(trips)*l.link.RTT)
}

// lose draws which packets of n bytes are lost, and lost again: how many round trips
// later the last of them arrives, and the bytes sent again.
func (l *lane) lose(n int) (trips, again int) {
	if l.link.Loss == 0 {
		return 0, 0
	}
	for left := (n + segment - 1) / segment; left > 0; {
		gone := 0
		for range left {
			if l.rng.Float64() < l.link.Loss {
				gone++
			}
		}
		if left = gone; left > 0 {
			trips++
			again += min(n, left*segment)
		}
	}
	return trips, again
}

// holds is the number of bytes that one direction of one connection may hold before
// its writer waits: those on the way, those in front of the lane and, where packets
// are lost, those behind one that is sent twice more.
func holds(l wan.Link) int {
	if l.Rate == 0 {
		return freeQueue
	}
	trips := 1
	if l.Loss > 0 {
		trips += 2
	}
	return trips*int(float64(l.Rate)/8*l.RTT.Seconds()) + queueSlack
}

// piece is the number of bytes that pass a lane at once: about a millisecond's worth,
// so that connections take turns.
func piece(l wan.Link) int {
	const most = 64 << 10
	if l.Rate == 0 {
		return most
	}
	return int(min(max(l.Rate/8/1000, segment), most))
}

// lanes are both directions of the link to one region.
type lanes struct {
	up, down lane
	gate     gate // for both
}

// newLanes makes those of a link; what they lose follows from the seed.
func newLanes(link wan.Link, seed uint64) *lanes {
	return &lanes{
		up:   lane{link: link, rng: rand.New(rand.NewPCG(seed, 0))},
		down: lane{link: link, rng: rand.New(rand.NewPCG(seed, 1))},
	}
}
