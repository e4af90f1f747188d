package roles

import (
	"math"
	"slices"
	"strings"
	"testing"

	"halos/data"
)

var (
	eu1 = sub("eu", 1, 0, 2)
	eu2 = sub("eu", 2, 4, 3)
	w1a = sub("w1", 1, 0, 2)
	w1b = sub("w1", 2, 4, 3)
)

func TestScenarioHello(t *testing.T) {
	none, one := newGPS(scriptCfg, 8), newGPS(scriptCfg, 8, "eu")
	play(t, []script{
		{"a stranger is welcome", none, []line{{hi("eu", 4, 1, 1), "welcome(eu,s4,0/0) snapshot(1)"}}},
		{"session 0 starts a lineage", none, []line{{hi("eu", 0, 1, 1), "welcome(eu,s1,0/0) snapshot(1)"}, {hi("eu", 0, 1, 1), "welcome(eu,s2,0/0)"}}},
		{"a reconnect finds its marks and leases", one, []line{
			{eu1, "applied(eu:1,1) marks(eu,1/0)"},
			{hi("eu", 1, 2, 1).holding(span(0, 64)), "welcome(eu,s1,1/0,[4,64))"},
		}},
		{"a grant that was lost is free again", one, []line{
			{hi("eu", 1, 1, 1), "welcome(eu,s1,0/0)"},
			{Ask{Client: "eu", Samples: 64}, "grant(eu,[0,64)) snapshot(1)"},
		}},
		{"a higher session retires the lower", one, []line{
			{eu1, "applied(eu:1,1) marks(eu,1/0)"},
			{hi("eu", 2, 1, 1), "welcome(eu,s2,0/0) snapshot(1)"},
			{eu2, ""},
			{hi("eu", 1, 3, 1), "reject(eu,retired session)"},
		}},
		{"a state older than its deltas", one, []line{{eu1, "applied(eu:1,1) marks(eu,1/0)"}, {hi("eu", 1, 1, 1), "reject(eu,retired session)"}}},
		{"a region is taken while its peer lives, and 10 s longer", none, []line{
			{hi("eu", 1, 1, 1).by("p"), "welcome(eu,s1,0/0) snapshot(1)"},
			{done(1), ""},
			{hi("eu", 1, 1, 1).by("q"), "reject(eu,taken)"},
			{ClientGone{"eu", "q"}, ""},
			{hi("eu", 9, 1, 1).by("q"), "reject(eu,taken)"},
			{ClientGone{"eu", "p"}, ""},
			{ticks(39), ""},
			{hi("eu", 1, 1, 1).by("q"), "reject(eu,taken)"},
			{Tick{}, ""},
			{hi("eu", 1, 1, 1).by("q"), "welcome(eu,s1,0/0)"},
			{hi("eu", 1, 1, 1).by("p"), "reject(eu,taken)"},
		}},
		{"nonsense", none, []line{
			{hi("eu", 1, 1, 0), "reject(eu,invalid hello)"},
			{hi("eu", 1, 1, 2), "reject(eu,invalid hello)"},
			{hi("eu", 1, 1, 1).holding(span(1, 4)), "reject(eu,invalid hello)"},
			{hi("eu", 1, 1, 1).holding(data.Intervals{{Start: 4, End: 8}, {Start: 0, End: 2}}), "reject(eu,invalid hello)"},
		}},
		{"what lies below the oldest is lost, never waited for", one, []line{
			{hi("eu", 1, 4, 3).holding(span(0, 64)), "lost(eu,1-2) welcome(eu,s1,2/0,[0,64))"},
			{eu2, "marks(eu,2/0)"},
			{sub("eu", 3, 8, 1), "applied(eu:3,1) marks(eu,3/0)"},
		}},
	})
}

