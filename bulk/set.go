package bulk

import "math/bits"

// set holds chunk indices below the n it was made for.
type set []uint64

// full returns the set of all indices below n.
func full(n int) set {
	s := make(set, (n+63)/64)
	s.fill(n)
	return s
}

// fill puts all indices below n into s.
func (s set) fill(n int) {
	for i := range s {
		s[i] = ^uint64(0)
	}
	if n%64 != 0 {
		s[n/64] = 1<<(n%64) - 1
	}
}

func (s set) has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }
func (s set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s set) remove(i int)   { s[i/64] &^= 1 << (i % 64) }

// next is the lowest member from i on; where there is none it lies beyond all
// indices.
func (s set) next(i int) int {
	for w := i / 64; w < len(s); w++ {
		word := s[w]
		if w == i/64 {
			word &= ^uint64(0) << (i % 64)
		}
		if word != 0 {
			return w*64 + bits.TrailingZeros64(word)
		}
	}
	return len(s) * 64
}
