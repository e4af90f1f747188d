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
	dice := w.rng.IntN(100)
	if w.mild {
		dice %= 80
	}
	worker := p.server != nil && p.server != w.gps
	switch {
	case dice < 30:
		if p.up != nil {
			w.happened["broken links"]++
			p.jolt()
			p.up.sever()
		}
	case dice < 50:
		p.crash(w.brief())
	case dice < 58:
		p.fuse = 1 + w.rng.IntN(4)
	case dice < 66: // a site without power
		w.happened["blackouts"]++
		for _, q := range w.group(p) {
			q.crash(w.brief())
		}
	case dice < 80:
		w.part(w.group(p), w.brief())
	case dice < 84:
		p.crash(w.upTo(400 * tick))
	case dice < 87:
		w.part(w.group(p), w.upTo(400*tick))
	case dice < 91:
		p.drain()
	case dice < 95 && p.server == w.gps:
		p.loseDisk()
	case dice < 98 && worker && w.living() > 1:
		p.crash(0)
		p.dead = true
	}
}

// brief is a span after which nobody has given up on anybody.
func (w *world) brief() moment { return tick/4 + w.upTo(20*tick) }

// group draws processes that share p's fate: p alone, those of its site, or any.
func (w *world) group(p *proc) []*proc {
	site := p
	switch {
	case p == w.gps: // with the region that is nearest
		site = w.procs[1]
	case p.server != w.gps:
		site = p.server
	}
	kind := w.rng.IntN(3)
	var group []*proc
	for _, q := range w.procs {
		if q == p || kind == 1 && (q == site || q.server == site) || kind == 2 && w.chance(0.5) {
			group = append(group, q)
		}
	}
	return group
}

// part cuts a group off from all others for a span. Who has no patience until then
// breaks the connection.
func (w *world) part(group []*proc, d moment) {
	w.happened["partitions"]++
	bit := uint64(1) << (w.parted % 64) // none lasts until its bit's next turn
	w.parted++
	for _, p := range group {
		p.side |= bit
	}
	for _, p := range w.procs {
		l := p.up
		if l == nil || !l.cut() {
			continue
		}
		p.hurt = w.now
		w.after(tick+w.upTo(40*tick), func() {
			if l.up && l.cut() {
				l.client.hurt = w.now
				l.sever()
			}
		})
	}
	w.after(d, func() { w.heal(bit) })
}

// heal ends a partition.
func (w *world) heal(bit uint64) {
	apart := map[*proc]bool{}
	for _, p := range w.procs {
		apart[p] = p.server != nil && p.side != p.server.side
	}
	for _, p := range w.procs {
		p.side &^= bit
	}
	for _, p := range w.procs {
		if !apart[p] || p.side != p.server.side {
			continue
		}
		p.hurt = w.now
		if p.up != nil {
			p.up.resume()
		}
	}
}

// crash ends the process at once. It starts again after a while.
func (p *proc) crash(again moment) {
	if p.role == nil || p.dead {
		return
	}
	p.w.happened["crashes"]++
	p.hurt = p.w.now
	p.end()
	p.w.after(again, p.start)
}

// loseDisk is a crash after which nothing is left of an LPS. Sometimes another peer
// steps in.
func (p *proc) loseDisk() {
	p.w.happened["lost disks"]++
	p.crash(p.w.upTo(60 * tick))
	p.disk = disk{}
	p.w.checks.lostDisk(p)
	if p.w.chance(0.5) {
		p.peer += "'"
	}
}

// drain asks the process to finish and start again. Its node has patience for a
// while only.
func (p *proc) drain() {
	if p.draining {
		return
	}
	p.w.happened["drains"]++
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
