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
		{"a hello takes back what was asked before", newLPS(scriptCfg, 8, 8, "w1"), []line{
			{Ask{Client: "w1"}, ""},
			{hi("w1", 1, 1, 1).holding(span(0, 8)), "welcome(w1,s1,0/0,[0,8))"},
			{Grant{Client: "eu", Ranges: span(20, 32)}, "snapshot(2)"},
			{Ask{Client: "w1"}, "grant(w1,[20,24)@2)"},
			{Ask{Client: "w1"}, "grant(w1,[24,28)@3) ask(eu,252)"},
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
		{"one that drains tells it too", newLPS(scriptCfg, 8, 256, "w1"), []line{
			{w1a, "applied(w1:1,2) marks(w1,1/0)"},
			{Drain{}, "named(eu:1,[0,4)) snapshot(2)"},
			{Ended{"eu"}, "ended(w1)"},
			{done(2), "marks(w1,1/1) delta(eu:1,[0,4),+2) follow(eu,c1) snapshot(3)"},
			{done(3), ""},
			{Leaving{"w1"}, ""},
			{ClientGone{"w1", "w1"}, "leaving(eu) finished(ended)"},
		}},
		{"a worker that does not leave is not waited for", two, []line{
			{Ended{"eu"}, "ended(w1) ended(w2) snapshot(2)"},
			{failed(2), ""},
			{ticks(lingerTicks - 1), "snapshot(3)"},
			{Tick{}, "leaving(eu) finished(ended)"},
		}},
		{"one that never had a model lingers to say it", fresh, []line{
			{Ended{"eu"}, ""},
			{hi("w1", 1, 1, 1), "reject(w1,job ended)"},
			{ticks(lingerTicks - 1), ""},
			{Tick{}, "finished(ended)"},
		}},
	})
}
