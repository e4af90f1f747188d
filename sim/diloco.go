package sim

import (
	"fmt"
	"slices"

	"halos/tensor"
	"halos/train"
)

// diloco is DiLoCo (arXiv 2311.08105): all workers take H local steps from the same
// model and wait for the mean of all their deltas, to which Nesterov momentum is
// applied. With H in proportion to each worker's speed the waiting is shorter.
type diloco struct {
	*run
	ring   ring
	equal  bool      // all workers take as many local steps
	cursor uint64    // first sample that nobody has
	mean   []float32 // [n] of the deltas
	m      []float32 // [n] momentum
}

func newDiloco(r *run) *diloco {
	first := r.workers[0].steps
	return &diloco{
		run: r, ring: r.Env.ring(),
		equal: !slices.ContainsFunc(r.workers, func(w *worker) bool { return w.steps != first }),
		mean:  make([]float32, len(r.global)), m: make([]float32, len(r.global)),
	}
}

// start begins a round, which ends when the slowest has computed and all have
// averaged.
func (d *diloco) start() error {
	slowest := 0.0
	for _, w := range d.workers {
		copy(w.start, d.global)
		w.task, d.cursor = d.take(w, d.cursor)
		if d.equal { // as the authors' simulator has it
			w.task.First -= w.task.First % uint64(d.Roles.H)
		}
		d.learn(w)
		slowest = max(slowest, d.compute(w))
	}
	d.tally.WAN += d.ring.wanBytes(d.Cost.Up)
	d.after(slowest+d.ring.allReduce(d.Cost.Up), event{Kind: round})
	return nil
}

// handle ends a round. With g the mean of the deltas:
//
//	m = beta*m + g;  theta -= lr*(g + beta*m)
func (d *diloco) handle(event) error {
	clear(d.mean)
	steps := 0
	for _, w := range d.workers {
		if _, err := w.training.wait(); err != nil {
			return err
		}
		tensor.Sub(w.params, w.start, w.params)
		tensor.Axpy(d.mean, 1/float32(len(d.workers)), w.params)
		steps += w.task.Steps
		d.tally.applied(0)
	}
	lr, beta := float32(d.Outer.LR), float32(d.Outer.Beta)
	for i, g := range d.mean {
		d.m[i] = beta*d.m[i] + g
		d.global[i] -= lr * (g + beta*d.m[i])
	}
	if err := d.steps(uint64(steps)); err != nil || d.ended {
		return err
	}
	return d.start()
}

// synchronous is data-parallel training: all workers' gradients are averaged at every
// step. The ideal has the same learning, and the time that its workers would need at
// one site if the steps could be shared out without loss.
type synchronous struct {
	*run
	ring   ring
	cursor uint64
	mean   []float32 // [n] of the gradients
}

func newSynchronous(r *run) *synchronous {
	return &synchronous{run: r, ring: r.Env.ring(), mean: make([]float32, len(r.global))}
}

func (s *synchronous) start() error {
	slowest, total := 0.0, 0.0
	for _, w := range s.workers {
		w.task, s.cursor = s.take(w, s.cursor)
		w.training = s.crew.start(func() (float64, error) {
			return s.learner.Gradient(w.id, w.params, s.global, w.task.Samples.Start)
		})
		slowest = max(slowest, s.Cost.StepMS/w.speed)
		total += w.speed
	}
	if s.Algo == Ideal {
		ms := float64(len(s.workers)) * s.Cost.StepMS / total
		s.tally.Busy += ms * float64(len(s.workers))
		s.after(ms, event{Kind: round})
		return nil
	}
	for _, w := range s.workers {
		s.compute(w)
	}
	s.tally.WAN += s.ring.wanBytes(s.Cost.Up)
	s.after(slowest+s.ring.allReduce(s.Cost.Up), event{Kind: round})
	return nil
}

func (s *synchronous) handle(event) error {
	clear(s.mean)
	for _, w := range s.workers {
		if _, err := w.training.wait(); err != nil {
			return err
		}
		tensor.Axpy(s.mean, 1/float32(len(s.workers)), w.params)
		s.tally.applied(0)
	}
	number := s.workers[0].task.First + 1
	if norm := s.Inner.Step(s.global, s.mean, s.LR.At(number)); norm-norm != 0 {
		return fmt.Errorf("%w: gradient norm %v", train.ErrDiverged, norm)
	}
	if err := s.steps(uint64(len(s.workers))); err != nil || s.ended {
		return err
	}
	return s.start()
}
