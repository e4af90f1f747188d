package roles

import (
	"slices"
	"testing"
)

func TestScenarioOutbox(t *testing.T) {
	in := line{Welcome{Client: "w1", Session: 1}, ""}
	wc := sub("w1", 0, 8, 4)
	wd := sub("w1", 0, 12, 5)
	first := []line{in, {w1a, "named(w1:1,[0,4)) delta(w1:1,[0,4),+2)"}}
	both := slices.Concat(first, []line{{w1b, "named(w1:2,[4,8)) delta(w1:2,[4,8),+3)"}})
	play(t, []script{
		{"kept until durable", newBox(4), slices.Concat(both, []line{
			{marksOf("w1", 2, 0), ""},
			{marksOf("w1", 2, 1), "released(w1:1)"},
			{marksOf("w1", 2, 2), "released(w1:2)"},
		})},
		{"a reconnect sends what is not decided", newBox(4), slices.Concat(both, []line{
			{ServerGone{}, ""},
			{wc, "named(w1:3,[8,12))"},
			{Connected{}, "hello(w1,1,4,1,[0,12))"},
			{Welcome{Client: "w1", Session: 1, Decided: 1}, "delta(w1:2,[4,8),+3) delta(w1:3,[8,12),+4)"},
		})},
		{"a server put back takes back its verdicts", newBox(4), slices.Concat(both, []line{
			{marksOf("w1", 2, 0), ""},
			{Connected{}, "hello(w1,1,3,1,[0,8))"},
			{Welcome{Client: "w1", Session: 1}, "delta(w1:1,[0,4),+2) delta(w1:2,[4,8),+3)"},
		})},
		{"what is wanted is sent once more", newBox(4), slices.Concat(both, []line{
			{marksOf("w1", 0, 0).wanting(1), "delta(w1:1,[0,4),+2) delta(w1:2,[4,8),+3)"},
			{marksOf("w1", 0, 0).wanting(1), ""},
			{marksOf("w1", 1, 0).wanting(2), "delta(w1:2,[4,8),+3)"},
		})},
		{"30 s without a verdict", newBox(4), slices.Concat(both, []line{
			{ticks(100), ""},
			{marksOf("w1", 1, 0), ""},
			{ticks(119), ""},
			{Tick{}, "delta(w1:2,[4,8),+3)"},
			{ticks(119), ""},
			{Tick{}, "delta(w1:2,[4,8),+3)"},
			{marksOf("w1", 2, 0), ""},
			{ticks(500), ""},
		})},
		{"a full window coalesces what was never sent", newBox(2), slices.Concat(both, []line{
			{wc, "named(w1:3,[8,12))"},
			{wd, ""},
			{marksOf("w1", 1, 1), "released(w1:1) delta(w1:3,[8,16),+9)"},
			{sub("w1", 0, 16, 1), "named(w1:4,[16,20))"},
		})},
		{"so does a long time without a server", newBox(2), []line{
			{w1a, "named(w1:1,[0,4))"},
			{w1b, "named(w1:2,[4,8))"},
			{wc, ""},
			{wd, ""},
			{in.ev, "delta(w1:1,[0,4),+2) delta(w1:2,[4,16),+12)"},
		}},
		{"marks of another session", newBox(4), slices.Concat(first, []line{{Marks{Client: "w1", Session: 2, Decided: 1, Durable: 1}, ""}})},
		{"good-bye is said once on each connection", newBox(4), slices.Concat(first, []line{
			{Drain{}, "leaving(w1)"},
			{Drain{}, ""},
			{Welcome{Client: "w1", Session: 1}, "leaving(w1) delta(w1:1,[0,4),+2)"},
		})},
	})
}
