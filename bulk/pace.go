package bulk

import "time"

const (
	minWindow = 2 // chunks, whatever the path, and until an acknowledgement tells more

	// headroom is how many round trips a window covers. One would do on a path that
	// loses nothing. TCP delivers in order: at 5 % loss a packet and what follows it
	// wait for two or three round trips, in which the sender must not run dry.
	headroom = 4
	// leastCover is the least time a window covers, for the pauses of a busy machine.
	leastCover = 50 * time.Millisecond

	rateSpan  = 2 * time.Second // the rate is the highest of one to two of these
	delaySpan = time.Minute     // and the delay the lowest of one to two of these
)

// pace says how many chunks may be on their way: enough that the path is never idle,
// few enough that what else shares the connection waits behind a moment's worth of
// them only. After BBR (Cardwell et al., 2016) it multiplies the highest rate of
// delivery by the lowest delay, both of late, here from publication to
// acknowledgement. So that a delay without a queue is seen at all, it lets the path
// run dry when the last such is too old.
type pace struct {
	chunk     int // bytes
	delivered int // chunks acknowledged
	rate      extreme
	delay     extreme
	draining  bool      // until a chunk published meanwhile is acknowledged
	drained   time.Time // since when
}

// extreme is the largest, or with a sign of -1 the smallest, value of the last one
// to two spans.
type extreme struct {
	sign      float64
	span      time.Duration
	now, last float64 // of the span that runs, and of the one before; 0 = none
	since     time.Time
}

// departure is what is remembered of a published chunk.
type departure struct {
	at        time.Time
	delivered int // of the pace, then
}

func newPace(chunk int) pace {
	return pace{chunk: chunk, rate: extreme{sign: 1, span: rateSpan}, delay: extreme{sign: -1, span: delaySpan}}
}

// depart notes a publication.
func (p *pace) depart(now time.Time) departure { return departure{now, p.delivered} }

// arrive takes an acknowledgement of n chunks, the last of which departed at d.
func (p *pace) arrive(n int, d departure, now time.Time) {
	p.delivered += n
	took := now.Sub(d.at).Seconds()
	if d.at.IsZero() || took <= 0 {
		return
	}
	if p.draining && !d.at.Before(p.drained) {
		p.draining = false
	}
	p.rate.note(float64((p.delivered-d.delivered)*p.chunk)/took, now)
	if p.delay.note(took, now) && p.delay.last > 0 {
		p.draining, p.drained = true, now
	}
}

// window is how many chunks may be on their way.
func (p *pace) window() int {
	rate, delay := p.rate.value(), p.delay.value()
	switch {
	case rate == 0, p.draining:
		return minWindow
	}
	// The chunk itself takes a part of its delay.
	trip := max(delay-float64(p.chunk)/rate, delay/8)
	return max(minWindow, int(rate*max(headroom*trip, leastCover.Seconds())/float64(p.chunk))+1)
}

// note takes a value and reports whether a span has ended with it.
func (e *extreme) note(v float64, now time.Time) (turned bool) {
	if turned = now.Sub(e.since) >= e.span; turned {
		e.last, e.now, e.since = e.now, 0, now
	}
	if e.now == 0 || (v-e.now)*e.sign > 0 {
		e.now = v
	}
	return turned
}

func (e *extreme) value() float64 {
	if e.now == 0 || e.last != 0 && (e.last-e.now)*e.sign > 0 {
		return e.last
	}
	return e.now
}
