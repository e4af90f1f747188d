package bulk

import (
	"math/rand/v2"
	"testing"
)

func TestSetAgainstAMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 63, 64, 65, 128, 1000} {
		s, m := full(n), make(map[int]bool)
		for i := range n {
			m[i] = true
		}
		for range 4 * n {
			i := rng.IntN(n)
			if rng.IntN(4) == 0 {
				s.add(i)
				m[i] = true
			} else {
				s.remove(i)
				delete(m, i)
			}
			from := rng.IntN(n)
			want := from
			for want < n && !m[want] {
				want++
			}
			if got := min(s.next(from), n); got != want || s.has(i) != m[i] {
				t.Fatalf("%d: next from %d is %d, want %d; has %d is %v", n, from, got, want, i, s.has(i))
			}
		}
		s.fill(n)
		if got := s.next(0); got != 0 {
			t.Errorf("%d filled: lowest is %d", n, got)
		}
		if got := s.next(n); got < n {
			t.Errorf("%d filled: next beyond the end is %d", n, got)
		}
	}
}
