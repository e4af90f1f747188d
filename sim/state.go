package sim

import (
	"errors"
	"fmt"

	"halos/data"
	"halos/optim"
	"halos/roles"
	"halos/train"
)

// state is a run between two events: all that the rest of it depends on.
type state struct {
	Now     float64
	Made    uint64
	Queue   []event
	Global  []float32
	Trained uint64
	Tally   tally
	Curve   []Point
	Workers []workerState
	Moments []Moments // [workers] of the learner

	GPS    roles.State   // of halos
	LPS    []roles.State // [regions]
	Flying []bool        // [regions]

	Momentum []float32 // of the server of others; of ddp's optimizer the mean
	Other    []float32 // what the server of async has accumulated; of ddp's optimizer the mean square
	Arrivals uint64    // deltas or gradients that it has taken
	Cursor   uint64
}

// workerState is a worker whose round has been trained, though its time has not come.
type workerState struct {
	Seq, Version  uint64
	Base          roles.ModelID
	Start, Params []float32
	Task          data.Task
	Loss, Until   float64
	Diverged      string // how, if it has
}

// Moments is the state of an AdamW.
type Moments struct {
	M, V  []float32
	Steps uint64
}

func momentsOf(o *optim.AdamW) Moments { return Moments{o.M, o.V, o.Steps} }

func (m Moments) restore(o *optim.AdamW) {
	copy(o.M, m.M)
	copy(o.V, m.V)
	o.Steps = m.Steps
}

// state is that of a run of m. It waits for the rounds that are being trained, and
// shares its vectors with the run.
func (r *run) state(m lasting, learner *Texts) (state, error) {
	s := state{Now: r.now, Made: r.made, Queue: r.queue, Global: r.global, Trained: r.trained, Tally: r.tally, Curve: r.curve}
	for _, w := range r.workers {
		loss, err := w.training.wait()
		diverged := ""
		if errors.Is(err, train.ErrDiverged) { // which ends the run when its time comes
			diverged = err.Error()
		} else if err != nil {
			return s, err
		}
		s.Workers = append(s.Workers, workerState{w.seq, w.version, w.base, w.start, w.params, w.task, loss, w.until, diverged})
	}
	for _, o := range learner.states {
		s.Moments = append(s.Moments, momentsOf(o))
	}
	m.save(&s)
	return s, nil
}

// restore makes r, which has not started, the run that s was taken of.
func (r *run) restore(m lasting, s state, learner *Texts) error {
	if len(s.Global) != len(r.global) || len(s.Workers) != len(r.workers) || len(s.Moments) != len(learner.states) {
		return fmt.Errorf("a state of %d parameters and %d workers, the run has %d and %d", len(s.Global), len(s.Workers), len(r.global), len(r.workers))
	}
	r.now, r.made, r.queue, r.trained, r.tally, r.curve = s.Now, s.Made, s.Queue, s.Trained, s.Tally, s.Curve
	copy(r.global, s.Global)
	for i, moments := range s.Moments {
		moments.restore(learner.states[i])
	}
	for i, w := range r.workers {
		saved := s.Workers[i]
		w.seq, w.version, w.base, w.task, w.until = saved.Seq, saved.Version, saved.Base, saved.Task, saved.Until
		copy(w.start, saved.Start)
		copy(w.params, saved.Params)
		w.training = trained(saved)
	}
	return m.load(s)
}

// trained is the outcome of a round that was trained before.
func trained(s workerState) *future {
	f := &future{done: make(chan struct{}), loss: s.Loss}
	if s.Diverged != "" {
		f.err = fmt.Errorf("%w: %s", train.ErrDiverged, s.Diverged)
	}
	close(f.done)
	return f
}

func (h *halos) save(s *state) {
	s.GPS, s.Flying = h.gps.State(), h.flying
	for _, l := range h.lps {
		s.LPS = append(s.LPS, l.State())
	}
}

// load restores the servers and introduces all to each other again. What they send at
// that is on its way already, in the agenda.
func (h *halos) load(s state) error {
	if len(s.LPS) != len(h.lps) {
		return fmt.Errorf("a state of %d regions, the run has %d", len(s.LPS), len(h.lps))
	}
	if err := h.gps.Restore(s.GPS); err != nil {
		return err
	}
	for region, l := range h.lps {
		if err := l.Restore(s.LPS[region]); err != nil {
			return fmt.Errorf("region %d: %w", region, err)
		}
	}
	h.resuming = true
	err := h.introduce()
	h.resuming = false
	copy(h.flying, s.Flying)
	return err
}

func (a *async) save(s *state) {
	s.Momentum, s.Other, s.Arrivals, s.Cursor = a.server.M, a.server.D, a.server.T, a.cursor
}

func (a *async) load(s state) error {
	a.server.T, a.version, a.cursor = s.Arrivals, s.Arrivals, s.Cursor
	return errors.Join(refill(a.server.M, s.Momentum), refill(a.server.D, s.Other))
}

func (d *diloco) save(s *state) { s.Momentum, s.Cursor = d.m, d.cursor }

func (d *diloco) load(s state) error {
	d.cursor = s.Cursor
	return refill(d.m, s.Momentum)
}

func (y *synchronous) save(s *state) {
	s.Momentum, s.Other, s.Arrivals, s.Cursor = y.Inner.M, y.Inner.V, y.Inner.Steps, y.cursor
}

func (y *synchronous) load(s state) error {
	y.cursor, y.Inner.Steps = s.Cursor, s.Arrivals
	return errors.Join(refill(y.Inner.M, s.Momentum), refill(y.Inner.V, s.Other))
}

func refill(dst, src []float32) error {
	if len(src) != len(dst) {
		return fmt.Errorf("a state of %d parameters, the run has %d", len(src), len(dst))
	}
	copy(dst, src)
	return nil
}
