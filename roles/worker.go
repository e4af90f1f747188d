package roles

import (
	"slices"

	"halos/data"
	"halos/tensor"
)

// maxDiverged is how many rounds in a row may end in values that are not finite
// before a worker gives up.
const maxDiverged = 3

// Worker trains rounds of H local steps from the newest regional model and sends the
// deltas to its LPS. It waits for the model that contains its delta, but not for
// ever: after three times the usual wait it goes on from where it stands.
type Worker struct {
	peer string
	out  outbox

	params []float32 // [n] the model; the trainer's while training
	start  []float32 // [n] params at the start of the round
	base   ModelID   // the model params started from
	have   bool      // params hold a model
	newest Model     // newest model received; Params [n] is the worker's own buffer
	fresh  bool      // newest has not been adopted

	tasks    []data.Task // to be trained next
	asked    int         // tasks asked for and not granted
	running  data.Task   // while training
	training bool

	last     uint64  // seq of the delta whose answer is awaited, 0 = none
	waited   int     // ticks waited for it
	usual    float64 // moving average of ticks an answer takes
	diverged int     // failed rounds in a row

	draining, ended, finished bool
}

// NewWorker returns a worker with n parameters that names its deltas (peer, session,
// seq) and holds at most window of them before they coalesce.
func NewWorker(peer string, session uint64, n, window int) *Worker {
	return &Worker{
		peer:   peer,
		out:    outbox{client: peer, session: session, next: 1, window: window},
		params: make([]float32, n),
		start:  make([]float32, n),
		newest: Model{Params: make([]float32, n)},
	}
}

// Step folds one event into the worker and returns what must be done about it.
func (w *Worker) Step(ev Event) []Action {
	if w.finished {
		return nil
	}
	var acts []Action
	switch ev := ev.(type) {
	case Connected:
		return []Action{w.hello()}
	case Welcome:
		acts = w.welcomed(ev)
	case ServerGone:
		w.out.lost()
		w.asked = 0
	case Marks:
		acts = w.out.marks(ev)
	case Grant:
		w.tasks = append(w.tasks, ev.Tasks...)
		w.asked = max(0, w.asked-len(ev.Tasks))
	case Model:
		w.receive(ev)
	case TrainDone:
		acts = w.trained(ev)
		if w.draining {
			acts = append(acts, w.leave()...)
		}
	case Tick:
		w.waited++
		acts = w.out.tick()
	case Drain:
		acts = w.drain()
	case Ended:
		acts = w.drain()
		w.ended = true
	case Reject:
		if ev.Reason == ReasonEnded {
			acts = w.drain()
			w.ended = true
		}
	default:
		return nil
	}
	return append(acts, w.proceed()...)
}

func (w *Worker) hello() Hello {
	var leases data.Intervals
	for _, t := range w.tasks {
		leases.Add(t.Samples)
	}
	if w.training {
		leases.Add(w.running.Samples)
	}
	return w.out.hello(w.peer, w.base, leases)
}

func (w *Worker) welcomed(ev Welcome) []Action {
	acts := w.out.welcomed(ev)
	w.tasks = slices.DeleteFunc(w.tasks, func(t data.Task) bool { return !ev.Leases.Contains(t.Samples) })
	w.asked = 0
	w.waited = 0
	return append(acts, w.follow())
}

func (w *Worker) follow() Follow {
	return Follow{Client: w.out.client, Contains: w.last, Have: w.base}
}

// receive keeps the newest model. The params of ev are the node's, so they are
// copied.
func (w *Worker) receive(ev Model) {
	if len(ev.Params) != len(w.params) {
		return // the node checks lengths; a model of another shape is never adopted
	}
	copy(w.newest.Params, ev.Params)
	w.newest.ID, w.newest.Contains = ev.ID, ev.Contains
	w.fresh = true
}

// trained turns a finished round into a delta.
func (w *Worker) trained(ev TrainDone) []Action {
	w.training = false
	if ev.Steps == 0 {
		return nil
	}
	values := make([]float32, len(w.params))
	tensor.Sub(values, w.start, w.params)
	d := Delta{
		Base: w.base, Steps: uint64(ev.Steps), Samples: data.Intervals{ev.Samples},
		Loss: float32(ev.Loss), Norm: tensor.Norm(values), Values: values,
	}
	w.diverged++
	if !ev.Failed {
		w.diverged = 0
	}
	name, acts := w.out.add(d, true)
	w.last, w.waited = name.Seq, 0
	acts = append(acts, w.out.send()...)
	if w.out.welcome {
		acts = append(acts, w.follow())
	}
	return acts
}

// drain stops the running round and says good-bye.
func (w *Worker) drain() []Action {
	if w.draining {
		return nil
	}
	w.draining = true
	w.out.leaving = true
	if w.training {
		return []Action{StopTraining{}}
	}
	return w.leave()
}

func (w *Worker) leave() []Action {
	if !w.out.welcome {
		return nil
	}
	return []Action{Leaving{Client: w.out.client}}
}

// proceed starts the next round if everything for it is there, and asks for what is
// not.
func (w *Worker) proceed() []Action {
	switch {
	case w.training:
		return w.ask()
	case w.diverged >= maxDiverged:
		w.finished = true
		return []Action{Finished{Diverged: true}}
	case w.draining:
		return w.finish()
	case !w.answered():
		return w.ask()
	case len(w.tasks) == 0:
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
	if w.fresh && w.newest.Contains >= w.last {
		if w.last > 0 {
			w.usual += (float64(w.waited) - w.usual) / 8
		}
		w.adopt()
		return true
	}
	if w.last == 0 {
		return w.have
	}
	limit := min(max(answerWaitLow, int(3*w.usual)), answerWaitHigh)
	if w.out.welcome && w.waited < limit {
		return false
	}
	w.usual += (float64(w.waited) - w.usual) / 8
	if w.fresh {
		w.adopt()
	}
	w.last = 0
	return true
}

// adopt starts from the newest model, less what the worker has learned that the
// model does not contain yet.
func (w *Worker) adopt() {
	copy(w.params, w.newest.Params)
	w.out.subtract(w.params, w.newest.Contains)
	w.base, w.have, w.fresh, w.last = w.newest.ID, true, false, 0
}

// ask asks for tasks ahead of need.
func (w *Worker) ask() []Action {
	held := len(w.tasks) + w.asked
	if w.training {
		held++
	}
	if !w.out.welcome || w.draining || held >= workerTasks {
		return nil
	}
	var acts []Action
	for ; held < workerTasks; held++ {
		w.asked++
		acts = append(acts, Ask{Client: w.out.client})
	}
	return acts
}

// finish ends a draining worker once its deltas are durable; a job that has ended
// needs none of them.
func (w *Worker) finish() []Action {
	if !w.ended && !w.out.drained() {
		return nil
	}
	w.finished = true
	return []Action{Finished{Ended: w.ended}}
}
