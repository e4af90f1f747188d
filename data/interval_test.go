package data

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// indices is the dumb model of Intervals: one entry per index.
type indices map[uint64]bool

func (m indices) each(iv Interval, in bool) {
	for x := iv.Start; x < iv.End; x++ {
		if in {
			m[x] = true
		} else {
			delete(m, x)
		}
	}
}

func (m indices) intervals() Intervals {
	var s Intervals
	for x := range uint64(universe + 1) {
		if !m[x] {
			continue
		}
		if n := len(s); n > 0 && s[n-1].End == x {
			s[n-1].End++
		} else {
			s = append(s, Interval{x, x + 1})
		}
	}
	return s
}

func (m indices) take(n uint64) indices {
	taken := indices{}
	for x := uint64(0); x <= universe && n > 0; x++ {
		if m[x] {
			delete(m, x)
			taken[x] = true
			n--
		}
	}
	return taken
}

const universe = 40 // indices of the random tests lie in [0,universe]

func randomInterval(r *rand.Rand) Interval {
	return Interval{r.Uint64N(universe), r.Uint64N(universe)} // half of them empty or backwards
}

func TestIntervalsAgreeWithASetOfIndices(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var s Intervals
		model := indices{}
		for op := range 40 {
			iv := randomInterval(r)
			switch op % 4 {
			case 0, 1:
				s.Add(iv)
				model.each(iv, true)
			case 2:
				s.Remove(iv)
				model.each(iv, false)
			case 3:
				n := r.Uint64N(6)
				if taken, want := s.Take(n), model.take(n).intervals(); !slices.Equal(taken, want) {
					t.Fatalf("Take(%d) = %v, want %v", n, taken, want)
				}
			}
			want := model.intervals()
			if !slices.Equal(s, want) {
				t.Fatalf("after operation %d with %v: %v, want %v", op, iv, s, want)
			}
			if err := s.Validate(); err != nil {
				t.Fatalf("%v: %v", s, err)
			}
			if got := s.Len(); got != uint64(len(model)) {
				t.Fatalf("%v: Len = %d, want %d", s, got, len(model))
			}
			probe := randomInterval(r)
			inside := true
			for x := probe.Start; x < probe.End; x++ {
				inside = inside && model[x]
			}
			if got := s.Contains(probe); got != inside {
				t.Fatalf("%v contains %v: %t, want %t", s, probe, got, inside)
			}
		}
	}
}

func TestIntervalsUnionAndDifference(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var a, b Intervals
		union, difference := indices{}, indices{}
		for range 5 {
			x, y := randomInterval(r), randomInterval(r)
			a.Add(x)
			b.Add(y)
			union.each(x, true)
			union.each(y, true)
			difference.each(x, true)
		}
		for _, iv := range b {
			difference.each(iv, false)
		}
		before := b.Clone()
		sum, rest := a.Clone(), a.Clone()
		sum.AddAll(b)
		rest.RemoveAll(b)
		if want := union.intervals(); !slices.Equal(sum, want) {
			t.Fatalf("%v with %v = %v, want %v", a, b, sum, want)
		}
		if want := difference.intervals(); !slices.Equal(rest, want) {
			t.Fatalf("%v without %v = %v, want %v", a, b, rest, want)
		}
		if !slices.Equal(b, before) {
			t.Fatalf("the second set became %v, was %v", b, before)
		}
	}
}

func TestIntervalsReachTheLastIndex(t *testing.T) {
	const last = ^uint64(0)
	s := Intervals{{last - 2, last}}
	s.Add(Interval{last - 4, last - 2})
	if want := (Intervals{{last - 4, last}}); !slices.Equal(s, want) {
		t.Fatalf("after Add: %v, want %v", s, want)
	}
	if !s.Contains(Interval{last - 1, last}) {
		t.Errorf("%v does not contain its last index", s)
	}
	s.Remove(Interval{last - 1, last})
	if want := (Intervals{{last - 4, last - 1}}); !slices.Equal(s, want) {
		t.Fatalf("after Remove: %v, want %v", s, want)
	}
}

func TestIntervalsValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		set  Intervals
		want string
	}{
		{"the empty set", nil, ""},
		{"a gap of one", Intervals{{0, 3}, {4, 5}}, ""},
		{"an empty interval", Intervals{{7, 7}}, "interval 0: [7,7) is empty"},
		{"backwards", Intervals{{9, 7}}, "interval 0: [9,7) is empty"},
		{"no gap", Intervals{{0, 3}, {3, 5}}, "interval 1: [3,5) does not leave a gap after [0,3)"},
		{"out of order", Intervals{{4, 5}, {0, 1}}, "interval 1: [0,1) does not leave a gap after [4,5)"},
		{"two faults", Intervals{{0, 3}, {2, 5}, {8, 8}}, "interval 1: [2,5) does not leave a gap after [0,3)\ninterval 2: [8,8) is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if err := c.set.Validate(); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
