package bulk

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"halos/wire"
)

// published drains s and renders what it publishes: "5:0 5:1r1a2", a chunk of an
// offer with its round and attempt where they are not 0.
func published(t *testing.T, s *Sender) string {
	t.Helper()
	var lines []string
	for {
		b, ok := s.Next()
		if !ok {
			return strings.Join(lines, " ")
		}
		c, err := wire.ParseChunk(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Verify(); err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%d:%d", c.Seq, c.Index)
		if c.Round != 0 || c.Attempt != 0 {
			line += fmt.Sprintf("r%da%d", c.Round, c.Attempt)
		}
		lines = append(lines, line)
	}
}

func TestSender(t *testing.T) {
	credit := func(seq uint64, upto uint32) func(*Sender) {
		return func(s *Sender) { s.Credit(&wire.Credit{Session: 1, Seq: seq, Upto: upto}) }
	}
	missing := func(seq uint64, first, attempt uint32, bits ...byte) func(*Sender) {
		return func(s *Sender) {
			s.Missing(&wire.Missing{Session: 1, Seq: seq, First: first, Bits: bits, Attempt: attempt})
		}
	}
	forget := func(seq uint64) func(*Sender) { return func(s *Sender) { s.Forget(seq) } }
	reset := func(seq uint64) func(*Sender) { return func(s *Sender) { s.Reset(seq) } }
	again := func(s *Sender) { s.Offer(1, 6, frame("a", 6, 2*testChunk)) }
	drain := func(s *Sender) {
		for ok := true; ok; {
			_, ok = s.Next()
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
		{"of another session", steps{func(s *Sender) { s.Credit(&wire.Credit{Session: 2, Seq: 5, Upto: 1}) }}, ""},
		{"nil", steps{func(s *Sender) { s.Credit(nil); s.Missing(nil) }}, ""},
		{"reset takes credit back", steps{credit(5, 2), reset(0)}, ""},
		{"all again after a reset", steps{credit(5, 2), drain, reset(0), credit(5, 3)}, "5:0r1a0 5:1r1a0 5:2r1a0"},
		{"reset of the later only", steps{credit(6, 1), drain, reset(6), credit(5, 1), credit(6, 1)}, "5:0 6:0r1a0"},
		{"an attempt ends with its round", steps{credit(6, 2), missing(6, 0, 7, 1), reset(0), credit(6, 1)}, "6:0r1a0"},
		{"offered again", steps{credit(6, 1), drain, again, credit(6, 1)}, "6:0r1a0"},
		{"forgotten up to", steps{credit(5, 1), credit(6, 1), forget(5)}, "6:0"},
		{"all forgotten", steps{credit(5, 1), credit(6, 1), forget(99)}, ""},
		{"nothing forgotten", steps{credit(5, 1), forget(4)}, "5:0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSender(testChunk)
			s.Offer(1, 6, frame("a", 6, 2*testChunk))
			s.Offer(1, 5, frame("a", 5, 9*testChunk+1))
			for _, step := range tc.steps {
				step(s)
			}
			if got := published(t, s); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestOfferAndResetAnnounce(t *testing.T) {
	s := newSender(testChunk)
	f, g := frame("a", 1, 100), frame("a", 2, 200)
	if got, want := s.Offer(3, 2, g).String(), announce(3, 2, g).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s.Offer(3, 1, f)
	seqs := func(announces []*wire.Announce) string {
		var b strings.Builder
		for _, a := range announces {
			fmt.Fprint(&b, a.Session, "/", a.Seq, "/", a.Bytes, " ")
		}
		return b.String()
	}
	for _, tc := range []struct {
		from uint64
		want string
	}{{0, "3/1/100 3/2/200 "}, {1, "3/1/100 3/2/200 "}, {2, "3/2/200 "}, {3, ""}} {
		if got := seqs(s.Reset(tc.from)); got != tc.want {
			t.Errorf("from %d: got %q, want %q", tc.from, got, tc.want)
		}
	}
	s.Offer(3, 2, f)
	if got, want := seqs(s.Reset(0)), "3/1/100 3/2/100 "; got != want {
		t.Errorf("replaced: got %q, want %q", got, want)
	}
	s.Offer(4, 1, g)
	if got, want := seqs(s.Reset(0)), "4/1/200 "; got != want {
		t.Errorf("another session: got %q, want %q", got, want)
	}
}

// What Next returns shares nothing with the frame, which may change after Forget.
func TestNextCopies(t *testing.T) {
	s := newSender(testChunk)
	f := frame("a", 1, 10)
	s.Offer(1, 1, f)
	s.Credit(&wire.Credit{Session: 1, Seq: 1, Upto: 1})
	b, ok := s.Next()
	if !ok {
		t.Fatal("got nothing")
	}
	want := bytes.Clone(b)
	clear(f)
	if !bytes.Equal(b, want) {
		t.Error("the message changed with the frame")
	}
}

func TestReadyTellsThePublisher(t *testing.T) {
	s := newSender(testChunk)
	s.Offer(1, 1, frame("a", 1, 10))
	select {
	case <-s.Ready():
		t.Error("ready without credit")
	default:
	}
	s.Credit(&wire.Credit{Session: 1, Seq: 1, Upto: 1})
	select {
	case <-s.Ready():
	default:
		t.Error("not ready with credit")
	}
}
