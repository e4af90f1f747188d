package roles

// finish takes a role that has nothing left to do off its process.
func (p *proc) finish(f Finished) {
	half := serverHalf(p.role)
	p.finished, p.gone = f.Ended, p.w.now
	p.end()
	switch {
	case f.Ended:
		for _, c := range p.w.procs {
			if c.server == p && !c.finished && !c.dead && c.mayMiss(half) {
				c.miss()
			}
		}
	case f.Diverged:
		p.w.after(tick+p.w.upTo(20*tick), p.start)
	case !f.Ended && p.draining:
		p.w.after(tick+p.w.upTo(40*tick), p.start)
	case !f.Ended:
		p.w.checks.fault("%s: finished before the end of the job", p.id)
	}
}

// soon is the time after which a process that nothing happens to is back at its
// server and has heard what there is to hear.
const soon = 30 * tick

// jolt notes that something minor happened to p. Two of the kind in a row may keep it
// away from its server for longer.
func (p *proc) jolt() {
	if p.w.now-p.jolted < soon {
		p.hurt = p.w.now
	}
	p.jolted = p.w.now
}

// mayMiss reports that p may not hear of the end of the job from its server, which
// goes for good: one of them was asked to stop, or p was down or cut off for so long
// that the server's patience has ended.
func (p *proc) mayMiss(s *server) bool {
	c := s.clients[p.name()]
	away := p.role == nil || !p.met || p.side != p.server.side ||
		p.w.now-max(p.hurt, p.server.hurt) < moment(s.linger)*tick+soon
	switch {
	case c == nil || p.left || p.server.draining:
		return true
	case s.linger >= lingerTicks || c.gone >= takeoverAfter || c.reported && c.gone >= farewellTicks:
		return away && !p.knows()
	}
	return false
}

// miss gives p and its clients up: nobody is left to tell them that the job has ended.
func (p *proc) miss() {
	p.dead = true
	p.w.happened["ends missed"]++
	for _, c := range p.w.procs {
		if c.server == p && !c.finished && !c.dead {
			c.miss()
		}
	}
}

// orphaned reports that p cannot hear of the end of the job any more.
func (p *proc) orphaned() bool { return p.server != nil && p.server.finished && !p.dead && !p.knows() }

// knows reports that p knows without its server that the job has ended.
func (p *proc) knows() bool {
	l, ok := p.role.(*LPS)
	return ok && l.ended
}
