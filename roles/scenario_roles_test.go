package roles

import (
	"slices"
	"testing"

	"halos/data"
)

func TestScenarioLPSPush(t *testing.T) {
	k1, k8, paper := scriptCfg, scriptCfg, scriptCfg
	k1.K, k8.K, paper.K, paper.InFlight = 1, 8, 1, Paper
	one := newLPS(k1, 8, 256, "w1")
	applied := line{w1a, "applied(w1:1,2) marks(w1,1/0) named(eu:1,[0,4)) snapshot(2)"}
	left := line{done(2), "marks(w1,1/1) delta(eu:1,[0,4),+2) follow(eu,c1)"}
	flying := []line{applied, left}
	inFlight := line{w1b, "applied(w1:2,3) marks(w1,2/1)"}
	play(t, []script{
		{"after K, once its snapshot is durable", newLPS(scriptCfg, 8, 256, "w1"), []line{
			{w1a, "applied(w1:1,2) marks(w1,1/0)"},
			{w1b, "applied(w1:2,3) marks(w1,2/0) named(eu:1,[0,8)) snapshot(2)"},
			{done(2), "marks(w1,2/2) delta(eu:1,[0,8),+5) follow(eu,c1)"},
			{answer("eu", global(1), 1, 90), "merged(4,7.1)"},
			{Follow{Client: "w1"}, "model(w1,3.4,c2,92.5)"},
		}},
		{"no send path passes the snapshot", one, []line{
			applied,
			{ticks(130), ""},
			{marksOf("eu", 0, 0).wanting(1), ""},
			{ServerGone{}, ""},
			{Connected{}, "hello(eu,1,2,1,[0,256),7.0)"},
			{Welcome{Client: "eu", Term: gpsTerm, Session: 1, Leases: span(0, 256)}, "follow(eu,c1)"},
			{ticks(130), ""},
			left,
		}},
		{"a failed snapshot holds it back", one, []line{
			applied,
			{failed(2), ""},
			{ticks(19), ""},
			{Tick{}, "snapshot(3)"},
			{done(3), "marks(w1,1/1) delta(eu:1,[0,4),+2) follow(eu,c1)"},
		}},
		{"a snapshot that was running does not hold it", newLPS(scriptCfg, 2, 256, "w1"), []line{
			{w1a, "applied(w1:1,2) marks(w1,1/0) snapshot(2)"},
			{w1b, "applied(w1:2,3) marks(w1,2/0) named(eu:1,[0,8))"},
			{done(2), "marks(w1,2/1) snapshot(3)"},
			{done(3), "marks(w1,2/2) delta(eu:1,[0,8),+5) follow(eu,c1)"},
		}},
		{"resent until decided, kept until durable", one, slices.Concat(flying, []line{
			{ticks(119), ""},
			{Tick{}, "delta(eu:1,[0,4),+2)"},
			{marksOf("eu", 1, 0), ""},
			{ticks(500), ""},
			{marksOf("eu", 1, 1), "released(eu:1)"},
		})},
		{"one in flight, carry ships the rest with the next", one, slices.Concat(flying, []line{
			inFlight,
			{answer("eu", global(1), 1, 90), "merged(4,7.1) named(eu:2,[4,8)) snapshot(3)"},
			{Follow{Client: "w1"}, "model(w1,3.4,c2,91)"},
			{done(3), "marks(w1,2/2) delta(eu:2,[4,8),+3) follow(eu,c2)"},
		})},
		{"one in flight, paper folds the rest into the base", newLPS(paper, 8, 256, "w1"), slices.Concat(flying, []line{
			inFlight,
			{answer("eu", global(1), 1, 90), "merged(4,7.1)"},
			{Follow{Client: "w1"}, "model(w1,3.4,c2,92.5)"},
		})},
		{"merged once", one, slices.Concat(flying, []line{
			{answer("eu", global(1), 0, 95), ""},
			{answer("eu", global(2), 1, 90), "merged(3,7.2)"},
			{answer("eu", global(2), 1, 90), ""},
			{answer("eu", global(3), 1, 80), ""},
			{Follow{Client: "w1"}, "model(w1,3.3,c1,94)"},
		})},
		{"a refused push leaves nothing of itself", one, slices.Concat(flying, []line{
			inFlight,
			{marksOf("eu", 1, 0).refusing(1), "follow(eu,c1)"},
			{answer("eu", global(1), 1, 90), "merged(4,7.1) named(eu:2,[4,8)) snapshot(3)"},
			{Follow{Client: "w1"}, "model(w1,3.4,c2,87)"},
			{done(3), "marks(w1,2/2) delta(eu:2,[4,8),+3) follow(eu,c2)"},
			{marksOf("eu", 1, 1), "released(eu:1)"},
		})},
		{"the tail of an exhausted region", newLPS(k8, 8, 8, "w1"), []line{
			{Grant{Client: "eu", Exhausted: true}, ""},
			{w1a, "applied(w1:1,2) marks(w1,1/0)"},
			{w1b, "applied(w1:2,3) marks(w1,2/0) named(eu:1,[0,8)) snapshot(2)"},
		}},
		{"the tail of an abandoned region", newLPS(k8, 8, 256, "w1"), []line{
			{w1a, "applied(w1:1,2) marks(w1,1/0)"},
			{ClientGone{"w1", "w1"}, ""},
			{ticks(40), "snapshot(2)"},
			{done(2), ""},
			{ticks(39), ""},
			{Tick{}, "named(eu:1,[0,4)) snapshot(3) return(eu,[4,256))"},
			{done(3), "delta(eu:1,[0,4),+2) follow(eu,c1)"},
		}},
		{"drain pushes the tail and waits until it is durable", newLPS(k8, 8, 256, "w1"), []line{
			{w1a, "applied(w1:1,2) marks(w1,1/0)"},
			{Drain{}, "named(eu:1,[0,4)) snapshot(2)"},
			{w1b, ""},
			left,
			{marksOf("eu", 1, 0), ""},
			{answer("eu", global(1), 1, 90), "merged(3,7.1) snapshot(3) leaving(eu)"},
			{marksOf("eu", 1, 1), "released(eu:1)"},
			{done(3), "finished"},
			{w1b, ""},
		}},
	})
}

