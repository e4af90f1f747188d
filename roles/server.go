package roles

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"halos/optim"
)

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
	reserve uint64   // samples that an LPS hands a worker at most before a snapshot knows of it
	doubt   uint64   // free samples before it may be in the hands of workers from before a restart
	waiting []string // clients whose Ask is not answered yet, oldest first
	ended   bool
	linger  int // ticks since then

	snap snapshots
}

func (s *server) id() ModelID { return ModelID{Term: s.term, Version: s.version} }

// names lists the clients in a fixed order, so that actions do not depend on a map.
func (s *server) names() []string { return slices.Sorted(maps.Keys(s.clients)) }

// decide gives d its verdict. applied says that the model now contains it.
func (s *server) decide(d Delta) (applied bool, acts []Action) {
	c := s.clients[d.Client]
	if c == nil || !c.live || d.Session != c.session {
		return false, nil // of a life that is over, or from before the hello
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
		if whole(d.Samples, s.batch) {
			s.ledger.reclaim(d.Client, d.Samples)
		}
		c.follow = nil // no model may overtake the refusal
		marks.Refused = []Refusal{{Seq: d.Seq, Reason: reason}}
		return false, []Action{Refused{Name: d.Name, Reason: reason}, marks}
	}
	staleness := s.staleness(d)
	s.opt.Step(s.params, d.Values)
	s.version++
	s.ledger.commit(d.Client, d.Samples)
	return true, []Action{
		Applied{Name: d.Name, Version: s.version, Staleness: staleness, Steps: d.Steps, Samples: d.Samples, Loss: d.Loss},
		marks,
	}
}

// check says why d must not be applied, "" if nothing speaks against it.
func (s *server) check(d Delta) string {
	bound := float64(maxNorm)
	if s.normSteps > 0 {
		bound = min(bound, s.normBase+s.normSteps*float64(d.Steps))
	}
	switch {
	case !s.ready:
		return "this server has no model yet"
	case len(d.Values) != len(s.params):
		return fmt.Sprintf("%d elements, the model has %d", len(d.Values), len(s.params))
	case !finite(d.Norm) || !finite(float64(d.Loss)):
		return "values that are not finite"
	case d.Norm > bound:
		return fmt.Sprintf("norm %.4g beyond the bound %.4g for %d steps", d.Norm, bound, d.Steps)
	case d.Base.Term == s.term && d.Base.Version > s.version:
		return fmt.Sprintf("base version %d, the model is at %d", d.Base.Version, s.version)
	case s.stale > 0 && s.staleness(d) > s.stale:
		return fmt.Sprintf("%d versions behind, at most %d are accepted", s.staleness(d), s.stale)
	case !whole(d.Samples, s.batch):
		return fmt.Sprintf("samples that are no whole batches of %d", s.batch)
	case d.Steps == 0 || d.Steps > math.MaxUint32 || d.Steps*uint64(s.batch) != d.Samples.Len():
		return fmt.Sprintf("%d steps of %d samples, %d samples named", d.Steps, s.batch, d.Samples.Len())
	case !s.ledger.holds(d.Client, d.Samples):
		return "samples that are not leased to it (reclaimed after a silence?)"
	}
	return ""
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// staleness counts the versions between d's base and the model. After a restart the
// versions of a base of an earlier term can be ahead: that counts as none.
func (s *server) staleness(d Delta) uint64 { return s.version - min(s.version, d.Base.Version) }

// follows notes a connected client's credit for a model.
func (s *server) follows(ev Follow) {
	if c := s.clients[ev.Client]; c != nil && c.live {
		c.follow = &ev
	}
}

// offer sends the model to every client whose credit it satisfies. committed is what
// the server knows of the job's committed samples.
func (s *server) offer(committed uint64) []Action {
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
		acts = append(acts, Model{Client: name, ID: s.id(), Contains: c.decided, Committed: committed, Params: s.params})
	}
	return acts
}

// tick lets time pass for the clients.
func (s *server) tick() {
	s.snap.since++
	if s.ended {
		s.linger++
	}
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
