package roles

// mishaps strike at random until the world is to be calm.
func (w *world) mishaps() {
	w.after(1+w.upTo(2*w.chaos), func() {
		if w.now > w.calm {
			return
		}
		w.mishap(w.procs[w.rng.IntN(len(w.procs))])
		w.mishaps()
	})
}

// mishap does something bad to p.
func (w *world) mishap(p *proc) {
	if p.role == nil || p.dead {
		return
	}
	if w.gps.finished || w.gps.role != nil && w.gps.role.(*GPS).complete() { // let all hear of it
		if p.up != nil {
			p.up.sever()
		}
		return
	}
	lps := p.server == w.gps
	dice := w.rng.IntN(100)
	if w.mild {
		dice %= 70
	}
	switch {
	case dice < 45:
		if p.up != nil {
			p.up.sever()
		}
	case dice < 70:
		p.crash(tick/4 + w.upTo(20*tick))
	case dice < 76:
		p.crash(w.upTo(400 * tick))
	case dice < 82 && p.server != nil:
		p.drain()
	case dice < 88 && lps: // its disk is lost, and sometimes another peer steps in
		p.disk = nil
		if w.chance(0.5) {
			p.peer += "'"
		}
		p.crash(w.upTo(60 * tick))
	case dice < 94 && p.server != nil && !lps && w.living() > 1: // for good
		p.dead = true
		p.end()
	}
}

// crash ends the process at once. It starts again after a while.
func (p *proc) crash(again moment) {
	p.end()
	p.w.after(again, p.start)
}

// drain asks the process to finish and start again. Its node has patience for a
// while only.
func (p *proc) drain() {
	if p.draining {
		return
	}
	p.draining = true
	p.later(120*tick, func() {
		if !p.finished {
			p.crash(tick)
		}
	})
	p.step(Drain{}, nil)
}

// living counts the workers that have not died for good.
func (w *world) living() int {
	n := 0
	for _, p := range w.procs {
		if p.server != nil && p.server != w.gps && !p.dead {
			n++
		}
	}
	return n
}
