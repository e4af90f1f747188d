package stripes

import (
	"sync"
	"time"
)

// deadline is a point in time that can be moved while others wait for it.
type deadline struct {
	mu    *sync.Mutex
	timer *time.Timer
	c     chan struct{} // closed when it has passed
}

func newDeadline() deadline { return deadline{mu: new(sync.Mutex), c: make(chan struct{})} }

// set moves d to t; the zero time is never.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.c // the timer is closing it
	}
	d.timer = nil
	select {
	case <-d.c:
		d.c = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	if left := time.Until(t); left > 0 {
		c := d.c
		d.timer = time.AfterFunc(left, func() { close(c) })
	} else {
		close(d.c)
	}
}

// passed is closed when d has passed, unless it is moved before.
func (d *deadline) passed() chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.c
}

// over says whether d has passed.
func (d *deadline) over() bool {
	select {
	case <-d.passed():
		return true
	default:
		return false
	}
}
