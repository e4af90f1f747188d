package roles

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"halos/data"
)

// stepper is a role.
type stepper interface{ Step(Event) []Action }

// proc is one process with one role: what package node is to the real one.
type proc struct {
	w        *world
	id, peer string
	server   *proc // of its client half
	pace     moment

	role     stepper
	life     int // appointments of an earlier life are void
	starts   uint64
	born     uint64 // starts without a state
	met      bool   // its server has welcomed it in this life
	finished bool
	dead     bool // for good
	draining bool

	up    *link            // to its server
	links map[string]*link // of its clients, welcomed ones

	disk    *saved
	writing bool
	round   *round
}

// saved is a snapshot on disk, with how long the history was that it holds.
type saved struct {
	state State
	past  past
}

// round is what a worker's trainer works on.
type round struct {
	Train
	began moment
	over  bool
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
	p.draining, p.writing, p.met, p.round, p.up = false, false, false, nil, nil
	p.links = map[string]*link{}
	term := Term{Counter: p.starts, Leader: p.peer}
	switch {
	case p.server == nil:
		p.role = NewGPS(w.cfg, term, slices.Repeat([]float32{1}, w.n), uint64(w.tasks*w.cfg.H*w.cfg.Batch), w.window)
	case p.server == w.gps:
		p.role = NewLPS(w.cfg, p.id, p.peer, term, w.n, w.window)
	default:
		p.role = NewWorker(p.peer, p.starts, w.n, w.window)
	}
	if p.disk == nil {
		p.born++
		w.checks.forget(p)
	} else {
		p.restore()
	}
	p.later(w.upTo(tick), p.tick)
	if p.server != nil {
		p.later(w.upTo(2*tick), p.connect)
	}
}

func (p *proc) restore() {
	state := p.disk.state
	if p.w.off == oneSnapshot {
		state.Server.Clients = p.w.checks.table[p.id]
	}
	if err := p.role.(interface{ Restore(State) error }).Restore(state); err != nil {
		p.w.checks.fault("%s: restore: %v", p.id, err)
	}
	p.w.checks.putBack(p, p.disk.past)
}

// end stops the process. Its connections break.
func (p *proc) end() {
	if s, ok := p.role.(interface{ State() State }); ok {
		p.w.checks.table[p.id] = s.State().Server.Clients
	}
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
	if s := serverHalf(p.role); s != nil {
		for _, c := range s.clients {
			switch {
			case p.w.off == reclaim:
				c.gone = 0
			case p.w.off == farewell && s.ended:
				c.leaving = true
			}
		}
	}
	p.step(Tick{}, nil)
	p.later(tick, p.tick)
}

// connect dials the server, again and again until it is there.
func (p *proc) connect() {
	if p.server.role == nil {
		p.later(tick+p.w.upTo(4*tick), p.connect)
		return
	}
	p.up = newLink(p)
	p.step(Connected{}, nil)
}

// step folds an event into the role and does what it wants done. from is the link of
// the hello that is being answered.
func (p *proc) step(ev Event, from *link) {
	acts := p.role.Step(ev)
	if p.w.watch != nil {
		p.w.watch(p, ev, acts)
	}
	for _, a := range acts {
		p.w.checks.action(p, ev, a)
		p.perform(a, from)
	}
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

// snapshot copies the state and writes it.
func (p *proc) snapshot(id uint64) {
	w := p.w
	if p.writing {
		w.checks.fault("%s: two snapshots at a time", p.id)
	}
	p.writing = true
	state := copyState(p.role.(interface{ State() State }).State())
	copied := &saved{state: state, past: w.checks.pastOf(p)}
	failed := w.chance(w.badDisk)
	done := func() {
		p.writing = false
		p.step(SnapshotDone{ID: id, Failed: failed}, nil)
	}
	write := 1 + w.upTo(w.disk)
	if w.off == outputCommit {
		p.later(0, done)
		p.later(write, func() { p.disk = copied })
		return
	}
	p.later(write, func() {
		if !failed {
			p.disk = copied
		}
		p.later(w.upTo(tick/2), done)
	})
}

// serverHalf is that of an LPS or a GPS, nil for a worker.
func serverHalf(role stepper) *server {
	switch r := role.(type) {
	case *LPS:
		return &r.server
	case *GPS:
		return &r.server
	}
	return nil
}

// copyState returns a state that shares no memory with s, by way of the JSON that a
// checkpoint holds.
func copyState(s State) State {
	var c State
	b, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		panic(fmt.Sprintf("state: %v", err))
	}
	c.Params = slices.Clone(s.Params)
	for _, v := range s.Vectors {
		c.Vectors = append(c.Vectors, Vector{v.Name, slices.Clone(v.Values)})
	}
	return c
}

// finish takes a role that has nothing left to do off its process. Those who are down
// or just starting when their server goes for good have missed the end.
func (p *proc) finish(f Finished) {
	p.finished = f.Ended
	p.end()
	switch {
	case f.Ended:
		for _, c := range p.w.procs {
			if c.server == p && !c.finished && (c.role == nil || !c.met) {
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

func (p *proc) miss() {
	p.dead = true
	for _, c := range p.w.procs {
		if c.server == p {
			c.miss()
		}
	}
}

// train takes a local step of the round every pace.
func (p *proc) train(a Train) {
	r := &round{Train: a, began: p.w.now}
	p.round = r
	p.later(moment(a.Task.Steps)*p.pace, func() { p.trained(r, r.Task.Steps) })
}

func (p *proc) stopTraining() {
	r := p.round
	steps := int((p.w.now - r.began) / p.pace)
	if p.w.chance(0.5) {
		steps++ // the one that is running
	}
	steps = min(steps, r.Task.Steps)
	p.later(0, func() { p.trained(r, steps) })
}

// trained ends a round, once. A local step moves every parameter towards 3, in whole
// 64ths and with noise, so that sums of deltas are exact in float32.
func (p *proc) trained(r *round, steps int) {
	if r.over {
		return
	}
	r.over = true
	w := p.w
	for range steps {
		for i, x := range r.Params {
			r.Params[i] += float32(math.Round(float64(16*(3-x)))+float64(w.rng.IntN(9)-4)) / 64
		}
	}
	first := r.Task.Samples.Start
	done := TrainDone{
		Steps: steps, Loss: 1,
		Samples: data.Interval{Start: first, End: first + uint64(steps*w.cfg.Batch)},
	}
	if w.chance(w.badRound) {
		r.Params[0] = float32(math.NaN())
		done.Failed, done.Loss = w.chance(0.5), math.NaN()
	}
	p.step(done, nil)
}