func TestScenarioLPSRegion(t *testing.T) {
	two := newLPS(scriptCfg, 8, 256, "w1", "w2")
	fresh := func() actor { return NewLPS(scriptCfg, "eu", "l", lpsTerm, 1, 8) }
	play(t, []script{
		{"from nothing to the first tasks", fresh, []line{
			{Connected{}, "hello(eu,0,1,1)"},
			{Welcome{Client: "eu", Term: gpsTerm, Session: 1}, "follow(eu,c0)"},
			{hi("w1", 1, 1, 1), "welcome(w1,s1,0/0) ask(eu,256)"},
			{Follow{Client: "w1"}, ""},
			{answer("eu", global(5), 0, 100), "merged(1,7.5) model(w1,3.1,c0,100) snapshot(1)"},
			{Ask{Client: "w1"}, ""},
			{Ask{Client: "w1"}, ""},
			{hi("w2", 1, 1, 1), "welcome(w2,s1,0/0)"},
			{Ask{Client: "w2"}, ""},
			{Grant{Client: "eu", Ranges: span(0, 256)}, "grant(w1,[0,4)@0) grant(w2,[4,8)@0) grant(w1,[8,12)@1)"},
			{done(1), "snapshot(2)"},
		}},
		{"nothing is left", newLPS(scriptCfg, 8, 16, "w1", "w2"), []line{
			{Grant{Client: "eu", Exhausted: true}, ""},
			{Ask{Client: "w1"}, ""},
			{Grant{Client: "eu", Ranges: span(20, 22)}, "grant(w1,[20,22)@2) ask(eu,256) snapshot(2)"},
		}},
		{"a gone worker's tasks are handed out after 20 s", newLPS(scriptCfg, 8, 16, "w1", "w2"), []line{
			{ClientGone{"w1", "w1"}, ""},
			{Ask{Client: "w2"}, ""},
			{Ask{Client: "w2"}, ""},
			{ticks(79), ""},
			{Tick{}, "grant(w2,[0,4)@0) grant(w2,[8,12)@1)"},
			{hi("w1", 1, 1, 1).holding(data.Intervals{{Start: 0, End: 4}, {Start: 8, End: 12}}), "welcome(w1,s1,0/0)"},
			{w1a, "refused(w1:1) marks(w1,1/0,refused 1) snapshot(2)"},
		}},
		{"the end reaches everybody", two, []line{
			{ClientGone{"w2", "w2"}, ""},
			{Ended{"eu"}, "ended(w1) snapshot(2)"},
			{Ended{"eu"}, ""},
			{hi("w2", 1, 1, 1), "reject(w2,job ended)"},
			{hi("w3", 1, 1, 1), "reject(w3,job ended)"},
			{done(2), ""},
			{Leaving{"w1"}, ""},
			{ClientGone{"w1", "w1"}, ""},
			{ticks(farewellTicks - 1), ""}, // w2 may come back, had it not heard
			{Tick{}, "leaving(eu) finished(ended)"},
		}},
		{"a reject may say it", two, []line{
			{Reject{Client: "eu", Reason: ReasonTaken}, ""},
			{Reject{Client: "eu", Reason: ReasonEnded}, "ended(w1) ended(w2) snapshot(2)"},
			{Leaving{"w1"}, ""},
			{Leaving{"w2"}, ""},
			{ClientGone{"w1", "w1"}, ""},
			{ClientGone{"w2", "w2"}, ""},
			{done(2), "leaving(eu) finished(ended)"},
		}},
		{"one that never had a model lingers to say it", fresh, []line{
			{Ended{"eu"}, ""},
			{hi("w1", 1, 1, 1), "reject(w1,job ended)"},
			{ticks(lingerTicks - 1), ""},
			{Tick{}, "finished(ended)"},
		}},
	})
}

