package bulk

import (
	"time"

	"halos/wire"
)

// Credit allows chunks of an offer to be published, fewer than the last perhaps, and
// takes note of what has arrived. Credit for what is not on offer is ignored. It
// reports whether it acknowledged anything.
func (s *Sender) Credit(c *wire.Credit, now time.Time) (progress bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.named(c.GetSession(), c.GetSeq())
	if o == nil || !o.announced {
		return false
	}
	o.upto = int(min(uint64(c.GetUpto()), uint64(o.count)))
	held := int(min(uint64(c.GetHeld()), uint64(o.count)))
	n := held - o.held
	o.held = held // less than before where the receiver has begun anew
	if n > 0 {
		progress = true
		if last := int(c.GetLast()); last < o.count {
			s.pace.arrive(n, o.left[last], now)
		}
	}
	s.heard = now
	s.signal()
	return progress
}

// Missing says which chunks of an offer the receiver holds and which it lacks.
func (s *Sender) Missing(m *wire.Missing, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.named(m.GetSession(), m.GetSeq())
	if o == nil || !o.announced {
		return
	}
	o.attempt = uint16(m.GetAttempt())
	first := int(min(uint64(m.GetFirst()), uint64(o.count)))
	for i := first; i < o.count && (i-first)/8 < len(m.GetBits()); i++ {
		o.lacks(i, m.GetBits()[(i-first)/8]>>((i-first)%8)&1 != 0)
	}
	s.heard = now
	s.signal()
}

// Silent is for how long an announced offer has waited for feedback, 0 if none does.
func (s *Sender) Silent(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.offers {
		if o.announced && o.held < o.count && o.src.Len() > 0 {
			return max(0, now.Sub(s.heard))
		}
	}
	return 0
}

// Done reports that the receiver has every chunk of what is on offer.
func (s *Sender) Done() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.offers {
		if o.held < o.count {
			return false
		}
	}
	return true
}
