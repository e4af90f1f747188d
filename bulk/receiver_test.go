package bulk

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"halos/wire"
)

var start = time.Unix(1000, 0)

func announce(session, seq uint64, frame []byte) *wire.Announce {
	sum := sha256.Sum256(frame)
	return &wire.Announce{Session: session, Seq: seq, Bytes: uint64(len(frame)), Sha256: sum[:]}
}

// message is chunk i of a frame.
func message(session, seq uint64, i int, frame []byte) []byte {
	count := (len(frame) + testChunk - 1) / testChunk
	b, err := wire.Chunk{
		Session: session, Seq: seq, Index: uint32(i), Count: uint32(count),
		Payload: frame[i*testChunk : min((i+1)*testChunk, len(frame))],
	}.AppendBinary(nil)
	if err != nil {
		panic(err)
	}
	return b
}

// offeredTo returns a receiver to which "a" has announced a frame of the given
// number of whole chunks as 1/5.
func offeredTo(t *testing.T, c Config, chunks int) (*Receiver, []byte) {
	t.Helper()
	r := newReceiver(c, testChunk)
	f := frame("a", 5, chunks*testChunk)
	if err := r.Announce("a", announce(1, 5, f), start); err != nil {
		t.Fatal(err)
	}
	return r, f
}

// bring delivers chunks of a frame as 1/5 of "a".
func bring(t *testing.T, r *Receiver, f []byte, now time.Time, chunks ...int) {
	t.Helper()
	for _, i := range chunks {
		if err := r.Chunk("a", message(1, 5, i, f), now); err != nil {
			t.Fatalf("chunk %d: %v", i, err)
		}
	}
	if err := r.audit(); err != nil {
		t.Fatal(err)
	}
}

