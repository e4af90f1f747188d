package roles

import (
	"halos/data"
	"halos/optim"
)

// LPS is a region's local parameter server: it applies its workers' deltas at once,
// pushes what it has accumulated to the GPS after K of them, and merges the answer,
// waiting for neither.
type LPS struct {
	server
	cfg  Config
	peer string
	out  outbox

	base    []float32 // [n] params at the last merge; minus them, params are the next push
	updates uint64    // deltas applied since the last merge (paper) or push (carry)
	done    pending   // since the last push
	flight  flight    // the push whose answer is awaited

	asked     bool    // the GPS owes a grant
	exhausted bool    // the GPS had nothing left to grant
	filled    uint64  // samples in stock after the last grant
	aim       uint64  // how many were wanted at the last ask, 0 = none on this connection
	idle      int     // ticks without a worker
	committed uint64  // samples committed job-wide, as far as is known
	elsewhere float64 // local steps per second of the other regions' fastest worker, by the last grant
	ahead     uint64  // samples in the stocks of the other regions, by the last grant
	global    ModelID

	draining, finished bool
}

// pending is what the next push accounts for.
type pending struct {
	steps   uint64
	samples data.Intervals
	loss    float64 // summed over steps
}

// flight is a push on its way, zero when there is none.
type flight struct {
	seq      uint64
	snapshot uint64    // the push leaves once this snapshot is durable
	values   []float32 // [n] base minus the model at the push
	refused  bool
}

// NewLPS returns the LPS of a region, to be filled by the model of the GPS. Its
// models carry term, which must be higher at each start; its outbox and its workers'
// hold at most window deltas that are not durable.
func NewLPS(cfg Config, region, peer string, term Term, n, window int) *LPS {
	return &LPS{
		server: server{
			term: term, batch: cfg.Batch, window: uint64(window), reserve: uint64((window + workerTasks) * cfg.H * cfg.Batch),
			normSteps: cfg.Guard.NormPerStep, stale: cfg.Guard.MaxStaleness,
			params: make([]float32, n), opt: optim.NewDelayedNesterov(cfg.LPS, n),
			clients: map[string]*client{},
		},
		cfg: cfg, peer: peer,
		out:  outbox{client: region, next: 1, window: window},
		base: make([]float32, n),
	}
}

// Step folds one event into the LPS and returns what must be done about it.
func (l *LPS) Step(ev Event) []Action {
	if l.finished {
		return nil
	}
	return append(l.step(ev), l.proceed()...)
}

func (l *LPS) step(ev Event) []Action {
	switch ev := ev.(type) {
	case Hello:
		return l.server.hello(ev)
	case Delta:
		if !l.draining { // it stays with its sender
			return l.delta(ev)
		}
	case Follow:
		l.follows(ev)
	case Ask:
		l.paced(ev.Client, ev.Speed, ev.Speed)
		l.server.asked(ev.Client, 1, workerTasks)
	case Return:
		l.returned(ev)
	case Leaving:
		l.leaves(ev)
	case ClientGone:
		l.gone(ev)
	case SnapshotDone:
		return append(l.snapshotDone(ev), l.unseal(ev)...)
	case Tick:
		return l.tick()
	case Connected:
		return []Action{l.out.hello(l.peer, l.global, l.holdings())}
	case Welcome:
		return l.welcomed(ev)
	case ServerGone:
		l.out.lost()
	case Reject:
		if ev.Reason == ReasonEnded {
			return l.end()
		}
	case Marks:
		return l.marked(ev)
	case Grant:
		l.granted(ev)
	case Model:
		return l.answered(ev)
	case Drain:
		l.draining = true
	case Ended:
		return l.end()
	}
	return nil
}

func (l *LPS) tick() []Action {
	l.server.tick()
	l.reclaimAfter(reclaimWorker)
	l.idle++
	if !l.quiet() {
		l.idle = 0
	}
	return l.out.tick()
}

// delta applies a worker's delta and offers the model it makes.
func (l *LPS) delta(d Delta) []Action {
	applied, acts := l.decide(d)
	if applied {
		l.updates++
		l.done.steps += d.Steps
		l.done.samples.AddAll(d.Samples)
		l.done.loss += float64(d.Loss) * float64(d.Steps)
	}
	return acts
}

// proceed does what has become possible: a push, models and tasks for workers, a
// request for samples, a snapshot, the end.
func (l *LPS) proceed() []Action {
	acts := l.push()
	acts = append(acts, l.offer(l.committed)...)
	acts = append(acts, l.handOut()...)
	acts = append(acts, l.supply()...)
	acts = append(acts, l.autosnapshot(l.draining || l.ended)...)
	return append(acts, l.finish()...)
}

// end takes note that the job is complete; a region that starts again must know it,
// for the GPS may be gone by then.
func (l *LPS) end() []Action {
	if !l.ended {
		l.changes++
	}
	return l.server.end()
}

// finish ends a draining LPS once its push is durable at the GPS, and one whose job
// has ended once its workers have left.
func (l *LPS) finish() []Action {
	pushed := l.done.steps == 0 && l.flight.seq == 0
	switch {
	case !l.ready && l.draining && !l.ended:
	case l.ended && (l.linger >= lingerTicks || l.ready && l.settled() && l.deserted()):
	case l.ended:
		return nil
	case l.draining && pushed && l.out.drained() && l.settled():
	case l.draining && pushed && l.ready:
		return l.out.leave()
	default:
		return nil
	}
	l.finished = true
	return append(l.out.leave(), Finished{Ended: l.ended})
}
