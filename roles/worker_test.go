package roles

import (
	"slices"
	"testing"

	"halos/data"
)

func TestScenarioWorker(t *testing.T) {
	running := newWorker(8)
	sent := line{trained(98, 0, 2), "named(w1:1,[0,4)) delta(w1:1,[0,4),+2) follow(w1,c1,3.1) ask(w1)"}
	late := []line{sent, {ticks(7), ""}, {Tick{}, "train([4,8)@0,3.1,98)"}}
	bad := ends{TrainDone{Steps: 2, Samples: data.Interval{End: 4}, Failed: true}, 7}
	play(t, []script{
		{"from nothing", func() actor { return NewWorker("w1", 5, 1, 8) }, []line{
			{Connected{}, "hello(w1,5,1,1)"},
			{Welcome{Client: "w1", Session: 5}, "follow(w1,c0) ask(w1) ask(w1)"},
			{task(0), ""},
			{answer("w1", local(1), 0, 100), "train([0,4)@0,3.1,100)"},
			{task(4), ""},
		}},
		{"starts again from the model that contains its delta", running, []line{
			sent,
			{answer("w1", local(2), 0, 90), ""},
			{Tick{}, ""},
			{answer("w1", local(3), 1, 97), "train([4,8)@0,3.3,97)"},
		}},
		{"goes on when no answer comes", running, slices.Concat(late, []line{
			{trained(95, 4, 2), "named(w1:2,[4,8)) delta(w1:2,[4,8),+3) follow(w1,c2,3.1) ask(w1)"},
		})},
		{"goes on from a newer model less its own delta", running, []line{
			sent,
			{answer("w1", local(2), 0, 103), ""},
			{ticks(7), ""},
			{Tick{}, "train([4,8)@0,3.2,101)"},
		}},
		{"a late answer is adopted at the round's end", running, slices.Concat(late, []line{
			{task(8), ""},
			{answer("w1", local(2), 1, 97), ""},
			{ServerGone{}, ""},
			{trained(95, 4, 2), "named(w1:2,[4,8)) train([8,12)@0,3.2,94)"},
		})},
		{"trains on without a server", running, []line{
			{ServerGone{}, ""},
			{trained(98, 0, 2), "named(w1:1,[0,4)) train([4,8)@0,3.1,98)"},
			{trained(95, 4, 2), "named(w1:2,[4,8))"},
			{Connected{}, "hello(w1,1,3,1,[0,8),3.1)"},
			{Welcome{Client: "w1", Session: 1, Leases: span(0, 8)},
				"delta(w1:1,[0,4),+2) delta(w1:2,[4,8),+3) follow(w1,c0,3.1) ask(w1) ask(w1)"},
			{answer("w1", local(2), 1, 97), ""},
			{task(8), "train([8,12)@0,3.2,94)"},
		}},
		{"a refusal that the LPS takes back", running, []line{
			sent,
			{task(8), ""},
			{marksOf("w1", 1, 0).refusing(1), "follow(w1,c1)"},
			{Connected{}, "hello(w1,1,2,1,[0,12),3.1) train([4,8)@0,3.1,98)"},
			{Welcome{Client: "w1", Session: 1, Leases: span(0, 12)}, "delta(w1:1,[0,4),+2) follow(w1,c0,3.1)"},
			{answer("w1", local(2), 0, 100), ""},
			{ServerGone{}, ""},
			{trained(95, 4, 2), "named(w1:2,[4,8)) train([8,12)@0,3.2,95)"},
		}},
		{"does not wait for what cannot leave", newWorker(1), []line{
			sent,
			{answer("w1", local(2), 1, 97), "train([4,8)@0,3.2,97)"},
			{trained(96, 4, 2), "named(w1:2,[4,8)) follow(w1,c0,3.2) ask(w1)"},
			{task(8), "train([8,12)@0,3.2,96)"},
			{trained(95, 8, 2), "follow(w1,c0,3.2) ask(w1)"}, // folded into the second
			{marksOf("w1", 1, 1), "released(w1:1) delta(w1:2,[4,12),+2)"},
			{answer("w1", local(3), 1, 90), ""},
			{task(12), "train([12,16)@0,3.3,88)"},
		}},
		{"a welcome takes tasks back and is given what is nobody's", running, []line{
			{Connected{}, "hello(w1,1,1,1,[0,8),3.1)"},
			{Welcome{Client: "w1", Session: 1, Leases: data.Intervals{{Start: 0, End: 4}, {Start: 12, End: 16}}},
				"return(w1,[12,16)) follow(w1,c0,3.1) ask(w1)"},
		}},
		{"drain stops the round and waits until it is durable", running, []line{
			{Drain{}, "stop"},
			{trained(99, 0, 1), "named(w1:1,[0,2)) delta(w1:1,[0,2),+1) follow(w1,c1,3.1) leaving(w1)"},
			{marksOf("w1", 1, 0), ""},
			{marksOf("w1", 1, 1), "released(w1:1) finished"},
			{Tick{}, ""},
		}},
		{"drain before the first step", running, []line{{Drain{}, "stop"}, {trained(100, 0, 0), "leaving(w1) finished"}}},
		{"what a stopped round leaves is the next one", running, []line{
			{trained(99, 0, 1), "named(w1:1,[0,2)) delta(w1:1,[0,2),+1) follow(w1,c1,3.1)"},
			{answer("w1", local(2), 1, 99), "train([2,4)@1,3.2,99)"},
		}},
		{"the job ends while it waits", running, []line{sent, {Ended{"w1"}, "leaving(w1) finished(ended)"}}},
		{"the job ends while it trains", running, []line{
			{Ended{"w1"}, "stop"},
			{trained(98, 0, 2), "named(w1:1,[0,4)) delta(w1:1,[0,4),+2) follow(w1,c1,3.1) leaving(w1) finished(ended)"},
		}},
		{"the job ended while it was away", running, []line{
			sent,
			{ServerGone{}, "train([4,8)@0,3.1,98)"},
			{Reject{Client: "w1", Reason: ReasonTaken}, ""},
			{Reject{Client: "w1", Reason: ReasonEnded}, "stop"},
			{trained(98, 4, 0), "finished(ended)"},
		}},
		{"a diverged round is tried again, three times in all", running, []line{
			{bad, "follow(w1,c0,3.1) train([0,4)@0,3.1,100)"},
			{bad, "follow(w1,c0,3.1) train([0,4)@0,3.1,100)"},
			{bad, "follow(w1,c0,3.1) finished(diverged)"},
		}},
	})
}

// A worker whose delta was refused takes a whole model: here the one that it started
// from, for nothing else has happened in the region.
func TestScenarioRefusedWorkerTakesAModel(t *testing.T) {
	cfg := scriptCfg
	cfg.Guard.NormPerStep = 1
	l, w := newLPS(cfg, 8, 256, "w1")(), newWorker(8)()
	starts := map[uint64]float32{} // by first sample
	acts := perform(w, trained(50, 0, 2), nil)
	for range 100 {
		var next []Action
		for _, a := range append(acts, w.Step(Tick{})...) {
			if a, ok := a.(Train); ok {
				starts[a.Task.Samples.Start] = a.Params[0]
			}
			ev, ok := a.(Event)
			if !ok {
				continue
			}
			for _, answer := range l.Step(ev) {
				if ev, ok := answer.(Event); ok {
					next = append(next, w.Step(ev)...)
				}
			}
		}
		acts = next
	}
	if got, ok := starts[4]; !ok || got != 100 {
		t.Errorf("the next round started from %v (started: %v), want the region's 100", got, ok)
	}
}
