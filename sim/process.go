package sim

import (
	"fmt"
	"slices"

	"halos/roles"
)

func (f *fleet) dialAfter(p *process, ms float64) {
	f.after(ms, event{Kind: dialled, Who: p.id, Life: p.starts})
}

// connect reaches p's server, or tries again later.
func (f *fleet) connect(p *process) error {
	if p.server.role == nil {
		f.dialAfter(p, redialMS)
		return nil
	}
	p.up, p.busy = true, [2]float64{}
	p.links++
	return f.step(p, roles.Connected{})
}

// receive delivers what has come over the connection between p and its server, unless
// that has broken by then.
func (f *fleet) receive(p *process, e event) error {
	switch {
	case !p.up || e.Life != p.links:
		return nil
	case e.Kind == upward:
		return f.step(p.server, e.Message)
	}
	return f.step(p, e.Message)
}

// send lets a message travel between p and its server for some ms.
func (f *fleet) send(p *process, direction kind, ms float64, m roles.Event) {
	f.after(ms, event{Kind: direction, Who: p.id, Life: p.links, Message: m})
}

// transfer sends bytes between p and its server, one message after the other.
func (f *fleet) transfer(p *process, direction kind, bytes float64, m roles.Event) {
	from, to := p.region, p.server.region
	if direction == downward {
		from, to = to, from
	}
	over := &p.busy[direction-upward]
	*over = max(*over, f.now) + f.between(from, to, bytes)
	f.send(p, direction, *over-f.now, m)
}

// perform does what the role of p wants done. No message arrives before that is over,
// so nothing that an action borrows changes meanwhile.
func (f *fleet) perform(p *process, a roles.Action) error {
	switch a := a.(type) {
	case roles.Hello:
		f.send(p, upward, 0, a)
	case roles.Follow:
		f.send(p, upward, 0, a)
	case roles.Ask:
		f.send(p, upward, 0, a)
	case roles.Return:
		f.send(p, upward, 0, a)
	case roles.Delta:
		f.deliver(p, a)
	case roles.Welcome:
		f.send(f.byName[a.Client], downward, 0, a)
	case roles.Marks:
		f.send(f.byName[a.Client], downward, 0, a)
	case roles.Grant:
		f.send(f.byName[a.Client], downward, 0, a)
	case roles.Model:
		f.serve(a)
	case roles.Train:
		f.round(p, a)
	case roles.Snapshot:
		f.snapshot(p, a.ID)
	case roles.Applied:
		return f.applied(p, a)
	case roles.Named:
		p.flying = p.worker == nil
	case roles.Merged:
		p.flying = false
	case roles.Refused:
		f.toll.Refused++
	case roles.Reject, roles.Lost, roles.Finished:
		return fmt.Errorf("sim: %s after %d starts: %+v", p.name, p.starts, a)
	}
	return nil
}

// deliver sends a worker's delta or a region's push.
func (f *fleet) deliver(p *process, d roles.Delta) {
	if d.Seq <= p.sent {
		f.toll.Resent++
	}
	p.sent = max(p.sent, d.Seq)
	f.transfer(p, upward, f.Cost.Up, d)
}

// serve sends a model; the first one is there from the start.
func (f *fleet) serve(m roles.Model) {
	m.Params = slices.Clone(m.Params)
	p := f.byName[m.Client]
	if m.ID.Version == 0 {
		f.send(p, downward, 0, m)
		return
	}
	f.transfer(p, downward, f.Cost.Down, m)
}

// round lets a worker train.
func (f *fleet) round(p *process, t roles.Train) {
	w := p.worker
	w.task, p.training = t.Task, true
	w.training = f.crew.start(func() (float64, error) { return f.learner.Train(f.ctx, w.id, t.Params, t.Task) })
	f.after(f.compute(w)+float64(w.id)*tie, event{Kind: finished, Who: p.id, Life: p.starts})
}

// trainedBy takes the outcome of a worker's round.
func (f *fleet) trainedBy(p *process) error {
	w := p.worker
	loss, err := w.training.wait()
	if err != nil {
		return err
	}
	p.training = false
	return f.step(p, roles.TrainDone{
		Steps: w.task.Steps, Samples: w.task.Samples, Loss: loss, Speed: 1e3 * w.speed / f.Cost.StepMS,
	})
}

// snapshot copies the state of p and writes the copy.
func (f *fleet) snapshot(p *process, id uint64) {
	s := p.role.(server).State()
	s.Params = slices.Clone(s.Params)
	for i, v := range s.Vectors {
		s.Vectors[i].Values = slices.Clone(v.Values)
	}
	p.writing = &s
	ms := float64(1+len(s.Vectors)) * f.Cost.Down / (diskGBs * 1e6)
	done := roles.SnapshotDone{ID: id, Ticks: int(ms / tickMS)}
	f.after(ms, event{Kind: written, Who: p.id, Life: p.starts, Message: done})
}

// applied counts a delta that a server has applied. What the GPS applies again after it
// was put back is not progress.
func (f *fleet) applied(p *process, a roles.Applied) error {
	if p.server != nil {
		f.tally.applied(a.Staleness)
		if p.flying && f.Roles.InFlight == roles.Paper {
			f.tally.Unshipped++
		}
		return nil
	}
	steps := p.role.(*roles.GPS).Status().Committed / uint64(f.Roles.Batch)
	if steps <= f.trained {
		return nil
	}
	return f.steps(steps - f.trained)
}
