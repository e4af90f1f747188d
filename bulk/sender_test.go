package bulk

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"halos/wire"
)

// published drains s and renders what it publishes: "5:0 5:1r1a2", a chunk of an
// offer with its round and attempt where they are not 0.
func published(t *testing.T, s *Sender) string {
	t.Helper()
	var lines []string
	for {
		b, err := s.Next(start)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return strings.Join(lines, " ")
		}
		c, err := wire.ParseChunk(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Verify(); err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%d:%d", c.Seq, c.Index)
		if c.Round != 0 || c.Attempt != 0 {
			line += fmt.Sprintf("r%da%d", c.Round, c.Attempt)
		}
		lines = append(lines, line)
	}
}

// put puts f on offer to s as 1/seq.
func put(s *Sender, seq uint64, f []byte) { s.Offer(1, seq, frameID(f), len(f), solid{f}, start) }

func TestSender(t *testing.T) {
	credit := func(seq uint64, upto uint32) func(*Sender) {
		return func(s *Sender) { s.Credit(&wire.Credit{Session: 1, Seq: seq, Upto: upto}, start) }
	}
	missing := func(seq uint64, first, attempt uint32, bits ...byte) func(*Sender) {
		return func(s *Sender) {
			s.Missing(&wire.Missing{Session: 1, Seq: seq, First: first, Bits: bits, Attempt: attempt}, start)
		}
	}
	held := func(seq uint64, n uint32) func(*Sender) {
		return func(s *Sender) { s.Credit(&wire.Credit{Session: 1, Seq: seq, Upto: n, Held: n, Last: n - 1}, start) }
	}
	forget := func(seq uint64) func(*Sender) { return func(s *Sender) { s.Forget(1, seq) } }
	reset := func(s *Sender) { s.Reset(start); s.Again(1, 5, start); s.Again(1, 6, start) }
	again := func(s *Sender) { put(s, 6, frame("a", 6, 2*testChunk)) }
	drain := func(s *Sender) {
		for b := []byte{}; b != nil; {
			b, _ = s.Next(start)
		}
	}
	type steps = []func(*Sender)
	for _, tc := range []struct { // offers: 5 of 10 chunks, 6 of 2
		name  string
		steps steps
		want  string
	}{
		{"no credit", nil, ""},
		{"in order", steps{credit(5, 3)}, "5:0 5:1 5:2"},
		{"earlier offers first", steps{credit(6, 1), credit(5, 2)}, "5:0 5:1 6:0"},
		{"credit beyond the end", steps{credit(6, 1<<32-1)}, "6:0 6:1"},
		{"credit taken back", steps{credit(5, 9), credit(5, 1)}, "5:0"},
		{"nothing twice", steps{credit(5, 2), drain, credit(5, 3)}, "5:2"},
		{"repairs first", steps{credit(5, 6), drain, missing(5, 1, 1, 0b11101001), credit(5, 7)}, "5:1r0a1 5:4r0a1 5:6r0a1"},
		{"no repair beyond the credit", steps{credit(5, 2), drain, missing(5, 1, 1, 0xff)}, "5:1r0a1"},
		{"what the receiver holds is not sent", steps{missing(5, 0, 3, 0b11111010, 1), credit(5, 10)}, "5:1r0a3 5:3r0a3 5:4r0a3 5:5r0a3 5:6r0a3 5:7r0a3 5:8r0a3"},
		{"missing beyond the end", steps{credit(6, 2), drain, missing(6, 1, 1, 0xff, 0xff)}, "6:1r0a1"},
		{"missing far beyond the end", steps{credit(6, 2), drain, missing(6, 1<<32-1, 1, 0xff)}, ""},
		{"missing nothing", steps{credit(6, 2), drain, missing(6, 0, 1)}, ""},
		{"of another seq", steps{credit(4, 9), missing(7, 0, 1, 1)}, ""},
		{"of another session", steps{func(s *Sender) { s.Credit(&wire.Credit{Session: 2, Seq: 5, Upto: 1}, start) }}, ""},
		{"nil", steps{func(s *Sender) { s.Credit(nil, start); s.Missing(nil, start) }}, ""},
		{"reset takes credit back", steps{credit(5, 2), reset}, ""},
		{"all again after a reset", steps{credit(5, 2), drain, reset, credit(5, 3)}, "5:0r1a0 5:1r1a0"},
		{"not before it is announced again", steps{func(s *Sender) { s.Reset(start) }, credit(5, 1)}, ""},
		{"again what is on its way", steps{credit(6, 1), drain, func(s *Sender) { s.Again(1, 6, start) }, credit(6, 2)}, "6:1"},
		{"again what has arrived", steps{credit(6, 2), drain, held(6, 2), func(s *Sender) { s.Again(1, 6, start) }, credit(6, 1)}, "6:0r1a0"},
		{"an attempt ends with its round", steps{credit(6, 2), missing(6, 0, 7, 1), reset, credit(6, 1)}, "6:0r1a0"},
		{"offered again", steps{credit(6, 1), drain, again, credit(6, 1)}, "6:0r1a0"},
		{"forgotten up to", steps{credit(5, 1), credit(6, 1), forget(5)}, "6:0"},
		{"all forgotten", steps{credit(5, 1), credit(6, 1), forget(99)}, ""},
		{"nothing forgotten", steps{credit(5, 1), forget(4)}, "5:0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSender(testChunk)
			s.pace.rate.now, s.pace.delay.now = 1e6, 1 // a window that is not in the way
			put(s, 6, frame("a", 6, 2*testChunk))
			put(s, 5, frame("a", 5, 9*testChunk+1))
			for _, step := range tc.steps {
				step(s)
			}
			if got := published(t, s); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestWhatIsAnnouncedAndSealed(t *testing.T) {
	s := newSender(testChunk)
	f, g := frame("a", 1, 100), frame("a", 2, 200)
	say := func(a *wire.Announce, l *wire.Seal) string { return fmt.Sprint(a, l) }
	if got, want := s.Offer(3, 2, frameID(g), 200, solid{g}, start).String(), announce(3, 2, g).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := s.Seal(3, 2).String(), sealOf(3, 2, g).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	part := &growing{solid: solid{f}, len: 50}
	s.Offer(3, 1, frameID(f), 100, part, start)
	if s.Seal(3, 1) != nil || s.Seal(3, 9) != nil || s.Seal(4, 2) != nil {
		t.Error("a seal of a part, or of nothing")
	}
	s.Reset(start)
	for _, tc := range []struct {
		session, seq uint64
		want         string
		known        bool
	}{
		{3, 1, say(announce(3, 1, f), nil), true},
		{3, 2, say(announce(3, 2, g), sealOf(3, 2, g)), true},
		{3, 2, say(nil, nil), true}, // it is on its way
		{3, 3, say(nil, nil), false},
		{4, 1, say(nil, nil), false},
	} {
		a, l, known := s.Again(tc.session, tc.seq, start)
		if got := say(a, l); got != tc.want || known != tc.known {
			t.Errorf("%d/%d: got %s, %v, want %s, %v", tc.session, tc.seq, got, known, tc.want, tc.known)
		}
	}
	s.Offer(4, 1, 7, 100, solid{f}, start)
	if _, _, known := s.Again(3, 2, start); known || part.closed != 1 {
		t.Errorf("of another session: known %v, closed %d times", known, part.closed)
	}
}

// A source is closed once, when its offer goes, and never under a reader.
func TestSourcesAreClosed(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(s *Sender, f []byte)
	}{
		{"forgotten", func(s *Sender, _ []byte) { s.Forget(1, 1) }},
		{"replaced", offer1},
		{"another session", func(s *Sender, f []byte) { s.Offer(2, 1, 9, len(f), solid{f}, start) }},
		{"withdrawn", func(s *Sender, _ []byte) { s.Withdraw(1, 2); s.Withdraw(2, 1); s.Withdraw(1, 1) }},
		{"closed", func(s *Sender, _ []byte) { s.Close() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSender(testChunk)
			g := &growing{solid: solid{frame("a", 1, 3*testChunk)}, len: 2*testChunk + 1}
			s.Offer(1, 1, 5, 3*testChunk, g, start)
			s.Credit(&wire.Credit{Session: 1, Seq: 1, Upto: 3}, start)
			if got := published(t, s); got != "1:0 1:1" {
				t.Errorf("published %s of what is there", got)
			}
			tc.end(s, g.b)
			if s.Forget(1, 1); g.closed != 1 {
				t.Errorf("closed %d times", g.closed)
			}
		})
	}
}

func offer1(s *Sender, f []byte) { put(s, 1, f) }

// A receiver that lacks everything for ever is left.
func TestAGreedyReceiver(t *testing.T) {
	s := newSender(testChunk)
	put(s, 1, frame("a", 1, 3*testChunk))
	s.Credit(&wire.Credit{Session: 1, Seq: 1, Upto: 3}, start)
	for range 1000 {
		switch b, err := s.Next(start); {
		case errors.Is(err, ErrGreedy):
			return
		case err != nil:
			t.Fatal(err)
		case b == nil:
			s.Missing(&wire.Missing{Session: 1, Seq: 1, Bits: []byte{7}}, start)
		}
	}
	t.Error("1000 chunks of a frame of 3 went out")
}

// A transfer that starts over with each connection, for its server does, is no greed.
func TestRestartsAreNoGreed(t *testing.T) {
	const chunks = 2000
	s := newSender(testChunk)
	put(s, 1, frame("a", 1, chunks*testChunk))
	for connection := range 20 {
		s.pace.rate.now, s.pace.delay.now = 1e9, 1
		s.Credit(&wire.Credit{Session: 1, Seq: 1, Upto: chunks}, start)
		if got := strings.Count(published(t, s), " ") + 1; got != chunks {
			t.Fatalf("connection %d: %d chunks went out, want %d", connection, got, chunks)
		}
		s.Reset(start)
		s.Again(1, 1, start)
	}
}

// A source that cannot be read is not offered again.
func TestASourceThatFails(t *testing.T) {
	s := newSender(testChunk)
	src := &growing{solid: solid{frame("a", 1, testChunk)}, len: testChunk, fails: true}
	s.Offer(1, 1, 1, testChunk, src, start)
	s.Credit(&wire.Credit{Session: 1, Seq: 1, Upto: 1}, start)
	if b, err := s.Next(start); !errors.Is(err, errFull) {
		t.Errorf("got %d bytes, %v", len(b), err)
	}
	if _, _, known := s.Again(1, 1, start); known || src.closed != 1 {
		t.Errorf("it is still on offer: %v, closed %d times", known, src.closed)
	}
}

func TestDone(t *testing.T) {
	s := newSender(testChunk)
	put(s, 1, frame("a", 1, 3*testChunk))
	credit := func(held uint32) {
		s.Credit(&wire.Credit{Session: 1, Seq: 1, Upto: 3, Held: held, Last: max(held, 1) - 1}, start)
	}
	for _, tc := range []struct {
		held uint32
		want bool
	}{{0, false}, {2, false}, {3, true}, {0, false}, {3, true}} { // the receiver begins anew after a mismatch
		if credit(tc.held); s.Done() != tc.want {
			t.Errorf("%d of 3 held: done %v", tc.held, s.Done())
		}
	}
}

func TestSilence(t *testing.T) {
	s := newSender(testChunk)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	if got := s.Silent(at(time.Hour)); got != 0 {
		t.Errorf("nothing on offer: %v", got)
	}
	put(s, 1, frame("a", 1, 3*testChunk))
	if got := s.Silent(at(time.Minute)); got != time.Minute {
		t.Errorf("no credit for a minute: %v", got)
	}
	s.Credit(&wire.Credit{Session: 1, Seq: 1, Upto: 3}, at(time.Minute))
	if got := s.Silent(at(2 * time.Minute)); got != time.Minute {
		t.Errorf("credit a minute ago: %v", got)
	}
	s.Credit(&wire.Credit{Session: 1, Seq: 1, Upto: 3, Held: 3, Last: 2}, at(time.Minute))
	if got := s.Silent(at(time.Hour)); got != 0 {
		t.Errorf("all has arrived: %v", got)
	}
}

// What Next returns shares nothing with the frame, which may change after Forget.
func TestNextCopies(t *testing.T) {
	s := newSender(testChunk)
	f := frame("a", 1, 10)
	put(s, 1, f)
	s.Credit(&wire.Credit{Session: 1, Seq: 1, Upto: 1}, start)
	b, err := s.Next(start)
	if b == nil || err != nil {
		t.Fatalf("got %v, %v", b, err)
	}
	want := bytes.Clone(b)
	clear(f)
	if !bytes.Equal(b, want) {
		t.Error("the message changed with the frame")
	}
}

func TestReadyTellsThePublisher(t *testing.T) {
	s := newSender(testChunk)
	put(s, 1, frame("a", 1, 10))
	select {
	case <-s.Ready():
		t.Error("ready without credit")
	default:
	}
	s.Credit(&wire.Credit{Session: 1, Seq: 1, Upto: 1}, start)
	select {
	case <-s.Ready():
	default:
		t.Error("not ready with credit")
	}
}
