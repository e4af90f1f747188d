package wan

import (
	"math/rand/v2"
	"time"
)

// path says of each packet of one direction whether and when it arrives. Times count
// from any moment, the same for all calls.
type path struct {
	link Link
	rng  *rand.Rand    // draws what is lost
	free time.Duration // when the last packet let in will have passed the rate
}

// fate is what becomes of a packet.
type fate uint8

const (
	carried fate = iota
	lost         // on the way, behind the rate
	dropped      // by the queue in front of it
)

// pass takes a packet of so many bytes that comes at now, not before the last one,
// while held bytes are on their way or wait. It returns when the packet arrives;
// arrivals never decrease.
func (p *path) pass(now time.Duration, size, held int) (time.Duration, fate) {
	p.free = max(p.free, now)
	waiting := held
	if p.link.Rate > 0 {
		waiting = int((p.free - now).Seconds() * float64(p.link.Rate) / 8)
	}
	if waiting+size > p.link.room() {
		return 0, dropped
	}
	if p.link.Rate > 0 {
		p.free += time.Duration(int64(size) * 8 * int64(time.Second) / p.link.Rate)
	}
	if p.link.Loss > 0 && p.rng.Float64() < p.link.Loss {
		return 0, lost
	}
	return p.free + p.link.RTT/2, carried
}