func TestScenarioGPS(t *testing.T) {
	four := func() actor { return NewGPS(scriptCfg, gpsTerm, []float32{100}, 4, 8) }
	play(t, []script{
		{"a push is answered with the model", newGPS(scriptCfg, 8, "eu"), []line{
			{Follow{Client: "eu", Contains: 1}, ""},
			{eu1, "applied(eu:1,1) marks(eu,1/0) model(eu,7.1,c1,98)"},
		}},
		{"samples go to the longest waiting, less near the end", four, []line{
			{hi("eu", 1, 1, 1), "welcome(eu,s1,0/0) snapshot(1)"},
			{hi("us", 1, 1, 1), "welcome(us,s1,0/0)"},
			{Ask{"eu", 64}, "grant(eu,[0,2))"},
			{Ask{"eu", 64}, "grant(eu,[2,4))"},
			{Ask{"us", 64}, "grant(us,exhausted)"},
			{Ask{"eu", 64}, "grant(eu,exhausted)"},
			{Tick{}, ""},
			{Return{"us", span(0, 4)}, ""},
			{Return{"eu", span(2, 4)}, "grant(us,[2,4))"},
		}},
		{"the end reaches everybody", four, []line{
			{hi("apac", 1, 1, 1), "welcome(apac,s1,0/0) snapshot(1)"},
			{hi("eu", 1, 1, 1), "welcome(eu,s1,0/0)"},
			{hi("us", 1, 1, 1), "welcome(us,s1,0/0)"},
			{done(1), "snapshot(2)"},
			{done(2), ""},
			{Ask{"eu", 2}, "grant(eu,[0,2))"},
			{Ask{"eu", 2}, "grant(eu,[2,4))"},
			{ClientGone{"apac", "apac"}, ""},
			{eu1, "applied(eu:1,1) marks(eu,1/0) snapshot(3)"},
			{done(3), "marks(eu,1/1) ended(eu) ended(us)"},
			{hi("apac", 1, 1, 1), "reject(apac,job ended)"},
			{Leaving{"eu"}, ""},
			{Leaving{"us"}, ""},
			{ClientGone{"eu", "eu"}, ""},
			{ClientGone{"us", "us"}, ""},
			{ticks(farewellTicks - 1), ""},
			{Tick{}, "finished(ended)"},
		}},
		{"no end before it is durable", four, []line{
			{hi("eu", 1, 1, 1), "welcome(eu,s1,0/0) snapshot(1)"},
			{done(1), ""},
			{Ask{"eu", 2}, "grant(eu,[0,2))"},
			{Ask{"eu", 2}, "grant(eu,[2,4))"},
			{eu1, "applied(eu:1,1) marks(eu,1/0) snapshot(2)"},
			{failed(2), ""},
			{ticks(19), ""},
			{Tick{}, "snapshot(3)"},
			{done(3), "marks(eu,1/1) ended(eu)"},
			{Leaving{"eu"}, ""},
			{ClientGone{"eu", "eu"}, "finished(ended)"},
		}},
		{"drain", newGPS(scriptCfg, 8, "eu"), []line{
			{eu1, "applied(eu:1,1) marks(eu,1/0)"},
			{Drain{}, "snapshot(1)"},
			{eu2, ""},
			{done(1), "marks(eu,1/1) finished"},
			{hi("eu", 1, 2, 2), ""},
		}},
	})
}

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
