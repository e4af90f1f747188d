package roles

import (
	"fmt"
	"slices"

	"halos/data"
)

// checks watch a world. What a server has decided is its history: it is put back with
// the server's state, so it holds what the state holds.
type checks struct {
	w       *world
	faults  []string
	past    map[string]past                   // by server
	pushes  map[Name][]applied                // what a push is made of, as it was named last
	left    map[bits][]float32                // values of every delta that has left its sender
	highest map[string]uint64                 // seq of an LPS's newest push that has left it
	table   map[string]map[string]ClientState // decided tables at the servers' last ends
	refused map[string]int                    // verdicts against deltas, by server

	released map[string]map[string]mark // by server and client: what the client has let go
	excused  map[string]map[string]mark // the same, of disks that were lost
	secure   map[string]int             // by server: deltas of its history that clients have let go
	robbed   map[string]bool            // regions whose samples or pushes were not taken
}

// bits names the values of a delta: a sender that has lost its disk may use a name
// again.
type bits struct {
	Name
	born uint64
}

// past is the history of one server.
type past struct {
	applied []applied
	refused []Name
	pushed  int // of an LPS: how many of the applied earlier pushes hold
}

// applied is a delta that a server has applied.
type applied struct {
	Name
	samples data.Intervals
	values  []float32
}

func (c *checks) init(w *world) {
	*c = checks{
		w: w, past: map[string]past{}, pushes: map[Name][]applied{}, left: map[bits][]float32{}, highest: map[string]uint64{},
		table: map[string]map[string]ClientState{}, refused: map[string]int{},
		released: map[string]map[string]mark{}, excused: map[string]map[string]mark{}, secure: map[string]int{}, robbed: map[string]bool{},
	}
}

func (c *checks) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf("tick %d: ", c.w.now/tick)+fmt.Sprintf(format, args...))
}

func (c *checks) pastOf(p *proc) past {
	h := c.past[p.id]
	return past{slices.Clip(h.applied), slices.Clip(h.refused), h.pushed}
}

// action checks one action of p, which followed from ev.
func (c *checks) action(p *proc, ev Event, a Action) {
	switch a := a.(type) {
	case Applied:
		c.applied(p, ev.(Delta))
	case Refused:
		c.refuses(p, a.Name)
	case Marks:
		if n := (Name{a.Client, a.Session, a.Want}); a.Want > 0 && slices.Contains(c.past[p.id].refused, n) {
			c.fault("%s asks for %v again, which it has refused", p.id, n)
		}
	case Lost:
		if m := c.excused[p.id][a.Client]; m.session != a.Session || m.decided < a.To {
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
		c.releases(p, a.Name)
	}
}

// stepped checks what holds after each Step: K updates do not wait for a push while
// none is on its way.
func (c *checks) stepped(p *proc) {
	l, ok := p.role.(*LPS)
	if ok && l.ready && l.flight.seq == 0 && l.updates >= uint64(c.w.cfg.K) {
		c.fault("%s: %d updates wait, K is %d and no push is on its way", p.id, l.updates, c.w.cfg.K)
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
		if p != c.w.gps {
			continue
		}
		if both := intersect(old.samples, d.Samples); len(both) > 0 {
			c.fault("%s applies samples %v of %v and of %v", p.id, both, old.Name, d.Name)
		}
	}
	if slices.Contains(h.refused, d.Name) {
		c.fault("%s applies %v, which it has refused", p.id, d.Name)
	}
	h.applied = append(h.applied, applied{d.Name, d.Samples.Clone(), slices.Clone(d.Values)})
	c.past[p.id] = h
}

// refuses notes a verdict against a delta, which must be the only one on it.
func (c *checks) refuses(p *proc, n Name) {
	c.refused[p.id]++
	h := c.past[p.id]
	if slices.Contains(h.refused, n) || h.find(n) >= 0 {
		c.fault("%s refuses %v, which it has decided", p.id, n)
	}
	h.refused = append(h.refused, n)
	c.past[p.id] = h
	if p == c.w.gps {
		c.robbed[n.Client] = true
	}
}

// find returns the place of a delta in the history, -1 if it was not applied.
func (h past) find(n Name) int {
	for i := len(h.applied) - 1; i >= 0; i-- {
		if h.applied[i].Name == n {
			return i
		}
	}
	return -1
}

// releases checks that a delta that p no longer holds is, with its verdict, in what
// its server would start from. With a mechanism off, it is for other checks to notice
// what follows.
func (c *checks) releases(p *proc, n Name) {
	id, saved, at := p.server.id, p.server.disk.safe(), -1
	if saved != nil {
		at = saved.past.find(n)
	}
	switch decided := at >= 0 || saved != nil && slices.Contains(saved.past.refused, n); {
	case c.w.off != nothing:
	case !saved.covers(n.Client, mark{n.Session, n.Seq}):
		c.fault("%s releases %v, which is not durable at %s", p.id, n, id)
	case !decided:
		c.fault("%s releases %v, which %s has never decided", p.id, n, id)
	}
	if c.released[id] == nil {
		c.released[id] = map[string]mark{}
	}
	c.released[id][n.Client] = mark{n.Session, n.Seq}
	c.secure[id] = max(c.secure[id], at+1)
}

// sent checks a delta that leaves its sender: a name always stands for the same bits,
// a push for the sum of what it is made of, and it is on disk.
func (c *checks) sent(p *proc, d Delta) {
	key := bits{d.Name, p.born}
	if old := c.left[key]; old == nil {
		c.left[key] = slices.Clone(d.Values)
	} else if !slices.Equal(old, d.Values) {
		c.fault("%s sends %v again with other values", p.id, d.Name)
	}
	if p.server != c.w.gps {
		return
	}
	c.highest[p.id] = max(c.highest[p.id], d.Seq)
	held := func(e EntryState) bool { return e.Seq == d.Seq }
	if s := p.disk.safe(); c.w.off == nothing && (s == nil || !slices.ContainsFunc(s.state.Region.Outbox, held)) {
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
