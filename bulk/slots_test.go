package bulk

import "testing"

func TestSlots(t *testing.T) {
	s := slots{budget: 10 * testChunk, chunk: testChunk, lent: make(map[*byte]bool)}
	a := s.take(3*testChunk - 5)
	if len(a) != 3*testChunk-5 || s.used != 3*testChunk {
		t.Fatalf("got %d bytes, %d taken", len(a), s.used)
	}
	if got := s.take(7*testChunk + 1); got != nil {
		t.Errorf("beyond the budget: got %d bytes", len(got))
	}
	b := s.take(7 * testChunk)
	if b == nil || s.take(1) != nil {
		t.Errorf("got %d bytes of a budget of %d", s.used, s.budget)
	}
	s.put(a)
	if again := s.take(2*testChunk + 1); &again[0] != &a[0] {
		t.Error("a buffer of the same size was not used again")
	} else {
		s.put(again)
	}
	s.put(b)
	if c := s.take(4 * testChunk); c == nil || s.used+s.idle > s.budget {
		t.Errorf("%d bytes lent and %d idle of %d", s.used, s.idle, s.budget)
	}
}
