package roles

import (
	"maps"
	"slices"

	"halos/data"
)

// restarted checks what a server starts from, nil if there is nothing: it holds all
// that its clients have let go.
func (c *checks) restarted(p *proc, s *saved) {
	for client, m := range c.released[p.id] {
		if !s.covers(client, m) {
			c.fault("%s starts without delta %d of session %d of %s, which was durable", p.id, m.decided, m.session, client)
		}
	}
	if s == nil {
		p.born++
		c.past[p.id] = past{}
		return
	}
	c.past[p.id] = s.past
	if len(s.past.applied) < c.secure[p.id] {
		c.fault("%s starts with %d deltas applied, %d were durable", p.id, len(s.past.applied), c.secure[p.id])
	}
}

// lostDisk excuses a server from what was on its disk.
func (c *checks) lostDisk(p *proc) {
	if c.excused[p.id] == nil {
		c.excused[p.id] = map[string]mark{}
	}
	maps.Copy(c.excused[p.id], c.released[p.id])
	delete(c.released, p.id)
	delete(c.secure, p.id)
	delete(c.highest, p.id)
}

// spare reports that nobody would miss s, the newest snapshot of p, if p started from
// an older one: no client has let go of what only s holds, and no push, and not the
// end of the job, has left p on the strength of s.
func (c *checks) spare(p *proc, s, older *saved) bool {
	for client, m := range c.released[p.id] {
		if !older.covers(client, m) {
			return false
		}
	}
	if r := older.state.Region; r != nil {
		return c.highest[p.id] < r.Next && !s.state.Region.Ended
	}
	return len(s.state.Server.Free)+len(s.state.Server.Leased) > 0
}

// welcomed notes whether the GPS still counts as a region's what the region holds.
func (c *checks) welcomed(p *proc, w Welcome) {
	l, ok := p.role.(*LPS)
	if !ok {
		return
	}
	held := l.done.samples.Clone()
	held.AddAll(l.out.samples(w.Decided))
	held.RemoveAll(w.Leases)
	if len(held) > 0 {
		c.robbed[p.id] = true
	}
}

// final checks the end of the job: every sample trained once, every value there.
func (c *checks) final() {
	w := c.w
	saved := w.gps.disk.safe()
	if saved == nil {
		c.fault("the job has ended and nothing is on disk")
		return
	}
	state := saved.state
	want := data.Intervals{{End: uint64(w.tasks * w.cfg.H * w.cfg.Batch)}}
	if !slices.Equal(state.Server.Committed, want) || len(state.Server.Free) > 0 || len(state.Server.Leased) > 0 {
		c.fault("committed %v, free %v, leased %v, want all of %v committed", state.Server.Committed, state.Server.Free, state.Server.Leased, want)
	}
	params := slices.Repeat([]float32{1}, w.n)
	names := map[Name]bool{}
	var trained data.Intervals
	for _, push := range saved.past.applied {
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
	c.arrived(names)
}

// arrived checks that the GPS has, of the given worker deltas, all that their workers
// have let go, but for regions that something was taken from.
func (c *checks) arrived(names map[Name]bool) {
	for _, p := range c.w.procs {
		if p.server != c.w.gps || c.robbed[p.id] || p.dead {
			continue
		}
		for _, d := range c.past[p.id].applied[:c.secure[p.id]] {
			if !names[d.Name] {
				c.fault("%v was durable at %s and is in no push that the GPS has applied", d.Name, p.id)
			}
		}
	}
}
