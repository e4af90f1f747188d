package testnet

import (
	"sync"
	"time"
)

// lane is one direction of the link between two regions, as one process sees it:
// the packets of all its connections pass it one after the other.
type lane struct {
	rate int64 // bit/s, 0 is unlimited

	mu   sync.Mutex
	free time.Time // when the last packet let in will have passed
}

// pass lets in n bytes that arrived at now and returns when they will have passed.
// The moments it returns never decrease.
func (l *lane) pass(now time.Time, n int) time.Time {
	if l.rate == 0 {
		return now
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(int64(n) * 8 * int64(time.Second) / l.rate))
	return l.free
}

// lanes are both directions of the link to one region.
type lanes struct {
	up, down lane
	gate     gate // for both
}