// script renders events: "a credit 8", "a missing 0:05 #1", "a frame 5", "a failed 5".
func script(events []Event) string {
	var lines []string
	for _, e := range events {
		line := fmt.Sprintf("%s frame %d", e.Peer, e.Seq)
		if e.Err != nil {
			line = fmt.Sprintf("%s failed %d", e.Peer, e.Seq)
		}
		if m := e.Send.GetCredit(); m != nil {
			line = fmt.Sprintf("%s credit %d", e.Peer, m.Upto)
		}
		if m := e.Send.GetMissing(); m != nil {
			line = fmt.Sprintf("%s missing %d:%s #%d", e.Peer, m.First, hex.EncodeToString(m.Bits), m.Attempt)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, ", ")
}

func expect(t *testing.T, r *Receiver, want string) []Event {
	t.Helper()
	events := r.Events()
	if got := script(events); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	if err := r.audit(); err != nil {
		t.Fatal(err)
	}
	return events
}

func TestVerdicts(t *testing.T) {
	c := testConfig
	c.ChunkBudget = 2
	r, f := offeredTo(t, c, 4)
	f = f[:4*testChunk-10]
	if err := r.Announce("a", announce(1, 5, f), start); err != nil { // the same name, another frame
		t.Fatal(err)
	}
	if err := r.Announce("a", announce(1, 6, f), start); err != nil {
		t.Fatal(err)
	}
	bring(t, r, f, start, 0)
	before, held := r.slots.used, r.peers["a"].active.held

	short := f[:3*testChunk+10]
	corrupt := message(1, 5, 1, f)
	corrupt[wire.ChunkHeaderLen]++
	for _, tc := range []struct {
		name, from string
		b          []byte
		want       error
	}{
		{"nothing", "a", nil, ErrGarbage},
		{"noise", "a", bytes.Repeat([]byte{0xa5}, 200), ErrGarbage},
		{"a chunk cut off", "a", message(1, 5, 1, f)[:60], ErrGarbage},
		{"a foreign peer", "b", message(1, 5, 1, f), ErrUnannounced},
		{"another session", "a", message(2, 5, 1, f), ErrUnannounced},
		{"never announced", "a", message(1, 7, 1, f), ErrUnannounced},
		{"announced, not begun", "a", message(1, 6, 1, f), ErrUnannounced},
		{"another count", "a", message(1, 5, 1, f[:2*testChunk]), ErrMismatch},
		{"a short last chunk", "a", message(1, 5, 3, short), ErrMismatch},
		{"beyond the credit", "a", message(1, 5, 3, f), ErrCredit},
		{"held already", "a", message(1, 5, 0, f), ErrDuplicate},
		{"a changed byte", "a", corrupt, ErrCorrupt},
		{"none the less", "a", message(1, 5, 1, f), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := r.Chunk(tc.from, tc.b, start); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	if r.slots.used != before || len(r.peers) != 1 || r.peers["a"].active.held != held+1 {
		t.Errorf("refused chunks left %d bytes of slots (before %d), %d peers, %d chunks held", r.slots.used, before, len(r.peers), r.peers["a"].active.held)
	}
}

func TestAnnounceRefuses(t *testing.T) {
	f := frame("a", 1, 10)
	for _, tc := range []struct {
		name string
		a    *wire.Announce
		want error
	}{
		{"nothing", &wire.Announce{}, ErrGarbage},
		{"nil", nil, ErrGarbage},
		{"an empty frame", announce(1, 1, nil), ErrGarbage},
		{"half a SHA-256", &wire.Announce{Bytes: 10, Sha256: make([]byte, 16)}, ErrGarbage},
		{"a byte too many", announce(1, 1, make([]byte, testConfig.MaxFrame+1)), ErrTooLarge},
		{"bytes wrap an int", &wire.Announce{Bytes: 1 << 63, Sha256: make([]byte, 32)}, ErrTooLarge},
		{"the largest", announce(1, 1, make([]byte, testConfig.MaxFrame)), nil},
		{"one byte", announce(1, 2, f[:1]), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newReceiver(testConfig, testChunk)
			if err := r.Announce("a", tc.a, start); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if refused := tc.want != nil; refused && len(r.peers) != 0 {
				t.Error("a refused announce is remembered")
			}
		})
	}
}

func TestAnnouncesAreBounded(t *testing.T) {
	r := newReceiver(testConfig, testChunk)
	f := frame("a", 1, 10)
	for seq := range uint64(MaxQueued + 1) { // one of them in flight
		if err := r.Announce("a", announce(1, seq, f), start); err != nil {
			t.Fatalf("announce %d: %v", seq, err)
		}
	}
	if err := r.Announce("a", announce(1, MaxQueued+1, f), start); !errors.Is(err, ErrBusy) {
		t.Errorf("one more: got %v, want ErrBusy", err)
	}
	if err := r.Announce("a", announce(1, 7, f), start); err != nil {
		t.Errorf("one of them again: %v", err)
	}
	for i := range maxPeers - 1 {
		if err := r.Announce(fmt.Sprint(i), announce(1, 1, f), start); err != nil {
			t.Fatalf("peer %d: %v", i, err)
		}
	}
	if err := r.Announce("b", announce(1, 1, f), start); !errors.Is(err, ErrBusy) {
		t.Errorf("a peer more: got %v, want ErrBusy", err)
	}
	for i := range maxPeers - 1 {
		r.Drop(fmt.Sprint(i))
	}
	if err := r.Announce("b", announce(1, 1, f), start); err != nil {
		t.Errorf("after others left: %v", err)
	}
}

func TestTransfersOfAPeerComeInTurn(t *testing.T) {
	r, f := offeredTo(t, testConfig, 2)
	g := frame("a", 6, 10)
	if err := r.Announce("a", announce(1, 6, g), start); err != nil {
		t.Fatal(err)
	}
	expect(t, r, "a credit 2")
	bring(t, r, f, start, 1, 0)
	events := expect(t, r, "a frame 5, a credit 1")
	if !bytes.Equal(events[0].Frame, f) || events[0].Session != 1 {
		t.Errorf("got another frame, session %d", events[0].Session)
	}
	if err := r.Chunk("a", message(1, 5, 0, f), start); !errors.Is(err, ErrDuplicate) {
		t.Errorf("late chunk: got %v, want ErrDuplicate", err)
	}
	if err := r.Chunk("a", message(1, 6, 0, g), start); err != nil {
		t.Fatal(err)
	}
	expect(t, r, "a frame 6")
	expect(t, r, "")
}

func TestCreditIsSharedFairly(t *testing.T) {
	c := testConfig
	c.ChunkBudget = 12
	r, f := offeredTo(t, c, 40)
	expect(t, r, "a credit 12")
	for _, other := range []string{"b", "c"} {
		if err := r.Announce(other, announce(1, 5, f), start); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, r, "b credit 2, c credit 2") // the budget is out, two are everybody's
	for i := range 8 {
		bring(t, r, f, start, i)
	}
	expect(t, r, "") // a is down to its third of 4
	for _, other := range []string{"b", "c"} {
		if err := r.Chunk(other, message(1, 5, 0, f), start); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, r, "b credit 5, c credit 5")
	r.Drop("b")
	expect(t, r, "a credit 14, c credit 7") // halves of 6
}

func TestRepair(t *testing.T) {
	c := testConfig
	c.ChunkBudget = 20
	tick := func(r *Receiver, ms int) { r.Tick(start.Add(time.Duration(ms) * time.Millisecond)) }
	t.Run("overtaken chunks", func(t *testing.T) {
		r, f := offeredTo(t, c, 30)
		bring(t, r, f, start, 0, 1, 3, 5)
		expect(t, r, "a credit 24")
		bring(t, r, f, start.Add(400*time.Millisecond), 6, 9)
		tick(r, 499)
		expect(t, r, "a credit 26")
		tick(r, 500)
		expect(t, r, "a missing 2:65 #1") // 2, 4, 7 and 8
	})
	t.Run("a probe where nothing arrives", func(t *testing.T) {
		r, f := offeredTo(t, c, 30)
		bring(t, r, f, start, 0, 1, 2, 3, 4, 5, 6, 7)
		expect(t, r, "a credit 28")
		tick(r, 500)
		expect(t, r, "a missing 2:c0 #1") // 8 and 9
		tick(r, 1400)
		expect(t, r, "") // patience has doubled
		tick(r, 1500)
		expect(t, r, "a missing 2:c0 #2")
		again, err := wire.Chunk{Session: 1, Seq: 5, Index: 8, Count: 30, Attempt: 2, Payload: f[8*testChunk : 9*testChunk]}.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Chunk("a", again, start.Add(1600*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		expect(t, r, "a missing 4:e0ffff #3, a credit 29") // the probe came: 9 to 27 are lost as well
		tick(r, 2100)
		expect(t, r, "a missing 3:c0 #4") // patience is back
	})
}

func TestResume(t *testing.T) {
	c := testConfig
	c.ChunkBudget = 4
	r, f := offeredTo(t, c, 10)
	bring(t, r, f, start, 0, 1, 3)
	expect(t, r, "a credit 7")
	r.Drop("a")
	if err := r.Chunk("a", message(1, 5, 2, f), start); !errors.Is(err, ErrUnannounced) {
		t.Errorf("chunk of a dropped peer: got %v, want ErrUnannounced", err)
	}
	expect(t, r, "")
	if err := r.Announce("a", announce(1, 5, f), start); err != nil {
		t.Fatal(err)
	}
	expect(t, r, "a missing 0:f403 #1, a credit 7") // 2 and 4 to 9 lack; 2, 4, 5, 6 have credit
	bring(t, r, f, start, 2, 4, 5, 6)
	expect(t, r, "a credit 10")
	bring(t, r, f, start, 9, 8, 7)
	expect(t, r, "a frame 5")
}

func TestAnotherFrameInsteadOfAResume(t *testing.T) {
	r, f := offeredTo(t, testConfig, 10)
	bring(t, r, f, start, 0)
	r.Drop("a")
	if err := r.Announce("a", announce(2, 1, f), start); err != nil {
		t.Fatal(err)
	}
	expect(t, r, "a credit 10")
	if got, want := r.slots.used, 10*testChunk; got != want {
		t.Errorf("%d bytes of slots taken, want %d", got, want)
	}
}

func TestGiveUp(t *testing.T) {
	late := start.Add(testConfig.GiveUpAfter)
	t.Run("a live peer", func(t *testing.T) {
		r, f := offeredTo(t, testConfig, 10)
		if err := r.Announce("a", announce(1, 6, f), start); err != nil {
			t.Fatal(err)
		}
		expect(t, r, "a credit 10")
		r.Tick(late)
		events := expect(t, r, "a failed 5, a credit 10")
		if !errors.Is(events[0].Err, ErrStalled) {
			t.Errorf("got %v, want ErrStalled", events[0].Err)
		}
	})
	t.Run("a dropped peer", func(t *testing.T) {
		r, f := offeredTo(t, testConfig, 10)
		bring(t, r, f, start, 0)
		r.Drop("a")
		r.Tick(late.Add(-1))
		if len(r.peers) != 1 {
			t.Error("the slot is gone too early")
		}
		r.Tick(late)
		expect(t, r, "")
		if len(r.peers) != 0 || r.slots.used != 0 {
			t.Errorf("%d peers and %d bytes are left", len(r.peers), r.slots.used)
		}
	})
}

func TestASlotKeptForADroppedPeerGivesWay(t *testing.T) {
	c := testConfig
	c.SlotBudget = 2 * c.MaxFrame
	r, f := offeredTo(t, c, 40)
	bring(t, r, f, start, 0)
	for _, p := range []string{"b", "c"} {
		if err := r.Announce(p, announce(1, 1, f), start); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, r, "a credit 33, b credit 2") // c waits for a slot
	r.Drop("a")
	expect(t, r, "b credit 16, c credit 16")
	if r.peers["a"] != nil {
		t.Error("a is still known")
	}
}

func TestAFrameThatIsNotTheAnnouncedOne(t *testing.T) {
	c := testConfig
	c.ChunkBudget = 2
	r := newReceiver(c, testChunk)
	f := frame("a", 5, 3*testChunk)
	other := announce(1, 5, f)
	other.Sha256[0]++
	if err := r.Announce("a", other, start); err != nil {
		t.Fatal(err)
	}
	expect(t, r, "a credit 2")
	for try := range maxMismatches {
		bring(t, r, f, start, 0, 1, 2)
		expect(t, r, fmt.Sprintf("a credit 2, a missing 0:07 #%d", try+1))
	}
	bring(t, r, f, start, 0, 1, 2)
	if events := expect(t, r, "a failed 5"); !errors.Is(events[0].Err, ErrHash) {
		t.Errorf("got %v, want ErrHash", events[0].Err)
	}
	if r.slots.used != 0 {
		t.Errorf("%d bytes of slots are left", r.slots.used)
	}
}

func TestBuffersAreUsedAgain(t *testing.T) {
	r, _ := offeredTo(t, testConfig, 1)
	r.Drop("a")
	seen := make(map[*byte]bool)
	for seq := range 20 {
		f := frame("a", seq, 3*testChunk-seq) // a few bytes apart, one size of slot
		if err := r.Announce("a", announce(1, uint64(seq), f), start); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if err := r.Chunk("a", message(1, uint64(seq), i, f), start); err != nil {
				t.Fatal(err)
			}
		}
		events := r.Events()
		got := events[len(events)-1].Frame
		if !bytes.Equal(got, f) {
			t.Fatalf("frame %d differs", seq)
		}
		seen[&got[0]] = true
		r.Release(got)
	}
	if len(seen) != 1 {
		t.Errorf("20 transfers in turn took %d buffers, want 1", len(seen))
	}
}

func TestChunkAllocatesNothing(t *testing.T) {
	c := testConfig
	c.ChunkBudget = 40
	r, f := offeredTo(t, c, 40)
	var messages [][]byte
	for i := range 39 {
		messages = append(messages, message(1, 5, i, f))
	}
	allocs := testing.AllocsPerRun(30, func() {
		if err := r.Chunk("a", messages[0], start); err != nil {
			t.Fatal(err)
		}
		messages = messages[1:]
	})
	if allocs != 0 {
		t.Errorf("got %v allocations, want 0", allocs)
	}
}

func TestReleaseOfAForeignFramePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("got no panic")
		}
	}()
	newReceiver(testConfig, testChunk).Release(make([]byte, testChunk))
}

