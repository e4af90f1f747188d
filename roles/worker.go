package roles

import (
	"slices"

	"halos/data"
)

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
	speed    float64 // moving average of local steps per second

	draining, ended, finished bool
}

// NewWorker returns a worker with n parameters that names its deltas (peer, session,
// seq) and holds at most window of them before they coalesce. The session must be
// higher at each start.
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
	return append(w.step(ev), w.proceed()...)
}

func (w *Worker) step(ev Event) []Action {
	switch ev := ev.(type) {
	case Connected:
		return []Action{w.out.hello(w.peer, w.base, w.holdings())}
	case Welcome:
		return w.welcomed(ev)
	case ServerGone:
		w.out.lost()
	case Marks:
		acts := w.out.marks(ev)
		if len(ev.Refused) > 0 { // the credit is void, and so is what was learned
			acts = append(acts, w.follow(ModelID{})...)
		}
		return acts
	case Grant:
		w.tasks = append(w.tasks, ev.Tasks...)
		w.asked = max(0, w.asked-len(ev.Tasks))
	case Model:
		w.receive(ev)
	case TrainDone:
		return w.trained(ev)
	case Tick:
		w.waited++
		return w.out.tick()
	case Drain:
		return w.drain()
	case Ended:
		w.ended = true
		return w.drain()
	case Reject:
		if ev.Reason == ReasonEnded {
			w.ended = true
			return w.drain()
		}
	}
	return nil
}

// holdings are the samples the worker works on, but those of the outbox.
func (w *Worker) holdings() data.Intervals {
	var held data.Intervals
	for _, t := range w.tasks {
		held.Add(t.Samples)
	}
	if w.training {
		held.Add(w.running.Samples)
	}
	return held
}

// welcomed takes the answer to the hello: tasks that the LPS has taken back are
// dropped, and it takes back what it leases to nobody's knowledge here.
func (w *Worker) welcomed(ev Welcome) []Action {
	acts := w.out.welcomed(ev)
	w.tasks = slices.DeleteFunc(w.tasks, func(t data.Task) bool { return !ev.Leases.Contains(t.Samples) })
	spare := ev.Leases.Clone()
	spare.RemoveAll(w.holdings())
	spare.RemoveAll(w.out.samples(ev.Decided))
	if len(spare) > 0 {
		acts = append(acts, Return{Client: w.out.client, Samples: spare})
	}
	w.asked, w.waited = 0, 0
	return append(acts, w.follow(w.base)...)
}

// follow gives credit for the model that contains the awaited delta, or for any
// other than have.
func (w *Worker) follow(have ModelID) []Action {
	if !w.out.welcome {
		return nil
	}
	return []Action{Follow{Client: w.out.client, Contains: w.last, Have: have}}
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

// drain stops the running round and says good-bye.
func (w *Worker) drain() []Action {
	if w.draining {
		return nil
	}
	w.draining = true
	if w.training {
		return []Action{StopTraining{}}
	}
	return w.left()
}

// left says good-bye if the worker drains.
func (w *Worker) left() []Action {
	if !w.draining {
		return nil
	}
	return w.out.leave()
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
