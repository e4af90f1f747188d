package bulk

import "slices"

// slots lends frame buffers whose sizes add up to at most budget bytes, and
// keeps those that come back for the next transfer, within the same budget. A
// buffer takes a whole number of chunks, so frames that differ by a few bytes
// share it.
type slots struct {
	budget int
	chunk  int
	used   int // bytes lent
	idle   int // bytes in free
	free   [][]byte
	lent   map[*byte]bool
}

func (s *slots) size(n int) int { return (n + s.chunk - 1) / s.chunk * s.chunk }

// take returns a buffer of n bytes with any contents, or nil where the budget
// does not allow it now.
func (s *slots) take(n int) []byte {
	size := s.size(n)
	if s.used+size > s.budget {
		return nil
	}
	var b []byte
	if i := slices.IndexFunc(s.free, func(b []byte) bool { return cap(b) == size }); i >= 0 {
		b = s.free[i]
		s.forget(i)
	} else {
		for s.used+s.idle+size > s.budget {
			s.forget(0)
		}
		b = make([]byte, size)
	}
	s.used += size
	s.lent[&b[:1][0]] = true
	return b[:n]
}

// put takes a lent buffer back. It panics on any other: two transfers would
// share one.
func (s *slots) put(b []byte) {
	b = b[:cap(b)]
	if len(b) == 0 || !s.lent[&b[0]] {
		panic("bulk: released a frame that is not lent")
	}
	delete(s.lent, &b[0])
	s.used -= len(b)
	s.idle += len(b)
	s.free = append(s.free, b)
}

func (s *slots) forget(i int) {
	s.idle -= cap(s.free[i])
	s.free = slices.Delete(s.free, i, i+1)
}
