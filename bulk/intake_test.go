package bulk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"halos/wire"
)

func TestVerdicts(t *testing.T) {
	c := testConfig
	c.ChunkBudget = 4
	r, f := offeredTo(t, c, 6)
	f = f[:6*testChunk-10]
	if err := offerTo(r, "a", 1, 5, f); err != nil { // the same name, another frame
		t.Fatal(err)
	}
	if err := offerTo(r, "a", 1, 6, f); err != nil {
		t.Fatal(err)
	}
	bring(t, r, f, start, 0)
	before, held := r.used, r.peers["a"].active.held

	short := f[:5*testChunk+10]
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
		{"a short last chunk", "a", message(1, 5, 5, short), ErrMismatch},
		{"beyond the credit", "a", message(1, 5, 5, f), ErrCredit},
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
	r.Work()
	if r.used != before || len(r.peers) != 1 || r.peers["a"].active.held != held+1 {
		t.Errorf("refused chunks left %d bytes of slots (before %d), %d peers, %d chunks held", r.used, before, len(r.peers), r.peers["a"].active.held)
	}
}

func TestAFrameThatIsNotTheSealedOne(t *testing.T) {
	c := testConfig
	c.ChunkBudget = 2
	r := newReceiver(c, testChunk)
	f := frame("a", 5, 3*testChunk)
	if err := r.Announce("a", announce(1, 5, f), start); err != nil {
		t.Fatal(err)
	}
	other := sealOf(1, 5, f)
	other.Sha256[0]++
	if err := r.Seal("a", other, start); err != nil {
		t.Fatal(err)
	}
	expect(t, r, "a credit 3 of 0")
	for try := range maxMismatches {
		bring(t, r, f, start, 0, 1, 2)
		expect(t, r, fmt.Sprintf("a missing 0:07 #%d, a credit 3 of 0", try+1))
	}
	bring(t, r, f, start, 0, 1, 2)
	if events, _ := expect(t, r, "a failed 5"); !errors.Is(events[0].Err, ErrHash) {
		t.Errorf("got %v, want ErrHash", events[0].Err)
	}
	if r.used != 0 {
		t.Errorf("%d bytes of slots are left", r.used)
	}
}

func TestSealRefuses(t *testing.T) {
	f := frame("a", 5, 3*testChunk)
	for _, tc := range []struct {
		name   string
		change func(*wire.Seal)
		want   error
		script string
	}{
		{"as it should be", func(*wire.Seal) {}, nil, "a credit 3 of 3, a frame 5"},
		{"half a SHA-256", func(s *wire.Seal) { s.Sha256 = s.Sha256[:16] }, ErrGarbage, "a credit 3 of 3"},
		{"of another frame", func(s *wire.Seal) { s.Id++ }, nil, "a credit 3 of 3"},
		{"of another seq", func(s *wire.Seal) { s.Seq++ }, nil, "a credit 3 of 3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newReceiver(testConfig, testChunk)
			if err := r.Announce("a", announce(1, 5, f), start); err != nil {
				t.Fatal(err)
			}
			r.Work()
			bring(t, r, f, start, 2, 0, 1)
			s := sealOf(1, 5, f)
			tc.change(s)
			if err := r.Seal("a", s, start); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			expect(t, r, tc.script)
		})
	}
	if err := newReceiver(testConfig, testChunk).Seal("b", sealOf(1, 5, f), start); err != nil {
		t.Errorf("of a stranger: %v", err)
	}
}

// A slot that fails ends its transfer, not the receiver.
func TestASlotThatFails(t *testing.T) {
	c := testConfig
	var slots []*cell
	c.Open = func(n int) (Slot, error) {
		slots = append(slots, &cell{b: make([]byte, n)})
		return slots[len(slots)-1], nil
	}
	r, f := offeredTo(t, c, 4)
	if err := offerTo(r, "b", 1, 1, f); err != nil {
		t.Fatal(err)
	}
	expect(t, r, "a credit 4 of 0, b credit 4 of 0")
	bring(t, r, f, start, 0)
	slots[0].full = true
	bring(t, r, f, start, 1)
	events, _ := expect(t, r, "a failed 5")
	if !errors.Is(events[0].Err, ErrSlot) || !errors.Is(events[0].Err, errFull) || !slots[0].closed {
		t.Errorf("got %v, closed %v", events[0].Err, slots[0].closed)
	}
	for i := range 4 {
		if err := r.Chunk("b", message(1, 1, i, f), start); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, r, "b credit 4 of 4, b frame 1")
}