// FuzzReceiver lets a peer say anything in any order: the receiver keeps its
// counts and budgets, and hands out only what was announced.
func FuzzReceiver(f *testing.F) {
	f.Add([]byte{0, 1, 4, 1, 1, 0, 1, 1, 1, 1, 1, 2, 2, 9, 3, 0, 0, 1, 4})
	f.Add([]byte{0, 9, 40, 16, 9, 1, 3, 2, 0, 9, 40, 2, 255, 2, 255, 4, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		c := testConfig
		c.SlotBudget = 2 * c.MaxFrame
		r, now := newReceiver(c, testChunk), start
		var lent [][]byte
		for len(ops) >= 3 {
			op, x, y := ops[0], ops[1], int(ops[2])
			ops = ops[3:]
			name := string('a' + rune(op>>4&3))
			body := frame(name, int(x), 1+9*int(x))
			switch op & 7 {
			case 0:
				_ = r.Announce(name, announce(uint64(op>>6), uint64(x), body), now)
			case 1, 2, 3:
				_ = r.Chunk(name, message(uint64(op>>6), uint64(x), y%((len(body)+testChunk-1)/testChunk), body), now)
			case 4:
				_ = r.Chunk(name, append(ops[:len(ops):len(ops)], x), now)
			case 5:
				r.Drop(name)
			case 6:
				now = now.Add(time.Duration(x) * 100 * time.Millisecond)
				r.Tick(now)
			case 7:
				if len(lent) > 0 {
					r.Release(lent[0])
					lent = lent[1:]
				}
			}
			for _, e := range r.Events() {
				if e.Frame != nil {
					if len(e.Frame) > c.MaxFrame || slices.ContainsFunc(lent, func(b []byte) bool { return &b[0] == &e.Frame[0] }) {
						t.Fatalf("frame of %d bytes, or lent already", len(e.Frame))
					}
					lent = append(lent, e.Frame)
				}
			}
			if err := r.audit(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
