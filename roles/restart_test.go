package roles

import (
	"testing"

	"halos/data"
)

// putBack makes a server as it was after some events, which then happened to apply
// others, crashed, and started again from the state in between.
func putBack(make func() actor, kept, lost []Event) func() actor {
	return func() actor {
		role := playTo(make(), kept...)
		var state State
		var fresh actor
		switch r := role.(type) {
		case *LPS:
			state = copyState(r.State())
			fresh = NewLPS(r.cfg, "eu", "l", Term{r.term.Counter + 1, "l"}, len(r.params), int(r.window))
		case *GPS:
			state = copyState(r.State())
			fresh = NewGPS(scriptCfg, Term{r.term.Counter + 1, "g"}, []float32{100}, r.samples, int(r.window))
		}
		playTo(role, lost...)
		if err := fresh.(interface{ Restore(State) error }).Restore(state); err != nil {
			panic(err)
		}
		return fresh
	}
}

// playTo returns the role once it has seen events.
func playTo(role actor, events ...Event) actor {
	for _, ev := range events {
		perform(role, ev, nil)
	}
	return role
}

func TestScenarioRestartOfGPS(t *testing.T) {
	two := newGPS(scriptCfg, 8, "eu", "us") // eu has [0,64), us [64,128)
	complete := func() actor {
		return playTo(NewGPS(scriptCfg, gpsTerm, []float32{100}, 4, 8), hi("eu", 1, 1, 1), Ask{Client: "eu", Samples: 2}, Ask{Client: "eu", Samples: 2})
	}
	both := data.Intervals{{Start: 0, End: 64}, {Start: 128, End: 192}}
	play(t, []script{
		{"verdicts that are forgotten are given again", putBack(two, []Event{eu1}, []Event{eu2}), []line{
			{hi("eu", 1, 3, 2).holding(span(4, 64)), "welcome(eu,s1,1/1,[4,64))"},
			{eu1, "marks(eu,1/1)"},
			{eu2, "applied(eu:2,2) marks(eu,2/1)"},
		}},
		{"what was granted since stays with its region", putBack(two, nil, []Event{Ask{Client: "eu", Samples: 64}}), []line{
			{hi("us", 1, 1, 1).holding(span(64, 128)), "welcome(us,s1,0/0,[64,128))"},
			{Ask{Client: "us", Samples: 64}, ""},
			{hi("eu", 1, 1, 1).holding(both), "welcome(eu,s1,0/0,[0,64),[128,192)) grant(us,[192,256)) snapshot(1)"},
		}},
		{"a region that does not come is waited for 10 s", putBack(two, nil, nil), []line{
			{hi("us", 1, 1, 1).holding(span(64, 128)), "welcome(us,s1,0/0,[64,128))"},
			{Ask{Client: "us", Samples: 64}, ""},
			{ticks(39), ""},
			{Tick{}, "grant(us,[128,192)) snapshot(1)"},
		}},
		{"a job that was complete has ended", putBack(complete, []Event{eu1}, nil), []line{
			{Tick{}, ""},
			{hi("eu", 1, 2, 2), "reject(eu,job ended)"},
			{ticks(farewellTicks - 1), ""},
			{Tick{}, "finished(ended)"},
		}},
	})
}

func TestScenarioRestartOfLPS(t *testing.T) {
	k1, k9 := scriptCfg, scriptCfg
	k1.K, k9.K = 1, 9
	two := newLPS(k9, 8, 256, "w1", "w2") // w1 has [0,4) and [8,12), w2 [4,8) and [12,16)
	more := data.Intervals{{Start: 0, End: 4}, {Start: 8, End: 12}, {Start: 16, End: 20}}
	rest := span(0, 256)
	ended := []line{
		{hi("w2", 1, 1, 1), "reject(w2,job ended)"},
		{ticks(farewellTicks - 1), ""},
	}
	play(t, []script{
		{"workers that are ahead bring their deltas again", putBack(two, []Event{w1a}, []Event{sub("w1", 2, 8, 3)}), []line{
			{hi("w1", 1, 3, 2).holding(span(8, 12)), "welcome(w1,s1,1/1,[8,12))"},
			{sub("w1", 2, 8, 3), "applied(w1:2,3) marks(w1,2/1)"},
		}},
		{"tasks granted since stay with who holds them", putBack(two, nil, []Event{Ask{Client: "w1"}}), []line{
			{hi("w2", 1, 1, 1), "welcome(w2,s1,0/0)"},
			{Ask{Client: "w2"}, "grant(w2,[96,100)@12)"}, // which nobody can have been given
			{hi("w1", 1, 1, 1).holding(more), "welcome(w1,s1,0/0,[0,4),[8,12),[16,20))"},
			{Ask{Client: "w2"}, "grant(w2,[4,8)@0)"},
		}},
		{"a push that was on its way goes out as it was", putBack(newLPS(k1, 8, 256, "w1"), []Event{w1a}, []Event{done(2)}), []line{
			{Connected{}, "hello(eu,1,2,1,[0,256),7.0)"},
			{Welcome{Client: "eu", Session: 1, Leases: rest}, "delta(eu:1,[0,4),+2) follow(eu,c1)"},
			{answer("eu", global(1), 1, 90), "merged(3,7.1)"},
		}},
		{"a push that nobody saw never was", putBack(newLPS(k1, 8, 256, "w1"), nil, []Event{w1a}), []line{
			{Connected{}, "hello(eu,1,1,1,[0,256),7.0)"},
			{Welcome{Client: "eu", Session: 1, Leases: rest}, ""},
			{hi("w1", 1, 2, 1).holding(span(0, 8)), "welcome(w1,s1,0/0,[0,8))"},
			{sub("w1", 1, 0, 9), "applied(w1:1,2) marks(w1,1/0) named(eu:1,[0,4)) snapshot(1)"},
			{done(1), "marks(w1,1/1) delta(eu:1,[0,4),+9) follow(eu,c1)"},
		}},
		{"the end is remembered", putBack(two, []Event{Ended{"eu"}}, nil), append(ended,
			line{hi("w1", 1, 1, 1), "reject(w1,job ended)"},
			line{ticks(farewellTicks - 1), ""},
			line{Tick{}, "finished(ended)"},
		)},
	})
}

