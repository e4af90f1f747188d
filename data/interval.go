package data

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Interval is a half-open range of sample indices: Start is in it, End is not.
type Interval struct {
	Start uint64 `json:"start"`
	End   uint64 `json:"end"`
}

// Len is the number of indices; an interval that ends where it starts, or
// before, has none.
func (iv Interval) Len() uint64 {
	if iv.End <= iv.Start {
		return 0
	}
	return iv.End - iv.Start
}

func (iv Interval) String() string { return fmt.Sprintf("[%d,%d)", iv.Start, iv.End) }

// Intervals is a set of sample indices: sorted, disjoint, with a gap between any
// two neighbours and none of them empty. The zero value is the empty set. Two
// equal sets are equal element by element.
//
// A set that came from outside may break the invariant: Validate it first.
type Intervals []Interval

// Validate says where s breaks the invariant.
func (s Intervals) Validate() error {
	var faults []error
	for i, iv := range s {
		if iv.Len() == 0 {
			faults = append(faults, fmt.Errorf("interval %d: %v is empty", i, iv))
		}
		if i > 0 && iv.Start <= s[i-1].End {
			faults = append(faults, fmt.Errorf("interval %d: %v does not leave a gap after %v", i, iv, s[i-1]))
		}
	}
	return errors.Join(faults...)
}

// Len is the number of indices in the set.
func (s Intervals) Len() uint64 {
	var n uint64
	for _, iv := range s {
		n += iv.Len()
	}
	return n
}

// Contains reports whether every index of iv is in s; the empty interval always is.
func (s Intervals) Contains(iv Interval) bool {
	if iv.Len() == 0 {
		return true
	}
	i := s.reaching(iv.Start + 1)
	return i < len(s) && s[i].Start <= iv.Start && iv.End <= s[i].End
}

// Clone returns a set that shares no memory with s.
func (s Intervals) Clone() Intervals { return slices.Clone(s) }

// Add puts the indices of iv into s, those that are there already too.
func (s *Intervals) Add(iv Interval) {
	if iv.Len() == 0 {
		return
	}
	i := s.reaching(iv.Start)
	j := i
	for j < len(*s) && (*s)[j].Start <= iv.End {
		j++
	}
	if i < j {
		iv.Start = min(iv.Start, (*s)[i].Start)
		iv.End = max(iv.End, (*s)[j-1].End)
	}
	*s = slices.Replace(*s, i, j, iv)
}

// Remove takes the indices of iv out of s, as far as they are in it.
func (s *Intervals) Remove(iv Interval) {
	if iv.Len() == 0 {
		return
	}
	i := s.reaching(iv.Start + 1)
	j := i
	for j < len(*s) && (*s)[j].Start < iv.End {
		j++
	}
	if i == j {
		return
	}
	var rest [2]Interval
	n := 0
	if left := (Interval{(*s)[i].Start, iv.Start}); left.Len() > 0 {
		rest[n] = left
		n++
	}
	if right := (Interval{iv.End, (*s)[j-1].End}); right.Len() > 0 {
		rest[n] = right
		n++
	}
	*s = slices.Replace(*s, i, j, rest[:n]...)
}

// AddAll adds every interval of t.
func (s *Intervals) AddAll(t Intervals) {
	for _, iv := range t {
		s.Add(iv)
	}
}

// RemoveAll removes every interval of t, which must not share memory with s.
func (s *Intervals) RemoveAll(t Intervals) {
	for _, iv := range t {
		s.Remove(iv)
	}
}

// Take removes the lowest n indices of s, or all if there are fewer, and returns
// them.
func (s *Intervals) Take(n uint64) Intervals {
	var taken Intervals
	for n > 0 && len(*s) > 0 {
		first := (*s)[0]
		first.End = first.Start + min(n, first.Len())
		n -= first.Len()
		taken = append(taken, first)
		s.Remove(first)
	}
	return taken
}

// reaching returns the position of the first interval that ends at x or beyond.
func (s Intervals) reaching(x uint64) int {
	i, _ := slices.BinarySearchFunc(s, x, func(iv Interval, x uint64) int { return cmp.Compare(iv.End, x) })
	return i
}
