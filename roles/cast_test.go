package roles

import (
	"math"
	"slices"

	"halos/data"
	"halos/optim"
	"halos/tensor"
)

// The scripts' job: two steps of two samples a round, one parameter that starts at
// 100, servers that subtract a delta as it is. The GPS reigns in term 7, the LPS in 3.
var (
	plain     = optim.NesterovConfig{LR: 1, N: 1}
	scriptCfg = Config{H: 2, K: 2, Alpha: 0.5, InFlight: Carry, Batch: 2, GlobalBatch: 8, LPS: plain, GPS: plain}
	gpsTerm   = Term{7, "g"}
	lpsTerm   = Term{3, "l"}
)

func global(version uint64) ModelID { return ModelID{gpsTerm, version} }
func local(version uint64) ModelID  { return ModelID{lpsTerm, version} }
func span(from, to uint64) data.Intervals {
	return data.Intervals{{Start: from, End: to}}
}

func hi(client string, session, next, oldest uint64) Hello {
	return Hello{Client: client, Peer: client, Session: session, Next: next, Oldest: oldest}
}

func (h Hello) by(peer string) Hello           { h.Peer = peer; return h }
func (h Hello) holding(s data.Intervals) Hello { h.Leases = s; return h }
func (d Delta) of(session uint64) Delta        { d.Session = session; return d }
func marksOf(client string, dec, dur uint64) Marks {
	return Marks{Client: client, Session: 1, Decided: dec, Durable: dur}
}
func (m Marks) wanting(seq uint64) Marks { m.Want = seq; return m }
func (m Marks) refusing(seq uint64) Marks {
	m.Refused = []Refusal{{Seq: seq, Reason: "norm"}}
	return m
}

// sub is a delta of one round on the samples from first on.
func sub(client string, seq, first uint64, v float32) Delta {
	return Delta{
		Name: Name{client, 1, seq}, Steps: 2, Samples: span(first, first+4),
		Norm: math.Abs(float64(v)), Values: []float32{v},
	}
}

func done(id uint64) SnapshotDone   { return SnapshotDone{ID: id} }
func failed(id uint64) SnapshotDone { return SnapshotDone{ID: id, Failed: true} }

// answer is a model of theta for the client, after its deltas up to contains.
func answer(client string, id ModelID, contains uint64, theta float32) Model {
	return Model{Client: client, ID: id, Contains: contains, Params: []float32{theta}}
}

// trained is the end of a round of some steps on the samples from first on.
func trained(to float32, first uint64, steps int) ends {
	samples := data.Interval{Start: first, End: first + 2*uint64(steps)}
	return ends{TrainDone{Steps: steps, Samples: samples}, to}
}

func task(first uint64) Grant {
	return Grant{Client: "w1", Tasks: []data.Task{{Samples: data.Interval{Start: first, End: first + 4}, Steps: 2}}}
}

// newGPS makes a GPS of 1600 samples that has granted 64 to each client in turn. That
// is durable, and the next snapshot is the first.
func newGPS(cfg Config, window int, clients ...string) func() actor {
	return func() actor {
		g := NewGPS(cfg, gpsTerm, []float32{100}, 1600, window)
		for _, c := range clients {
			g.Step(hi(c, 1, 1, 1))
		}
		for _, c := range clients {
			g.Step(Ask{Client: c, Samples: 64})
		}
		g.snap = snapshots{changes: g.changes}
		return g
	}
}

// newLPS makes the LPS of region eu with samples of the job, of which each worker has
// two tasks in turn, all durable in snapshot 1. Its model is version 1.
func newLPS(cfg Config, window int, samples uint64, workers ...string) func() actor {
	return func() actor {
		l := NewLPS(cfg, "eu", "l", lpsTerm, 1, window)
		l.Step(Connected{})
		l.Step(Welcome{Client: "eu", Term: gpsTerm, Session: 1})
		for _, w := range workers {
			l.Step(hi(w, 1, 1, 1))
			l.Step(Ask{Client: w})
			l.Step(Ask{Client: w})
		}
		l.Step(Grant{Client: "eu", Ranges: span(0, samples)})
		l.Step(answer("eu", global(0), 0, 100))
		l.Step(done(1))
		return l
	}
}

// newWorker makes a worker that trains [0,4) from model 3.1 and holds [4,8).
func newWorker(window int) func() actor {
	return func() actor {
		w := NewWorker("w1", 1, 1, window)
		for _, ev := range []Event{Connected{}, Welcome{Client: "w1", Session: 1}, answer("w1", local(1), 0, 100), task(0), task(4)} {
			w.Step(ev)
		}
		return w
	}
}

// pushed is the delta among acts or, once a snapshot is durable, among what follows.
func pushed(role actor, acts []Action) (Delta, bool) {
	for _, a := range acts {
		if s, ok := a.(Snapshot); ok {
			acts = append(acts, role.Step(SnapshotDone{ID: s.ID})...)
		}
	}
	for _, a := range acts {
		if d, ok := a.(Delta); ok {
			return d, true
		}
	}
	return Delta{}, false
}

// box drives an outbox by events: a Delta is a round that has ended, Drain the last.
type box struct{ outbox }

func newBox(window int) func() actor {
	return func() actor { return &box{outbox{client: "w1", session: 1, next: 1, window: window}} }
}

func (b *box) Step(ev Event) []Action {
	switch ev := ev.(type) {
	case Connected:
		return []Action{b.hello("w1", ModelID{}, nil)}
	case Welcome:
		return b.welcomed(ev)
	case ServerGone:
		b.lost()
	case Marks:
		return b.marks(ev)
	case Delta:
		ev.Values, ev.Samples = slices.Clone(ev.Values), ev.Samples.Clone() // the outbox takes them over
		ev.Norm = tensor.Norm(ev.Values)
		_, acts := b.add(ev, true)
		return append(acts, b.send()...)
	case Tick:
		return b.tick()
	case Drain:
		return b.leave()
	}
	return nil
}
