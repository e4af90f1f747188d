package roles

import (
	"halos/data"
	"halos/optim"
	"halos/tensor"
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

	asked     bool   // the GPS owes a grant
	exhausted bool   // the GPS had nothing left to grant
	committed uint64 // samples committed job-wide, as far as is known
	global    ModelID

	draining, finished bool
	linger             int // ticks since the job ended
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
// models carry term, its outbox and its workers' hold at most window deltas that are
// not durable.
func NewLPS(cfg Config, region, peer string, term Term, n, window int) *LPS {
	return &LPS{
		server: server{
			term: term, batch: cfg.Batch, window: uint64(window),
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
		return l.follows(ev)
	case Ask:
		l.server.asked(ev.Client, 1)
	case Leaving:
		if c := l.clients[ev.Client]; c != nil {
			c.leaving = true
		}
	case ClientGone:
		l.gone(ev)
	case SnapshotDone:
		return append(l.snapshotDone(ev), l.unseal(ev)...)
	case Tick:
		l.server.tick()
		l.reclaimAfter(reclaimWorker)
		if l.ended {
			l.linger++
		}
		return l.out.tick()
	case Connected:
		return []Action{l.out.hello(l.peer, l.global, l.holdings())}
	case Welcome:
		return l.welcomed(ev)
	case ServerGone:
		l.out.lost()
		l.asked = false
	case Reject:
		return l.rejected(ev)
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
	acts = append(acts, l.offer()...)
	acts = append(acts, l.handOut()...)
	acts = append(acts, l.ask()...)
	acts = append(acts, l.autosnapshot(l.draining || l.ended)...)
	return append(acts, l.finish()...)
}

// push ships base - params once K deltas have been applied, or whatever there is
// when no more will come. One push is in flight at a time.
func (l *LPS) push() []Action {
	rest := l.draining || l.exhausted && len(l.ledger.free) == 0 && l.ledger.outstanding() == 0
	due := l.updates >= uint64(l.cfg.K) || rest && l.done.steps > 0
	if !l.ready || !due || l.flight.seq != 0 || l.done.steps == 0 {
		return nil
	}
	values := make([]float32, len(l.params))
	tensor.Sub(values, l.base, l.params)
	name, acts := l.out.add(Delta{
		Base: l.global, Steps: l.done.steps, Samples: l.done.samples,
		Loss: float32(l.done.loss / float64(l.done.steps)), Norm: tensor.Norm(values), Values: values,
	}, false)
	l.flight = flight{seq: name.Seq, values: values}
	l.done = pending{}
	l.changes++
	if l.cfg.InFlight == Carry {
		l.updates = 0
	}
	l.flight.snapshot = l.snap.last + 1 // one that is running does not hold the push
	return append(acts, l.snapshot()...)
}

// unseal lets the push go once the state that holds it is durable (output commit):
// after a crash the same bits go out under the same name.
func (l *LPS) unseal(ev SnapshotDone) []Action {
	if l.flight.seq == 0 || ev.Failed || ev.ID < l.flight.snapshot {
		return nil
	}
	i := l.out.index(l.flight.seq)
	if i < 0 || l.out.entries[i].sealed {
		return nil
	}
	l.out.entries[i].sealed = true
	return append(l.out.send(), l.follow()...)
}

func (l *LPS) follow() []Action {
	if !l.out.welcome || l.ready && l.flight.seq == 0 {
		return nil
	}
	return []Action{Follow{Client: l.out.client, Contains: l.flight.seq}}
}

// answered merges the model that answers the push, once, or takes the first model.
func (l *LPS) answered(m Model) []Action {
	switch {
	case len(m.Params) != len(l.params):
		return nil // the node checks lengths; a model of another shape is never merged
	case !l.ready:
		copy(l.params, m.Params)
		copy(l.base, m.Params)
		l.ready = true
	case l.flight.seq == 0 || m.Contains < l.flight.seq:
		return nil
	default:
		l.merge(m.Params)
	}
	l.version++
	l.changes++
	l.global = m.ID
	l.flight = flight{}
	return []Action{Merged{Version: l.version, Global: m.ID}}
}

// merge folds the global model Theta into the region's (HALoS, algorithm 1). A push
// that was refused leaves nothing of itself behind.
//
//	paper: theta = (1-alpha)*theta + alpha*Theta; base = theta
//	carry: r = (1-alpha)*sent + alpha*Theta; theta += r - sent; base = r
func (l *LPS) merge(global []float32) {
	alpha := float32(l.cfg.Alpha)
	if l.flight.refused {
		alpha = 1
	}
	if l.cfg.InFlight == Paper {
		tensor.Lerp(l.params, global, alpha)
		copy(l.base, l.params)
		l.updates = 0
		return
	}
	for i, d := range l.flight.values {
		sent := l.base[i] - d
		r := sent + alpha*(global[i]-sent)
		l.params[i] += r - sent
		l.base[i] = r
	}
}

// finish ends a draining LPS once its push is durable at the GPS, and one whose job
// has ended once its workers have left.
func (l *LPS) finish() []Action {
	switch {
	case l.ended && l.settled() && (l.quiet() || l.linger >= lingerTicks):
	case l.draining && l.ready && l.out.drained() && l.done.steps == 0 && l.flight.seq == 0 && l.settled():
	case !l.ready && (l.draining || l.ended):
	default:
		return nil
	}
	l.finished = true
	return []Action{Finished{Ended: l.ended}}
}