// Where there is no room a transfer waits without credit, and others are not asked
// to wait for it longer than for room.
func TestNoRoomForASlot(t *testing.T) {
	c := testConfig
	full := true
	c.Open = func(n int) (Slot, error) {
		if full {
			return nil, errFull
		}
		return openCell(n)
	}
	r, f := offeredTo(t, c, 2)
	events, _ := expect(t, r, "a waits 5")
	if !errors.Is(events[0].Wait, errFull) {
		t.Errorf("got %v", events[0].Wait)
	}
	r.Tick(start.Add(roomEvery / 2))
	expect(t, r, "a credit 0 of 0") // it is not forgotten
	r.Tick(start.Add(roomEvery))
	expect(t, r, "a waits 5")
	full = false
	r.Tick(start.Add(2 * roomEvery))
	expect(t, r, "a credit 2 of 0")
	bring(t, r, f, start, 0, 1)
	expect(t, r, "a credit 2 of 2, a frame 5")
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
	if allocs >= 1 { // the queue grows now and then
		t.Errorf("got %v allocations, want 0", allocs)
	}
}

// blocking is a slot that waits inside WriteAt.
type blocking struct {
	cell
	entered, leave chan struct{}
}

func (b *blocking) WriteAt([]byte, int64) (int, error) {
	close(b.entered)
	<-b.leave
	return 0, nil
}

// A slot stays taken while Work still writes it.
func TestATransferCancelledWhileItIsStored(t *testing.T) {
	c := testConfig
	c.SlotBudget = c.MaxFrame
	slot := &blocking{entered: make(chan struct{}), leave: make(chan struct{})}
	c.Open = func(int) (Slot, error) { return slot, nil }
	r, f := offeredTo(t, c, 40)
	if err := r.Chunk("a", message(1, 5, 0, f), start); err != nil {
		t.Fatal(err)
	}
	worked := make(chan struct{})
	go func() { r.Work(); close(worked) }()
	<-slot.entered
	r.Drop("a")
	if err := r.Announce("a", announce(1, 6, f), start); err != nil {
		t.Fatal(err)
	}
	if got, want := r.used, len(f); got != want || slot.closed {
		t.Errorf("%d bytes of slots taken while storing, want %d; closed %v", got, want, slot.closed)
	}
	close(slot.leave)
	<-worked
	if !slot.closed {
		t.Error("the slot was not closed")
	}
	expect(t, r, "a credit 4 of 0")
}

// A slot that gives back other bytes than it was given is found out.
func TestReader(t *testing.T) {
	r, f := offeredTo(t, testConfig, 3)
	bring(t, r, f, start, 0, 2, 1)
	a := takeAll(r)[0]
	got, err := io.ReadAll(iotest.OneByteReader(a.Reader()))
	if err != nil || !bytes.Equal(got, f) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	for _, tc := range []struct {
		name  string
		spoil func(c *cell)
	}{
		{"a changed bit", func(c *cell) { c.b[testChunk+5] ^= 1 }},
		{"the end is missing", func(c *cell) { c.b = c.b[:2*testChunk+1] }},
	} {
		spoilt := a
		c := &cell{b: bytes.Clone(f)}
		tc.spoil(c)
		spoilt.Slot = c
		if got, err := io.ReadAll(spoilt.Reader()); !errors.Is(err, ErrSlot) || len(got) > 2*testChunk {
			t.Errorf("%s: got %d bytes, %v, want ErrSlot", tc.name, len(got), err)
		}
	}
}