// What an LPS and the GPS agree on when they meet again.
func TestScenarioReconnectOfLPS(t *testing.T) {
	k1 := scriptCfg
	k1.K = 1
	one, all := newLPS(k1, 8, 256, "w1"), span(0, 256)
	named := line{w1a, "applied(w1:1,2) marks(w1,1/0) named(eu:1,[0,4)) snapshot(2)"}
	left := line{done(2), "marks(w1,1/1) delta(eu:1,[0,4),+2) follow(eu,c1)"}
	away := []line{named, left, {ServerGone{}, ""}, {Connected{}, "hello(eu,1,2,1,[0,256),7.0)"}}
	rejoin := func(lines ...line) []line { return append(append([]line{}, away...), lines...) }
	play(t, []script{
		{"the answer to a push was lost", one, rejoin(
			line{Welcome{Client: "eu", Session: 1, Decided: 1, Durable: 1, Leases: span(4, 256)}, "released(eu:1) follow(eu,c1)"},
			line{answer("eu", global(1), 1, 90), "merged(3,7.1)"},
		)},
		{"a GPS that was put back gets all pushes again", one, rejoin(
			line{Welcome{Client: "eu", Session: 1, Decided: 1, Leases: span(4, 256)}, "follow(eu,c1)"},
			line{answer("eu", global(1), 1, 90), "merged(3,7.1)"},
			line{w1b, "applied(w1:2,4) marks(w1,2/1) named(eu:2,[4,8)) snapshot(3)"},
			line{done(3), "marks(w1,2/2) delta(eu:2,[4,8),+3) follow(eu,c2)"},
			line{Connected{}, "hello(eu,1,3,1,[0,256),7.1)"},
			line{Welcome{Client: "eu", Session: 1, Leases: all}, "delta(eu:1,[0,4),+2) delta(eu:2,[4,8),+3) follow(eu,c2)"},
			line{marksOf("eu", 1, 0).refusing(1), "follow(eu,c2)"}, // any refusal voids the credit
			line{answer("eu", global(2), 2, 80), "merged(5,7.2)"},
		)},
		{"a refusal that the GPS takes back", one, []line{
			named, left,
			{marksOf("eu", 1, 0).refusing(1), "follow(eu,c1)"},
			{Connected{}, "hello(eu,1,2,1,[0,256),7.0)"},
			{Welcome{Client: "eu", Session: 1, Leases: all}, "delta(eu:1,[0,4),+2) follow(eu,c1)"},
			{answer("eu", global(1), 1, 90), "merged(3,7.1)"},
			{Follow{Client: "w1"}, "model(w1,3.3,c1,94)"}, // half of 98 and half of 90, not 90
		}},
		{"samples that were reclaimed are lost to the workers", one, []line{
			{Connected{}, "hello(eu,1,1,1,[0,256),7.0)"},
			{Welcome{Client: "eu", Session: 1, Leases: span(4, 8)}, "ask(eu,256)"},
			{w1a, "refused(w1:1) marks(w1,1/0,refused 1)"},
			{w1b, "applied(w1:2,2) marks(w1,2/0) named(eu:1,[4,8)) snapshot(2)"},
		}},
		{"samples that only the GPS knows of are handed out", one, []line{
			{Connected{}, "hello(eu,1,1,1,[0,256),7.0)"},
			{Welcome{Client: "eu", Session: 1, Leases: data.Intervals{{Start: 0, End: 8}, {Start: 512, End: 516}}}, "ask(eu,252)"},
			{Ask{Client: "w1"}, "grant(w1,[512,516)@64)"},
		}},
		{"what is granted again while it is here is not handed out twice", one, []line{
			{Grant{Client: "eu", Ranges: span(0, 8)}, "snapshot(2)"},
			{Ask{Client: "w1"}, "grant(w1,[8,12)@1)"},
		}},
		{"a new lineage after a total loss", func() actor { return NewLPS(k1, "eu", "l", lpsTerm, 1, 8) }, []line{
			{Connected{}, "hello(eu,0,1,1)"},
			{Welcome{Client: "eu", Session: 2}, "follow(eu,c0)"},
			{hi("w1", 1, 6, 5).holding(span(0, 8)), "lost(w1,1-4) welcome(w1,s1,4/0) ask(eu,256)"},
			{sub("w1", 5, 0, 2), "refused(w1:5) marks(w1,5/0,refused 5)"},
		}},
	})
}
