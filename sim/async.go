package sim

import (
	"halos/data"
	"halos/optim"
	"halos/tensor"
)

// async is Async-Local-SGD (arXiv 2401.09135): one server in region 0 takes every
// worker's delta as it comes and answers with its newest model.
type async struct {
	*run
	server  *optim.DelayedNesterov
	version uint64
	cursor  uint64 // first sample that nobody has
}

func newAsync(r *run) *async {
	return &async{run: r, server: optim.NewDelayedNesterov(r.Outer, len(r.global))}
}

func (a *async) start() error {
	for _, w := range a.workers {
		a.begin(w)
	}
	return nil
}

// begin gives w the next samples and the newest model, which travel there, and counts
// the way of its delta back.
func (a *async) begin(w *worker) {
	copy(w.start, a.global)
	w.version = a.version
	w.task, a.cursor = a.take(w, a.cursor)
	down := a.between(0, w.region, a.Cost.Down)
	a.train(w, down+a.between(w.region, 0, a.Cost.Up))
}

func (a *async) handle(e event) error {
	w := a.workers[e.Who]
	if _, err := w.training.wait(); err != nil {
		return err
	}
	tensor.Sub(w.params, w.start, w.params)
	a.server.Step(a.global, w.params)
	a.tally.applied(a.version - w.version)
	a.version++
	if err := a.steps(uint64(w.task.Steps)); err != nil || a.ended {
		return err
	}
	a.begin(w)
	return nil
}

// take makes w's task of the samples from cursor on and returns where the next begin.
func (r *run) take(w *worker, cursor uint64) (data.Task, uint64) {
	end := cursor + uint64(w.steps*r.Roles.Batch)
	return data.Task{
		Samples: data.Interval{Start: cursor, End: end}, Steps: w.steps, First: cursor / uint64(r.Roles.GlobalBatch),
	}, end
}
