package roles

import (
	"math/rand/v2"
	"slices"
	"testing"

	"halos/data"
)

// slow is a ledger that notes for every sample where it is: "" free, "!" committed,
// or its client's name.
type slow []string

func (s slow) where(name string) data.Intervals {
	var set data.Intervals
	for i, at := range s {
		if at == name {
			set.Add(data.Interval{Start: uint64(i), End: uint64(i) + 1})
		}
	}
	return set
}

func (s slow) move(set data.Intervals, from, to string) {
	for _, iv := range set {
		for i := iv.Start; i < iv.End; i++ {
			if s[i] == from {
				s[i] = to
			}
		}
	}
}

// TestLedger plays random turns of three clients against the slow ledger.
func TestLedger(t *testing.T) {
	const samples = 60
	clients := []string{"a", "b", "c"}
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		l, want := ledger{free: span(0, samples)}, make(slow, samples)
		for turn := range 80 {
			name, n := clients[rng.IntN(3)], 1+rng.Uint64N(12)
			var some data.Intervals
			for range rng.IntN(4) {
				from := rng.Uint64N(samples)
				some.Add(data.Interval{Start: from, End: min(samples, from+n)})
			}
			first := rng.Uint64N(samples) * rng.Uint64N(2)
			beyond := intersect(want.where(""), span(first, samples))
			switch rng.IntN(5) {
			case 0:
				got := l.take(name, n)
				if lowest := want.where(""); !slices.Equal(got, lowest.Take(n)) {
					t.Fatalf("seed %d, turn %d: took %v", seed, turn, got)
				}
				want.move(got, "", name)
			case 1:
				iv, ok := l.run(name, n, first)
				free := beyond
				if ok != (len(free) > 0) || ok && (iv.Start != free[0].Start || iv.Len() != min(n, free[0].Len())) {
					t.Fatalf("seed %d, turn %d: run %v of %v", seed, turn, iv, free)
				}
				want.move(data.Intervals{iv}, "", name)
			case 2:
				held := intersect(some, want.where(name))
				if !l.holds(name, held) || l.holds(name, some) != slices.Equal(held, some) {
					t.Fatalf("seed %d, turn %d: %s holds %v of %v", seed, turn, name, held, some)
				}
				l.commit(name, held)
				want.move(held, name, "!")
			case 3:
				l.reclaim(name, some)
				want.move(some, name, "")
			case 4:
				l.reconcile(name, some)
				stray := want.where(name)
				stray.RemoveAll(some)
				want.move(stray, name, "")
				want.move(intersect(some, want.where("")), "", name)
			}
			for i := l.handed; i < samples; i++ {
				if want[i] != "" {
					t.Fatalf("seed %d, turn %d: sample %d is at %q, but the mark at %d", seed, turn, i, want[i], l.handed)
				}
			}
			for _, at := range append(clients, "", "!") {
				got := map[string]data.Intervals{"": l.free, "!": l.committed}[at]
				if at != "" && at != "!" {
					got = l.leased[at]
				}
				if !slices.Equal(got, want.where(at)) {
					t.Fatalf("seed %d, turn %d: at %q got %v, want %v", seed, turn, at, got, want.where(at))
				}
			}
			if sum := want.where("a").Len() + want.where("b").Len() + want.where("c").Len(); l.outstanding() != sum {
				t.Fatalf("seed %d, turn %d: %d outstanding, want %d", seed, turn, l.outstanding(), sum)
			}
		}
	}
}

func TestWhole(t *testing.T) {
	for _, c := range []struct {
		name string
		set  data.Intervals
		want bool
	}{
		{"empty", nil, true},
		{"batches", data.Intervals{{Start: 0, End: 3}, {Start: 6, End: 12}}, true},
		{"starts in a batch", data.Intervals{{Start: 1, End: 3}}, false},
		{"ends in a batch", data.Intervals{{Start: 0, End: 4}}, false},
		{"out of order", data.Intervals{{Start: 6, End: 9}, {Start: 0, End: 3}}, false},
		{"twice", data.Intervals{{Start: 0, End: 3}, {Start: 0, End: 3}}, false},
		{"without a gap", data.Intervals{{Start: 0, End: 3}, {Start: 3, End: 6}}, false},
		{"backwards", data.Intervals{{Start: 6, End: 3}}, false},
	} {
		if got := whole(c.set, 3); got != c.want {
			t.Errorf("%s: %v in batches of 3: %v, want %v", c.name, c.set, got, c.want)
		}
	}
}
