package roles

import (
	"fmt"
	"slices"
)

// maxClients bounds the decided table: entries are made by hellos.
const maxClients = 4096

// client is what a server knows of one client.
type client struct {
	peer     string // who speaks for it
	session  uint64
	decided  uint64 // every seq up to it has its verdict
	durable  uint64 // and up to this one the verdict is on disk
	live     bool   // it has said hello and its connection stands
	awaited  bool   // known from before a restart of the server, and not met since
	leaving  bool
	gone     int     // ticks since it went
	follow   *Follow // credit for a model, nil if none
	asks     uint64  // samples an LPS has asked for, tasks a worker has
	speed    float64 // local steps per second that it reported last, 0 = none: a worker's, or a region's fastest's
	rate     float64 // the same of a worker, or of all of a region's
	stock    uint64  // samples that a region holds and no worker has: as it said, and what came and went since
	told     bool    // its ask was answered with: nothing left
	reported bool    // told that the job has ended
}

// hello admits a client or turns it away.
func (s *server) hello(ev Hello) []Action {
	c := s.clients[ev.Client]
	if reason, detail := s.objection(ev, c); reason != 0 {
		if c != nil && reason == ReasonEnded {
			c.gone, c.reported, c.leaving = 0, true, false // it is back, and leaves again once it has heard
		}
		return []Action{Reject{Client: ev.Client, Peer: ev.Peer, Reason: reason, Detail: detail}}
	}
	if c == nil {
		c = &client{}
		s.clients[ev.Client] = c
	}
	if ev.Session == 0 || ev.Session != c.session {
		s.renew(c, ev.Session)
	}
	var acts []Action
	if ev.Oldest > c.decided+1 {
		acts = append(acts, Lost{Client: ev.Client, Session: c.session, From: c.decided + 1, To: ev.Oldest - 1})
		c.decided = ev.Oldest - 1
		s.changes++
	}
	s.ledger.reconcile(ev.Client, ev.Leases)
	*c = client{peer: ev.Peer, session: c.session, decided: c.decided, durable: c.durable, live: true}
	s.forget(ev.Client)
	return append(acts, Welcome{
		Client: ev.Client, Term: s.term, Session: c.session, Decided: c.decided, Durable: c.durable,
		Leases: s.ledger.leased[ev.Client].Clone(),
	})
}

// objection says why a hello is turned away, 0 if it is not. c is nil for a client
// that is not known.
func (s *server) objection(ev Hello, c *client) (Reason, string) {
	switch {
	case s.ended:
		return ReasonEnded, "the job is complete"
	case ev.Oldest == 0 || ev.Oldest > ev.Next:
		return ReasonInvalid, fmt.Sprintf("oldest %d, next %d", ev.Oldest, ev.Next)
	case !whole(ev.Leases, s.batch):
		return ReasonInvalid, fmt.Sprintf("leases that are no whole batches of %d samples", s.batch)
	case c == nil && len(s.clients) >= maxClients:
		return ReasonInvalid, fmt.Sprintf("%d clients are known already", maxClients)
	case c == nil:
		return 0, ""
	case c.peer != ev.Peer && (c.live || c.gone < takeoverAfter):
		return ReasonTaken, fmt.Sprintf("%s speaks for %s", c.peer, ev.Client)
	case ev.Session != 0 && ev.Session < c.session:
		return ReasonSession, fmt.Sprintf("session %d of %s, now %d", ev.Session, ev.Client, c.session)
	case ev.Session == c.session && ev.Next <= c.decided:
		return ReasonSession, fmt.Sprintf("%s is about to send delta %d, but %d have been decided: its state is older than "+
			"what it has sent; start it with an empty directory", ev.Client, ev.Next, c.decided)
	}
	return 0, ""
}

// renew starts a client's next session. That is made durable soon, so that a server
// that starts again expects the client.
func (s *server) renew(c *client, session uint64) {
	if session == 0 {
		session = c.session + 1
	}
	*c = client{session: session}
	s.changes++
	s.snap.again = true
}