func TestScenarioVerdicts(t *testing.T) {
	one, two := newGPS(scriptCfg, 8, "eu"), newGPS(scriptCfg, 8, "eu", "us")
	third, us1 := sub("eu", 3, 8, 1), sub("us", 1, 64, 1)
	play(t, []script{
		{"one each, in order", two, []line{
			{eu1, "applied(eu:1,1) marks(eu,1/0)"},
			{us1, "applied(us:1,2) marks(us,1/0)"},
			{eu2, "applied(eu:2,3) marks(eu,2/0)"},
		}},
		{"a duplicate repeats the mark", one, []line{
			{eu1, "applied(eu:1,1) marks(eu,1/0)"},
			{eu2, "applied(eu:2,2) marks(eu,2/0)"},
			{eu1, "marks(eu,2/0)"},
			{eu2, "marks(eu,2/0)"},
		}},
		{"a gap asks for its first", one, []line{
			{third, "marks(eu,0/0,want 1)"},
			{eu1, "applied(eu:1,1) marks(eu,1/0)"},
			{third, "marks(eu,1/0,want 2)"},
			{eu2, "applied(eu:2,2) marks(eu,2/0)"},
			{third, "applied(eu:3,3) marks(eu,3/0)"},
		}},
		{"nothing without a hello", one, []line{{us1, ""}, {eu1.of(2), ""}, {ClientGone{"eu", "eu"}, ""}, {eu1, ""}}},
		{"a credit is answered by the model that contains it", two, []line{
			{Follow{Client: "eu", Contains: 1}, ""},
			{us1, "applied(us:1,1) marks(us,1/0)"},
			{eu1, "applied(eu:1,2) marks(eu,1/0) model(eu,7.2,c1,97)"},
			{eu2, "applied(eu:2,3) marks(eu,2/0)"},
		}},
		{"a credit for any other model than the one held", two, []line{
			{Follow{Client: "eu", Have: global(0)}, ""},
			{us1, "applied(us:1,1) marks(us,1/0) model(eu,7.1,c0,99)"},
			{Follow{Client: "eu"}, "model(eu,7.1,c0,99)"},
		}},
		{"a refusal voids the credit", one, []line{
			{Follow{Client: "eu", Contains: 1}, ""},
			{sub("eu", 1, 640, 2), "refused(eu:1) marks(eu,1/0,refused 1)"},
			{Follow{Client: "eu", Contains: 1}, "model(eu,7.0,c1,100)"},
		}},
	})
}

// Every refusal advances the mark, leaves the model alone and frees the samples that
// the client held of those it named.
func TestScenarioRefusals(t *testing.T) {
	cfg := scriptCfg
	cfg.K, cfg.Guard = 99, Guard{NormPerStep: 10, MaxStaleness: 2}
	unguarded := cfg
	unguarded.Guard.NormPerStep = 0
	ours, theirs := newLPS(cfg, 16, 256, "w1", "w2"), newGPS(cfg, 16, "eu", "us")
	for _, c := range []struct {
		name   string
		make   func() actor
		change func(*Delta)
		reason string // part of it, "" = accepted
		back   bool   // [0,4) is free again
	}{
		{"sound", ours, func(*Delta) {}, "", false},
		{"norm not a number", ours, func(d *Delta) { d.Norm = math.NaN() }, "not finite", true},
		{"norm infinite", ours, func(d *Delta) { d.Norm = math.Inf(1) }, "not finite", true},
		{"loss not a number", ours, func(d *Delta) { d.Loss = float32(math.NaN()) }, "not finite", true},
		{"too long", ours, func(d *Delta) { d.Values = make([]float32, 2) }, "2 elements", true},
		{"empty", ours, func(d *Delta) { d.Values = nil }, "0 elements", true},
		{"norm at its bound", ours, func(d *Delta) { d.Norm = 20 }, "", false},
		{"norm beyond the bound of two steps", ours, func(d *Delta) { d.Norm = 20.1 }, "norm", true},
		{"norm beyond the bound of one", ours, func(d *Delta) { d.Norm, d.Steps, d.Samples = 11, 1, span(0, 2) }, "norm", false},
		{"absurd norm without a guard", newLPS(unguarded, 16, 256, "w1", "w2"), func(d *Delta) { d.Norm = 1.1e15 }, "norm", true},
		{"large norm without a guard", newLPS(unguarded, 16, 256, "w1", "w2"), func(d *Delta) { d.Norm = 0.9e15 }, "", false},
		{"push beyond its bound", theirs, func(d *Delta) { d.Norm = 41 }, "norm", true},
		{"as stale as may be", ours, func(d *Delta) { d.Base = local(1) }, "", false},
		{"too stale", ours, func(d *Delta) { d.Base = local(0) }, "versions behind", true},
		{"base of the future", ours, func(d *Delta) { d.Base = local(4) }, "base version", true},
		{"leased to another", ours, func(d *Delta) { d.Samples = span(4, 8) }, "not leased", false},
		{"leased to nobody", ours, func(d *Delta) { d.Samples = span(100, 104) }, "not leased", false},
		{"partly leased", ours, func(d *Delta) { d.Steps, d.Samples = 4, span(0, 8) }, "not leased", true},
		{"fewer steps than samples", ours, func(d *Delta) { d.Steps = 1 }, "steps", true},
		{"more steps than samples", ours, func(d *Delta) { d.Steps = 3 }, "steps", true},
		{"no step", ours, func(d *Delta) { d.Steps, d.Samples = 0, nil }, "steps", false},
		{"steps that overflow", ours, func(d *Delta) { d.Steps = 1<<63 + 2 }, "steps", true},
		{"half a batch", ours, func(d *Delta) { d.Samples = span(1, 5) }, "whole batches", false},
		{"samples named twice", ours, func(d *Delta) { d.Samples = data.Intervals{{Start: 0, End: 2}, {Start: 0, End: 2}} }, "whole batches", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			role := c.make()
			s, d, next := refusing(role)
			c.change(&d)
			before := s.version
			acts := role.Step(d)
			want := list("applied", d.Name, before+1) + " " + trace([]Action{marksOf(d.Client, 1, 0)})
			if c.reason != "" {
				want = list("refused", d.Name) + " " + trace([]Action{marksOf(d.Client, 1, 0).refusing(1)})
			}
			if got := trace(acts); got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
			if c.reason == "" {
				return
			}
			if got := acts[0].(Refused).Reason; !strings.Contains(got, c.reason) {
				t.Errorf("reason %q does not name %q", got, c.reason)
			}
			if s.version != before || s.params[0] != 100 {
				t.Errorf("the model is %v at version %d, want 100 at %d", s.params, s.version, before)
			}
			if free := s.ledger.free.Contains(data.Interval{Start: 0, End: 4}); free != c.back {
				t.Errorf("samples [0,4) free: %v, want %v", free, c.back)
			}
			want = list("applied", next.Name, before+1) + " " + trace([]Action{marksOf(d.Client, 2, 0)})
			if got := trace(role.Step(next)); got != want {
				t.Errorf("the next one: got %s, want %s", got, want)
			}
		})
	}
}

