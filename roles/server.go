package roles

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"halos/optim"
)

// maxClients bounds the decided table: entries are made by hellos.
const maxClients = 4096

// server is the half of an LPS or a GPS that takes deltas from clients. It gives
// every delta of a client one verdict, in order of seq, and applies the good ones.
type server struct {
	term      Term
	batch     int     // samples per local step
	window    uint64  // deltas a client may hold that are not durable yet
	normSteps float64 // a delta's norm is at most normBase + normSteps * its steps; 0 = no bound
	normBase  float64
	stale     uint64 // most versions a delta may be behind; 0 = no bound

	ready   bool      // params hold a model
	params  []float32 // [n]
	opt     *optim.DelayedNesterov
	version uint64
	changes uint64 // what a snapshot would miss if it had been taken before
	clients map[string]*client
	ledger  ledger
	waiting []string // clients whose Ask is not answered yet, oldest first
	ended   bool

	snap snapshots
}

// client is what a server knows of one client.
type client struct {
	peer     string // who speaks for it
	session  uint64
	decided  uint64 // every seq up to it has its verdict
	durable  uint64 // and up to this one the verdict is on disk
	live     bool
	leaving  bool
	gone     int     // ticks since it went
	follow   *Follow // credit for a model, nil if none
	asks     uint64  // samples an LPS has asked for, tasks a worker has
	told     bool    // its ask was answered with: nothing left
	reported bool    // told that the job has ended
}

func (s *server) id() ModelID { return ModelID{Term: s.term, Version: s.version} }

// names lists the clients in a fixed order, so that actions do not depend on a map.
func (s *server) names() []string { return slices.Sorted(maps.Keys(s.clients)) }

// hello admits a client or turns it away.
func (s *server) hello(ev Hello) []Action {
	reject := func(r Reason, format string, args ...any) []Action {
		return []Action{Reject{Client: ev.Client, Peer: ev.Peer, Reason: r, Detail: fmt.Sprintf(format, args...)}}
	}
	c := s.clients[ev.Client]
	switch {
	case s.ended:
		return reject(ReasonEnded, "the job is complete")
	case ev.Next == 0 || ev.Oldest == 0 || ev.Oldest > ev.Next:
		return reject(ReasonInvalid, "oldest %d, next %d", ev.Oldest, ev.Next)
	case c == nil && len(s.clients) >= maxClients:
		return reject(ReasonInvalid, "%d clients are known already", maxClients)
	case c == nil:
		c = &client{}
		s.clients[ev.Client] = c
	case c.peer != ev.Peer && (c.live || c.gone < takeoverAfter):
		return reject(ReasonTaken, "%s speaks for %s", c.peer, ev.Client)
	case ev.Session != 0 && ev.Session < c.session:
		return reject(ReasonSession, "session %d of %s, now %d", ev.Session, ev.Client, c.session)
	}
	var acts []Action
	if ev.Session == 0 || ev.Session != c.session {
		s.renew(ev.Client, c, ev.Session)
		s.changes++
	}
	if ev.Oldest > c.decided+1 {
		acts = append(acts, Lost{Client: ev.Client, Session: c.session, From: c.decided + 1, To: ev.Oldest - 1})
		c.decided = ev.Oldest - 1
	}
	s.ledger.reconcile(ev.Client, ev.Leases)
	c.peer, c.live, c.leaving, c.gone, c.follow, c.asks, c.told = ev.Peer, true, false, 0, nil, 0, false
	s.forget(ev.Client)
	return append(acts, Welcome{
		Client: ev.Client, Term: s.term, Session: c.session, Decided: c.decided, Durable: c.durable,
		Leases: s.ledger.leased[ev.Client].Clone(),
	})
}

// renew starts a client's next session: the samples of the last one are free again.
func (s *server) renew(name string, c *client, session uint64) {
	if session == 0 {
		session = c.session + 1
	}
	s.ledger.reclaim(name, s.ledger.leased[name].Clone())
	*c = client{session: session}
}

func (s *server) forget(name string) {
	s.waiting = slices.DeleteFunc(s.waiting, func(w string) bool { return w == name })
}

