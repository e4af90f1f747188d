package roles

import (
	"math"

	"halos/data"
)

// round is what a worker's trainer works on.
type round struct {
	Train
	began moment
	over  bool
}

// serverHalf is that of an LPS or a GPS, nil for a worker.
func serverHalf(role actor) *server {
	switch r := role.(type) {
	case *LPS:
		return &r.server
	case *GPS:
		return &r.server
	}
	return nil
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
		Steps: steps, Loss: 1, Speed: float64(TicksPerSecond*tick) / float64(p.pace),
		Samples: data.Interval{Start: first, End: first + uint64(steps*w.cfg.Batch)},
	}
	if w.chance(w.badRound) {
		r.Params[0] = float32(math.NaN())
		done.Failed, done.Loss = w.chance(0.5), math.NaN()
	}
	p.step(done, nil)
}