// refusing returns the server half of role, a client's sound delta on [0,4) and the
// one after it. An LPS has got to version 3 by then, which the deltas are based on.
func refusing(role actor) (*server, Delta, Delta) {
	l, ok := role.(*LPS)
	if !ok {
		return &role.(*GPS).server, eu1, eu2
	}
	for seq, first := range []uint64{4, 12} {
		other := sub("w2", uint64(seq)+1, first, 0)
		other.Base = local(1)
		l.Step(other)
	}
	d, next := w1a, sub("w1", 2, 8, 3)
	d.Base, next.Base = local(3), local(3)
	return &l.server, d, next
}

func TestScenarioDurable(t *testing.T) {
	small := newGPS(scriptCfg, 4, "eu")
	third := sub("eu", 3, 8, 1)
	half := []line{{eu1, "applied(eu:1,1) marks(eu,1/0)"}, {eu2, "applied(eu:2,2) marks(eu,2/0) snapshot(1)"}}
	play(t, []script{
		{"half a window", small, slices.Concat(half, []line{
			{third, "applied(eu:3,3) marks(eu,3/0)"},
			{done(9), ""},
			{done(1), "marks(eu,3/2)"},
			{done(1), ""},
		})},
		{"a failed snapshot moves nothing", small, slices.Concat(half, []line{
			{failed(1), ""},
			{eu1, "marks(eu,2/0)"},
			{ticks(19), ""},
			{Tick{}, "snapshot(2)"},
			{done(1), ""},
			{done(2), "marks(eu,2/2)"},
		})},
		{"changes wait 10 s", newGPS(scriptCfg, 16, "eu"), []line{
			{eu1, "applied(eu:1,1) marks(eu,1/0)"},
			{ticks(39), ""},
			{Tick{}, "snapshot(1)"},
			{done(1), "marks(eu,1/1)"},
			{ticks(200), ""},
		}},
		{"one that leaves does not", newGPS(scriptCfg, 16, "eu"), []line{
			{eu1, "applied(eu:1,1) marks(eu,1/0)"},
			{Leaving{"eu"}, "snapshot(1)"},
			{done(1), "marks(eu,1/1)"},
		}},
		{"one that was away hears it with the welcome", small, slices.Concat(half, []line{
			{ClientGone{"eu", "eu"}, ""},
			{done(1), ""},
			{hi("eu", 1, 3, 1), "welcome(eu,s1,2/2)"},
		})},
		{"the marks of a retired session are not the next one's", small, slices.Concat(half, []line{
			{hi("eu", 2, 1, 1), "welcome(eu,s2,0/0)"},
			{done(1), "snapshot(2)"},
			{done(2), ""},
		})},
	})
}
