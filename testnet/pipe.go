package testnet

import (
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// grain is how far apart the arrivals of two packets may be that are delivered
// together: it bounds the number of marks, and lies below what timers resolve.
const grain = 200 * time.Microsecond

// pipe carries the bytes of one direction of one connection: what is written
// passes the lane, travels for delay and can then be read. Its writer waits while
// limit bytes are inside. Bytes never overtake each other.
//
// Writer and reader are one goroutine each at a time; deadlines, finish and abort
// may come from any.
type pipe struct {
	lane  *lane
	delay time.Duration
	limit int // bytes inside before the writer waits
	piece int // bytes that pass the lane at once

	mu      sync.Mutex
	changed sync.Cond // on mu: anything below has changed, or a timer has fired
	data    ring
	ready   int       // bytes at the head of data that have arrived
	marks   []mark    // of the bytes behind them, in order of arrival
	latest  time.Time // arrival of any so far
	arrival *time.Timer
	writeBy deadline
	readBy  deadline
	end     error     // set by finish: what the reader gets after the last byte
	endAt   time.Time // and when
	broken  error     // set by abort: what both get at once
}

// mark says when the next n bytes arrive.
type mark struct {
	first, last time.Time // arrival of the first and of the last packet of them
	n           int
}

func newPipe(shared *lane) *pipe {
	l := shared.link
	p := &pipe{lane: shared, delay: l.RTT / 2, limit: holds(l), piece: piece(l)}
	p.changed.L = &p.mu
	return p
}

// write puts b into the pipe and returns when all of it is inside. It keeps no
// reference to b.
func (p *pipe) write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		now := time.Now()
		switch {
		case p.broken != nil:
			return n, p.broken
		case p.end != nil:
			return n, net.ErrClosed
		case n == len(b):
			return n, nil
		case p.writeBy.passed(now):
			return n, os.ErrDeadlineExceeded
		}
		room := min(p.limit-p.data.n, p.piece, len(b)-n)
		if room == 0 {
			p.changed.Wait()
			continue
		}
		p.data.put(b[n:n+room], p.limit)
		p.mark(p.lane.pass(now, room), room)
		n += room
		p.changed.Broadcast()
	}
}

// mark notes that n more bytes arrive at t, or behind those that arrive later.
func (p *pipe) mark(t time.Time, n int) {
	if t.Before(p.latest) {
		t = p.latest
	}
	p.latest = t
	if last := len(p.marks) - 1; last >= 0 && t.Sub(p.marks[last].first) < grain {
		p.marks[last].last = t
		p.marks[last].n += n
		return
	}
	p.marks = append(p.marks, mark{first: t, last: t, n: n})
}

// read takes bytes that have arrived, at least one unless b is empty.
func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		now := time.Now()
		p.arrive(now)
		switch {
		case p.broken != nil:
			return 0, p.broken
		case p.readBy.passed(now):
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case p.ready > 0:
			n := p.data.take(b[:min(len(b), p.ready)])
			p.ready -= n
			p.changed.Broadcast()
			return n, nil
		case p.data.n == 0 && p.end != nil && !now.Before(p.endAt):
			return 0, p.end
		}
		p.expect(now)
		p.changed.Wait()
	}
}

// arrive counts as ready what has arrived by now.
func (p *pipe) arrive(now time.Time) {
	done := 0
	for done < len(p.marks) && !now.Before(p.marks[done].last) {
		p.ready += p.marks[done].n
		done++
	}
	p.marks = slices.Delete(p.marks, 0, done)
}

// expect arms the timer for the next arrival, if one is on its way.
func (p *pipe) expect(now time.Time) {
	var next time.Time
	switch {
	case len(p.marks) > 0:
		next = p.marks[0].last
	case p.end != nil:
		next = p.endAt
	default:
		return
	}
	if p.arrival == nil {
		p.arrival = time.AfterFunc(next.Sub(now), p.wake)
		return
	}
	p.arrival.Reset(next.Sub(now))
}

// wake makes reader and writer look again.
func (p *pipe) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed.Broadcast()
}

// finish ends the pipe behind the bytes inside: the reader gets err after them,
// the writer net.ErrClosed from now on. Only the first end counts.
func (p *pipe) finish(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end == nil {
		p.end = err
		p.endAt = time.Now().Add(p.delay)
	}
	p.changed.Broadcast()
}

// abort drops the bytes inside; reader and writer get err at once. Only the first
// counts.
func (p *pipe) abort(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return
	}
	p.broken = err
	p.data, p.marks, p.ready = ring{}, nil, 0
	for _, t := range []*time.Timer{p.arrival, p.writeBy.timer, p.readBy.timer} {
		if t != nil {
			t.Stop()
		}
	}
	p.changed.Broadcast()
}

// left is how long the bytes inside need until the last has arrived.
func (p *pipe) left() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.marks) == 0 {
		return p.delay
	}
	return max(p.delay, time.Until(p.marks[len(p.marks)-1].last))
}

// setDeadline moves d, which is p's, to t; the zero time is none.
func (p *pipe) setDeadline(d *deadline, t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return p.broken
	}
	d.set(t, p.wake)
	p.changed.Broadcast()
	return nil
}

// deadline is when one side of a pipe stops waiting; the zero value is never.
type deadline struct {
	at    time.Time // on the monotonic clock
	timer *time.Timer
}

func (d *deadline) set(t time.Time, wake func()) {
	if d.timer != nil {
		d.timer.Stop()
	}
	if d.at = t; t.IsZero() {
		return
	}
	wait := time.Until(t)
	d.at = time.Now().Add(wait)
	if d.timer == nil {
		d.timer = time.AfterFunc(wait, wake)
		return
	}
	d.timer.Reset(wait)
}

func (d *deadline) passed(now time.Time) bool { return !d.at.IsZero() && !now.Before(d.at) }
