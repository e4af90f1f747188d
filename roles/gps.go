package roles

import (
	"halos/data"
	"halos/optim"
)

// GPS is the global parameter server: it applies the regions' pushes, answers each
// with the global model, and hands out the samples of the job.
type GPS struct {
	server
	samples uint64 // of the whole job
	round   uint64 // samples of H local steps

	draining, finished bool
}

// NewGPS returns a GPS that starts from params, which it takes over, and hands out
// the given number of samples, less what makes no whole batch. Its models carry term,
// which must be higher at each start; its clients hold at most window deltas that are
// not durable.
func NewGPS(cfg Config, term Term, params []float32, samples uint64, window int) *GPS {
	// A push holds, per local step, a delta times the LPS's gain, and what momentum
	// adds from the steps before it.
	gain := cfg.LPS.LR / float64(cfg.LPS.N) / (1 - cfg.LPS.Beta)
	norm := cfg.Guard.NormPerStep * max(1, gain)
	samples -= samples % uint64(cfg.Batch)
	g := &GPS{
		server: server{
			term: term, batch: cfg.Batch, window: uint64(window),
			normSteps: norm, normBase: norm * float64(cfg.LPS.N*cfg.H),
			ready: true, params: params, opt: optim.NewDelayedNesterov(cfg.GPS, len(params)),
			clients: map[string]*client{},
		},
		samples: samples, round: uint64(cfg.H * cfg.Batch),
	}
	g.ledger.free.Add(data.Interval{End: samples})
	return g
}

// Step folds one event into the GPS and returns what must be done about it.
func (g *GPS) Step(ev Event) []Action {
	if g.finished {
		return nil
	}
	return append(g.step(ev), g.proceed()...)
}

func (g *GPS) step(ev Event) []Action {
	switch ev := ev.(type) {
	case Hello:
		return g.hello(ev)
	case Delta:
		if !g.draining { // it stays with its sender
			return g.push(ev)
		}
	case Follow:
		g.follows(ev)
	case Ask:
		g.paced(ev.Client, ev.Speed, ev.Rate)
		g.stocked(ev.Client, ev.Stock)
		g.asked(ev.Client, ev.Samples, g.samples)
	case Return:
		g.returned(ev)
	case Leaving:
		g.leaves(ev)
	case ClientGone:
		g.gone(ev)
	case SnapshotDone:
		return g.snapshotDone(ev)
	case Tick:
		g.tick()
		if len(g.ledger.free) == 0 {
			g.reclaimAfter(reclaimRegion)
		}
	case Drain:
		g.draining = true
	}
	return nil
}

// proceed does what has become possible: models and grants for regions, a snapshot,
// the end.
func (g *GPS) proceed() []Action {
	acts := append(g.offer(g.ledger.committed.Len()), g.handOut()...)
	acts = append(acts, g.autosnapshot(g.draining || g.complete())...)
	return append(acts, g.finish()...)
}

// complete reports that every sample of the job is committed.
func (g *GPS) complete() bool { return g.ledger.committed.Len() >= g.samples }

// finish ends the job once everything is committed and durable, and a draining GPS
// once its state is on disk.
func (g *GPS) finish() []Action {
	var acts []Action
	if g.complete() && g.settled() {
		acts = g.end()
	}
	switch {
	case g.ended && (g.deserted() || g.linger >= lingerTicks):
	case g.draining && !g.ended && g.settled():
	default:
		return acts
	}
	g.finished = true
	return append(acts, Finished{Ended: g.ended})
}
