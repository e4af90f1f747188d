package roles

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"halos/data"
)

// busy is an LPS with something in every field of its state: a push in flight and one
// that is not durable, deltas for the next, workers with tasks.
func busy() *LPS {
	cfg := scriptCfg
	cfg.K, cfg.LPS.Beta, cfg.LPS.N = 1, 0.5, 3
	return playTo(newLPS(cfg, 8, 256, "w1", "w2")(),
		w1a, done(2), answer("eu", global(1), 1, 90), marksOf("eu", 1, 0),
		sub("w2", 1, 4, 1), done(3), done(4), sub("w1", 2, 8, 3), marksOf("eu", 2, 0).refusing(2),
	).(*LPS)
}

// TestStateRoundTrip takes a state through JSON into a new role, which must go on as
// the old one.
func TestStateRoundTrip(t *testing.T) {
	l := busy()
	before := copyState(l.State())
	if r := before.Region; r.Flight != 2 || len(r.Outbox) != 2 || r.Updates != 1 || len(r.Samples) == 0 || !r.Refused || len(before.Vectors) != 6 {
		t.Fatalf("the state does not hold what the test needs: %+v, %d vectors", r, len(before.Vectors))
	}
	again := NewLPS(l.cfg, "eu", "l", Term{4, "l"}, 1, 8)
	if err := again.Restore(before); err != nil {
		t.Fatal(err)
	}
	if after := again.State(); !reflect.DeepEqual(after, before) {
		t.Errorf("got %+v\nwant %+v", after, before)
	}
	for _, role := range []*LPS{l, again} {
		playTo(role, ServerGone{}, ClientGone{"w1", "w1"}, ClientGone{"w2", "w2"})
		playTo(role, hi("w1", 1, 3, 3).holding(span(16, 20)), hi("w2", 1, 2, 2).holding(span(12, 16)))
		playTo(role, sub("w2", 2, 12, 7), answer("eu", global(2), 2, 80), sub("w1", 3, 16, 2))
	}
	got, want := again.State(), l.State()
	if !slices.Equal(got.Params, want.Params) || !slices.Equal(again.base, l.base) || !slices.Equal(again.opt.M, l.opt.M) || again.version != l.version {
		t.Errorf("the restored one went on to %v at version %d, the other to %v at %d", got.Params, again.version, want.Params, l.version)
	}
}

// TestRestoreKeepsNothing changes a state after Restore: the role has its own copy.
func TestRestoreKeepsNothing(t *testing.T) {
	s := copyState(busy().State())
	l := NewLPS(scriptCfg, "eu", "l", Term{4, "l"}, 1, 8)
	if err := l.Restore(s); err != nil {
		t.Fatal(err)
	}
	before := copyState(l.State())
	for _, v := range append([]Vector{{"params", s.Params}}, s.Vectors...) {
		spoil(v.Values)
	}
	for _, set := range append([]data.Intervals{s.Server.Free, s.Region.Samples, s.Region.Outbox[0].Samples}, s.Server.Leased["w2"]) {
		set[0] = data.Interval{}
	}
	s.Server.Leased["w9"] = span(0, 2)
	if after := copyState(l.State()); !reflect.DeepEqual(after, before) {
		t.Errorf("got %+v\nwant %+v", after, before)
	}
}

func TestRestoreFaults(t *testing.T) {
	drop := func(name string) func(*State) {
		return func(s *State) {
			s.Vectors = slices.DeleteFunc(s.Vectors, func(v Vector) bool { return v.Name == name })
		}
	}
	for _, c := range []struct {
		name   string
		change func(*State)
		want   string // part of the error
	}{
		{"sound", func(*State) {}, ""},
		{"of a GPS", func(s *State) { s.Region = nil }, "not of an LPS"},
		{"of another model", func(s *State) { s.Params = make([]float32, 2) }, "2 parameters, the job's 1"},
		{"no momentum", drop("momentum"), `"momentum"`},
		{"no accumulator", drop("accumulator"), `"accumulator"`},
		{"no base", drop("base"), `"base"`},
		{"no push in flight", drop("flight"), `"flight"`},
		{"no delta in the outbox", drop("outbox.2"), `"outbox.2"`},
		{"a vector of another length", func(s *State) { s.Vectors[0].Values = nil }, `"momentum" of 1 elements`},
		{"a free half batch", func(s *State) { s.Server.Free = span(1, 2) }, "whole batches"},
		{"a committed half batch", func(s *State) { s.Server.Committed = span(1, 2) }, "whole batches"},
		{"a leased half batch", func(s *State) { s.Server.Leased["w1"] = span(1, 2) }, "lease of w1"},
	} {
		s := copyState(busy().State())
		c.change(&s)
		err := NewLPS(scriptCfg, "eu", "l", Term{4, "l"}, 1, 8).Restore(s)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
}
