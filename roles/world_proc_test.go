package roles

import (
	"slices"
)

// proc is one process with one role: what package node is to the real one.
type proc struct {
	w        *world
	id, peer string
	server   *proc // of its client half
	pace     moment

	role     actor
	life     int // appointments of an earlier life are void
	starts   uint64
	born     uint64 // starts without a state
	met      bool   // its server has welcomed it in this life
	left     bool   // it has said good-bye, and its server has not welcomed it since
	finished bool
	gone     moment // when it finished
	dead     bool   // for good
	draining bool
	jolted   moment // when something minor last happened to it
	hurt     moment // when something last kept it away for long
	fuse     int    // it crashes when it is about to do so many things, 0 = not

	up    *link            // to its server
	links map[string]*link // of its clients, welcomed ones
	side  uint64           // of each partition, a bit

	disk    disk
	writing bool
	round   *round
}

// later does f a span from now unless the process has ended by then.
func (p *proc) later(d moment, f func()) {
	life := p.life
	p.w.after(d, func() {
		if p.life == life && p.role != nil {
			f()
		}
	})
}

// start begins a life from what is on disk. Terms and sessions grow.
func (p *proc) start() {
	w := p.w
	if p.dead {
		return
	}
	p.life++
	p.starts++
	p.draining, p.writing, p.met, p.round, p.up, p.fuse = false, false, false, nil, nil, 0
	p.links = map[string]*link{}
	p.role = p.fresh(p.starts)
	if w.chance(w.rot) {
		p.rot()
	}
	s := p.disk.load()
	w.checks.restarted(p, s)
	if s != nil {
		p.restore(s)
	}
	if p.orphaned() {
		if p.hurt > p.server.gone {
			p.miss()
			return
		}
		w.checks.fault("%s comes back, and nobody is left to tell it that the job has ended", p.id)
	}
	p.hurt, p.jolted = w.now, w.now
	p.later(w.upTo(tick), p.tick)
	if p.server != nil {
		p.later(w.upTo(2*tick), p.connect)
	}
}

// fresh makes the role of the process as its node does at the given start.
func (p *proc) fresh(start uint64) actor {
	w, term := p.w, Term{Counter: start, Leader: p.peer}
	switch {
	case p.server == nil:
		return NewGPS(w.cfg, term, slices.Repeat([]float32{1}, w.n), uint64(w.tasks*w.cfg.H*w.cfg.Batch), w.window)
	case p.server == w.gps:
		return NewLPS(w.cfg, p.id, p.peer, term, w.n, w.window)
	}
	return NewWorker(p.peer, start, w.n, w.window)
}

func (p *proc) restore(s *saved) {
	s.durable = true
	state := copyState(s.state)
	if p.w.off == oneSnapshot {
		state.Server.Clients = p.w.checks.table[p.id]
	}
	if err := p.role.(interface{ Restore(State) error }).Restore(state); err != nil {
		p.w.checks.fault("%s: restore: %v", p.id, err)
	}
}

// name is what the server calls p.
func (p *proc) name() string {
	if p.server == p.w.gps {
		return p.id
	}
	return p.peer
}

// end stops the process. Its connections break.
func (p *proc) end() {
	if s, ok := p.role.(interface{ State() State }); ok && p.w.off == oneSnapshot {
		p.w.checks.table[p.id] = s.State().Server.Clients
	}
	p.disk.crash(p.w)
	p.life++
	p.role = nil
	if p.up != nil {
		p.up.sever()
	}
	for _, l := range p.links {
		l.up = false
	}
	for _, c := range p.w.procs {
		if c.up != nil && c.up.server == p {
			c.up.sever()
		}
	}
}

func (p *proc) tick() {
	p.step(Tick{}, nil)
	p.later(tick, p.tick)
}

// connect dials the server, again and again until it is there.
func (p *proc) connect() {
	if p.orphaned() {
		p.w.checks.fault("%s finds nobody to tell it that the job has ended", p.id)
		return
	}
	if p.server.role == nil || p.server.side != p.side {
		p.later(tick+p.w.upTo(4*tick), p.connect)
		return
	}
	p.up = newLink(p)
	p.step(Connected{}, nil)
}

// step folds an event into the role and does what it wants done, unless the process
// crashes in the middle of it. from is the link of the hello that is being answered.
func (p *proc) step(ev Event, from *link) {
	if p.w.watch != nil {
		p.w.watch(p, ev)
	}
	if meddle := without[p.w.off]; meddle != nil {
		ev = meddle(p, ev)
	}
	acts := p.role.Step(ev)
	if s := serverHalf(p.role); s != nil && p.w.off == refusalAdvances {
		takeBack(s, acts)
	}
	for _, a := range acts {
		if p.fuse > 0 {
			if p.fuse--; p.fuse == 0 {
				p.w.happened["crashes between two actions"]++
				p.crash(tick/4 + p.w.upTo(20*tick))
				return
			}
		}
		p.w.checks.action(p, ev, a)
		p.perform(a, from)
	}
	p.w.checks.stepped(p)
}

func (p *proc) perform(a Action, from *link) {
	switch a := a.(type) {
	case Delta:
		p.up.toServer(deltas, a)
		if p.w.off == keepTillServed {
			p.later(0, func() { p.step(Marks{Session: a.Session, Decided: a.Seq, Durable: a.Seq}, nil) })
		}
	case Follow:
		p.up.toServer(models, a)
	case Hello:
		p.up.toServer(acks, a)
	case Ask:
		p.up.toServer(acks, a)
	case Return:
		if p.w.off != giveBack {
			p.up.toServer(acks, a)
		}
	case Leaving:
		p.left = true
		p.up.toServer(acks, a)
	case Welcome:
		if old := p.links[a.Client]; old != nil && old != from {
			old.up = false
		}
		p.links[a.Client] = from
		from.toClient(acks, a)
	case Reject:
		from.toClient(acks, a)
	case Marks:
		p.links[a.Client].toClient(acks, a)
	case Grant:
		p.links[a.Client].toClient(acks, a)
	case Ended:
		p.links[a.Client].toClient(acks, a)
	case Model:
		a.Params = slices.Clone(a.Params)
		p.links[a.Client].toClient(models, a)
	case Train:
		p.train(a)
	case StopTraining:
		p.stopTraining()
	case Snapshot:
		p.snapshot(a.ID)
	case Finished:
		p.finish(a)
	}
}