// decide gives d its verdict. applied says that the model now contains it.
func (s *server) decide(d Delta) (applied bool, acts []Action) {
	c := s.clients[d.Client]
	if c == nil || d.Session != c.session {
		return false, nil // of a life that is over
	}
	marks := Marks{Client: d.Client, Session: c.session, Decided: c.decided, Durable: c.durable}
	if d.Seq <= c.decided {
		return false, []Action{marks}
	}
	if d.Seq > c.decided+1 {
		marks.Want = c.decided + 1
		return false, []Action{marks}
	}
	c.decided = d.Seq
	s.changes++
	marks.Decided = d.Seq
	if reason := s.check(d); reason != "" {
		s.ledger.reclaim(d.Client, d.Samples)
		marks.Refused = []Refusal{{Seq: d.Seq, Reason: reason}}
		return false, []Action{Refused{Name: d.Name, Reason: reason}, marks}
	}
	staleness := s.staleness(d)
	s.opt.Step(s.params, d.Values)
	s.version++
	s.ledger.commit(d.Client, d.Samples)
	return true, []Action{
		Applied{Name: d.Name, Version: s.version, Staleness: staleness, Steps: d.Steps, Loss: d.Loss},
		marks,
	}
}

// check says why d must not be applied, "" if nothing speaks against it.
func (s *server) check(d Delta) string {
	bound := s.normBase + s.normSteps*float64(d.Steps)
	switch {
	case !s.ready:
		return "this server has no model yet"
	case len(d.Values) != len(s.params):
		return fmt.Sprintf("%d elements, the model has %d", len(d.Values), len(s.params))
	case math.IsNaN(d.Norm) || math.IsInf(d.Norm, 0):
		return "values that are not finite"
	case bound > 0 && d.Norm > bound:
		return fmt.Sprintf("norm %.4g beyond the bound %.4g for %d steps", d.Norm, bound, d.Steps)
	case d.Base.Term == s.term && d.Base.Version > s.version:
		return fmt.Sprintf("base version %d, the model is at %d", d.Base.Version, s.version)
	case s.stale > 0 && s.staleness(d) > s.stale:
		return fmt.Sprintf("%d versions behind, at most %d are accepted", s.staleness(d), s.stale)
	case d.Steps == 0 || d.Steps > math.MaxUint32 || d.Steps*uint64(s.batch) != d.Samples.Len():
		return fmt.Sprintf("%d steps of %d samples, %d samples named", d.Steps, s.batch, d.Samples.Len())
	case !s.ledger.holds(d.Client, d.Samples):
		return "samples that are not leased to it (reclaimed after a silence?)"
	}
	return ""
}

// staleness counts the versions between d's base and the model. After a restart the
// versions of a base of an earlier term can be ahead: that counts as none.
func (s *server) staleness(d Delta) uint64 { return s.version - min(s.version, d.Base.Version) }

// follows notes a client's credit for a model and answers it if it can.
func (s *server) follows(ev Follow) []Action {
	c := s.clients[ev.Client]
	if c == nil {
		return nil
	}
	c.follow = &ev
	return s.offer()
}

// offer sends the model to every client whose credit it satisfies.
func (s *server) offer() []Action {
	if !s.ready {
		return nil
	}
	var acts []Action
	for _, name := range s.names() {
		c := s.clients[name]
		if c.follow == nil || c.decided < c.follow.Contains || c.follow.Have == s.id() {
			continue
		}
		c.follow = nil
		acts = append(acts, Model{Client: name, ID: s.id(), Contains: c.decided, Params: s.params})
	}
	return acts
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

// reclaimAfter frees the samples of clients that have been gone for so many ticks.
func (s *server) reclaimAfter(ticks int) (reclaimed bool) {
	for _, name := range s.names() {
		c := s.clients[name]
		if c.live || c.gone < ticks || len(s.ledger.leased[name]) == 0 {
			continue
		}
		s.ledger.reclaim(name, s.ledger.leased[name].Clone())
		reclaimed = true
	}
	return reclaimed
}

// tick lets time pass for the clients.
func (s *server) tick() {
	s.snap.since++
	for _, c := range s.clients {
		if !c.live {
			c.gone++
		}
	}
}

// end tells every connected client, once, that the job is complete.
func (s *server) end() []Action {
	s.ended = true
	var acts []Action
	for _, name := range s.names() {
		if c := s.clients[name]; c.live && !c.reported {
			c.reported = true
			acts = append(acts, Ended{Client: name})
		}
	}
	return acts
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

// asked notes that a connected client wants n more samples (an LPS) or tasks (a
// worker).
func (s *server) asked(name string, n uint64) {
	c := s.clients[name]
	if c == nil || !c.live {
		return
	}
	c.asks += n
	if !slices.Contains(s.waiting, name) {
		s.waiting = append(s.waiting, name)
	}
}