func (s *server) forget(name string) {
	s.waiting = slices.DeleteFunc(s.waiting, func(w string) bool { return w == name })
}

// gone notes that a client's connection ended.
func (s *server) gone(ev ClientGone) {
	c := s.clients[ev.Client]
	if c == nil || c.peer != ev.Peer {
		return
	}
	c.live, c.gone, c.follow, c.asks = false, 0, nil, 0
	s.forget(ev.Client)
}

// leaves notes that a client will send nothing new.
func (s *server) leaves(ev Leaving) {
	if c := s.clients[ev.Client]; c != nil && c.live {
		c.leaving = true
	}
}

// asked notes that a connected client wants n more samples (an LPS) or tasks (a
// worker), at most most in all.
func (s *server) asked(name string, n, most uint64) {
	c := s.clients[name]
	if c == nil || !c.live || n == 0 {
		return
	}
	c.asks = min(c.asks+min(n, most), most)
	if !slices.Contains(s.waiting, name) {
		s.waiting = append(s.waiting, name)
	}
}

// paced notes how fast a connected client says it is. What makes no sense is as good
// as not said.
func (s *server) paced(name string, speed, rate float64) {
	c := s.clients[name]
	if c == nil || !c.live {
		return
	}
	if speed > 0 && finite(speed) {
		c.speed = speed
	}
	if rate > 0 && finite(rate) {
		c.rate = min(rate, maxRate)
	}
}

// rates sums the rates of the connected clients; one that is not known counts as the
// mean of the others. Both are 0 if none is known.
func (s *server) rates() (sum, mean float64) {
	known, live := 0.0, 0.0
	for _, name := range s.names() { // in a fixed order, which a sum of floats depends on
		c := s.clients[name]
		if !c.live {
			continue
		}
		if live++; c.rate > 0 {
			known++
			sum += c.rate
		}
	}
	if known == 0 {
		return 0, 0
	}
	mean = sum / known
	return mean * live, mean
}

// fastest is the speed of the fastest connected client but one, 0 if none is known.
// A region is told that of the others: its own, as old as its last grant, would
// make tasks shorter where nobody is faster.
func (s *server) fastest(but string) float64 {
	top := 0.0
	for name, c := range s.clients {
		if c.live && name != but {
			top = max(top, c.speed)
		}
	}
	return top
}

// returned frees the samples that a client gives back.
func (s *server) returned(ev Return) {
	if c := s.clients[ev.Client]; c != nil && c.live && whole(ev.Samples, s.batch) {
		s.ledger.reclaim(ev.Client, ev.Samples)
	}
}

// reclaimAfter frees the samples of clients that have left, or that have been gone
// for so many ticks.
func (s *server) reclaimAfter(ticks int) {
	for _, name := range s.names() {
		if c := s.clients[name]; !c.live && (c.leaving || c.gone >= ticks) {
			s.ledger.reclaim(name, s.ledger.leased[name].Clone())
		}
	}
}

// sure is the first sample that is free without a doubt, where it counts as free.
// After a restart those before the snapshot's high-water mark, and as many behind it as
// are handed out between two snapshots, may be with clients that are yet to come back
// and say so.
func (s *server) sure() uint64 {
	if s.expecting() {
		return s.doubt
	}
	return 0
}

// expecting reports that clients from before a restart may still come.
func (s *server) expecting() bool {
	for _, c := range s.clients {
		if c.awaited && c.gone < takeoverAfter {
			return true
		}
	}
	return false
}

// quiet reports that no client is connected.
func (s *server) quiet() bool {
	for _, c := range s.clients {
		if c.live {
			return false
		}
	}
	return true
}

// deserted reports that no client is connected and none is likely to come back to
// hear that the job has ended.
func (s *server) deserted() bool {
	for _, c := range s.clients {
		if c.live || !c.leaving && c.gone < takeoverAfter && !(c.reported && c.gone >= farewellTicks) {
			return false
		}
	}
	return true
}
