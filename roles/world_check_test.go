package roles

import (
	"fmt"
	"slices"

	"halos/data"
)

// checks watch a world. What a server has applied is its history: it is put back with
// the server's state, so it holds what the state holds.
type checks struct {
	w       *world
	faults  []string
	past    map[string]past                   // by server
	pushes  map[Name][]applied                // what a push is made of, as it was named last
	left    map[string][]float32              // values of every delta that has left its sender
	table   map[string]map[string]ClientState // decided tables at the servers' last ends
	refused map[string]int                    // verdicts against deltas, by server
}

// past is the history of one server.
type past struct {
	applied []applied
	pushed  int // of an LPS: how many of them earlier pushes hold
}

// applied is a delta that a server has applied.
type applied struct {
	Name
	samples data.Intervals
	values  []float32
}

func (c *checks) init(w *world) {
	*c = checks{
		w: w, past: map[string]past{}, pushes: map[Name][]applied{}, left: map[string][]float32{},
		table: map[string]map[string]ClientState{}, refused: map[string]int{},
	}
}

func (c *checks) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf("tick %d: ", c.w.now/tick)+fmt.Sprintf(format, args...))
}

func (c *checks) forget(p *proc) { c.past[p.id] = past{} }

func (c *checks) putBack(p *proc, to past) { c.past[p.id] = to }

func (c *checks) pastOf(p *proc) past {
	h := c.past[p.id]
	return past{slices.Clip(h.applied), h.pushed}
}

// action checks one action of p, which followed from ev.
func (c *checks) action(p *proc, ev Event, a Action) {
	switch a := a.(type) {
	case Applied:
		c.applied(p, ev.(Delta))
	case Refused:
		c.refused[p.id]++
	case Lost:
		if p.born == 1 {
			c.fault("%s: deltas %d to %d of %s are lost", p.id, a.From, a.To, a.Client)
		}
	case Named:
		if p.server == c.w.gps {
			h := c.past[p.id]
			c.pushes[a.Name] = h.applied[h.pushed:]
			h.pushed = len(h.applied)
			c.past[p.id] = h
		}
	case Delta:
		c.sent(p, a)
	case Released:
		strict := c.w.off == nothing || c.w.off == keepTillSaved || c.w.off == oneSnapshot
		if saved := p.server.disk; strict &&
			(saved == nil || saved.state.Server.Clients[a.Client].Decided < a.Seq) {
			c.fault("%s releases %v, which is not durable at %s", p.id, a.Name, p.server.id)
		}
	}
}

// applied notes that a server has applied a delta: no name twice, and at the GPS no
// sample. (An LPS may see samples again that were in a push which the GPS refused.)
func (c *checks) applied(p *proc, d Delta) {
	h := c.past[p.id]
	for _, old := range h.applied {
		if old.Name == d.Name {
			c.fault("%s applies %v twice", p.id, d.Name)
		}
		if both := intersect(old.samples, d.Samples); p == c.w.gps && len(both) > 0 {
			c.fault("%s applies samples %v of %v and of %v", p.id, both, old.Name, d.Name)
		}
	}
	h.applied = append(h.applied, applied{d.Name, d.Samples.Clone(), slices.Clone(d.Values)})
	c.past[p.id] = h
}

// sent checks a delta that leaves its sender: a name always stands for the same bits,
// a push for the sum of what it is made of, and it is on disk.
func (c *checks) sent(p *proc, d Delta) {
	key := fmt.Sprint(d.Name, p.born)
	if old := c.left[key]; old != nil && !slices.Equal(old, d.Values) {
		c.fault("%s sends %v again with other values", p.id, d.Name)
	}
	c.left[key] = slices.Clone(d.Values)
	if p.server != c.w.gps {
		return
	}
	if c.w.off != outputCommit && !slices.ContainsFunc(p.disk.state.Region.Outbox, func(e EntryState) bool { return e.Seq == d.Seq }) {
		c.fault("%s sends %v before it is on disk", p.id, d.Name)
	}
	if !c.w.exact {
		return
	}
	sum := make([]float32, len(d.Values))
	for _, part := range c.pushes[d.Name] {
		for i, v := range part.values {
			sum[i] += v
		}
	}
	if !slices.Equal(sum, d.Values) {
		c.fault("%s pushes %v, its deltas sum up to %v", p.id, d.Values, sum)
	}
}

// final checks the end of the job: every sample trained once, every value there.
func (c *checks) final() {
	w := c.w
	if w.gps.disk == nil {
		c.fault("the job has ended and nothing is on disk")
		return
	}
	state := w.gps.disk.state
	want := data.Intervals{{End: uint64(w.tasks * w.cfg.H * w.cfg.Batch)}}
	if !slices.Equal(state.Server.Committed, want) || len(state.Server.Free) > 0 || len(state.Server.Leased) > 0 {
		c.fault("committed %v, free %v, leased %v, want all of %v committed", state.Server.Committed, state.Server.Free, state.Server.Leased, want)
	}
	params := slices.Repeat([]float32{1}, w.n)
	names := map[Name]bool{}
	var trained data.Intervals
	for _, push := range c.past[w.gps.id].applied {
		for _, d := range c.pushes[push.Name] {
			if names[d.Name] {
				c.fault("%v is in two pushes that the GPS has applied", d.Name)
			}
			names[d.Name] = true
			if both := intersect(trained, d.samples); len(both) > 0 {
				c.fault("samples %v are in two pushes that the GPS has applied", both)
			}
			trained.AddAll(d.samples)
			for i, v := range d.values {
				params[i] -= v
			}
		}
	}
	if !slices.Equal(trained, want) {
		c.fault("trained %v, want %v", trained, want)
	}
	if w.exact && !slices.Equal(params, state.Params) {
		c.fault("the model is %v, the start less %d deltas is %v", state.Params, len(names), params)
	}
}
