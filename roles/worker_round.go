package roles

import (
	"slices"

	"halos/data"
	"halos/tensor"
)

// maxDiverged is how many rounds in a row may end in values that are not finite
// before a worker gives up.
const maxDiverged = 3

// trained turns a finished round into a delta. What the round has left of its task
// stays the worker's next one.
func (w *Worker) trained(ev TrainDone) []Action {
	w.training = false
	values := make([]float32, len(w.params))
	tensor.Sub(values, w.start, w.params)
	norm := tensor.Norm(values)
	if ev.Failed || !finite(norm) || !finite(ev.Loss) || ev.Steps == 0 && !w.draining {
		return w.retry()
	}
	w.diverged = 0
	w.pace(ev.Speed)
	if rest := w.running.Steps - ev.Steps; rest > 0 {
		w.tasks = slices.Insert(w.tasks, 0, data.Task{
			Samples: data.Interval{Start: ev.Samples.End, End: w.running.Samples.End},
			Steps:   rest, First: w.running.First + uint64(ev.Steps),
		})
	}
	if ev.Steps == 0 {
		return w.left()
	}
	name, acts := w.out.add(Delta{
		Base: w.base, Steps: uint64(ev.Steps), Samples: data.Intervals{ev.Samples},
		Loss: float32(ev.Loss), Norm: norm, Values: values,
	}, true)
	acts = append(acts, w.out.send()...)
	if w.last, w.waited = 0, 0; w.out.waits(name.Seq) {
		w.last = name.Seq
	}
	acts = append(acts, w.follow(w.base)...)
	return append(acts, w.left()...)
}

// pace takes the speed of a round into the average.
func (w *Worker) pace(speed float64) {
	switch {
	case !(speed > 0) || !finite(speed):
	case w.speed == 0:
		w.speed = speed
	default:
		w.speed += (speed - w.speed) / 4
	}
}

// retry makes the failed round's task the next one again, from where it started or
// from a newer model.
func (w *Worker) retry() []Action {
	copy(w.params, w.start)
	w.tasks = slices.Insert(w.tasks, 0, w.running)
	w.diverged++
	return append(w.follow(w.base), w.left()...)
}

// proceed starts the next round if everything for it is there, and asks for what is
// not.
func (w *Worker) proceed() []Action {
	switch {
	case w.training:
		return w.ask()
	case w.draining:
		return w.finish()
	case w.diverged >= maxDiverged:
		w.finished = true
		return []Action{Finished{Diverged: true}}
	case !w.answered() || len(w.tasks) == 0:
		return w.ask()
	}
	w.running, w.tasks = w.tasks[0], w.tasks[1:]
	w.training = true
	copy(w.start, w.params)
	acts := []Action{Train{Task: w.running, Base: w.base, Params: w.params}}
	return append(acts, w.ask()...)
}

// answered adopts the model that the next round starts from. It is false while the
// worker should wait for a better one.
func (w *Worker) answered() bool {
	limit := min(max(answerWaitLow, int(3*w.usual)), answerWaitHigh)
	switch contained := w.fresh && w.newest.Contains >= w.last; {
	case w.last > 0 && !contained && w.out.welcome && w.waited < limit:
		return false
	case w.last > 0 && w.out.welcome:
		w.usual += (float64(w.waited) - w.usual) / 8
	}
	if w.fresh {
		w.adopt()
	}
	w.last = 0
	return w.have
}

// adopt starts from the newest model, less what the worker has learned that the
// model does not contain yet.
func (w *Worker) adopt() {
	copy(w.params, w.newest.Params)
	w.out.subtract(w.params, w.newest.Contains)
	w.base, w.have, w.fresh = w.newest.ID, true, false
}

// ask asks for tasks ahead of need.
func (w *Worker) ask() []Action {
	held := len(w.tasks) + w.asked
	if w.training {
		held++
	}
	if !w.out.welcome || w.draining || held >= workerTasks || w.out.crowded() {
		return nil
	}
	var acts []Action
	for ; held < workerTasks; held++ {
		w.asked++
		acts = append(acts, Ask{Client: w.out.client, Speed: w.speed})
	}
	return acts
}
