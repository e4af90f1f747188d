package bulk

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"halos/wire"
)

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

// trusting is a hash that always says what is hoped for.
type trusting struct{ sum [32]byte }

func (h trusting) Write(b []byte) (int, error) { return len(b), nil }
func (h trusting) Sum(b []byte) []byte         { return append(b, h.sum[:]...) }
func (h trusting) Reset()                      {}
func (h trusting) Size() int                   { return len(h.sum) }
func (h trusting) BlockSize() int              { return testChunk }

// blocking is a hash that waits inside Write.
type blocking struct {
	trusting
	entered, leave chan struct{}
}

func (h blocking) Write(b []byte) (int, error) {
	close(h.entered)
	<-h.leave
	return len(b), nil
}

// A slot stays taken while a goroutine still reads it.
func TestATransferCancelledWhileItIsHashed(t *testing.T) {
	c := testConfig
	c.SlotBudget = c.MaxFrame
	r, f := offeredTo(t, c, 40)
	h := blocking{entered: make(chan struct{}), leave: make(chan struct{})}
	r.peers["a"].active.sum = h
	hashed := make(chan error)
	go func() { hashed <- r.Chunk("a", message(1, 5, 0, f), start) }()
	<-h.entered
	r.Drop("a")
	if err := r.Announce("a", announce(1, 6, f), start); err != nil {
		t.Fatal(err)
	}
	expect(t, r, "")
	if got, want := r.slots.used, len(f); got != want {
		t.Errorf("%d bytes of slots taken while hashing, want %d", got, want)
	}
	close(h.leave)
	if err := <-hashed; err != nil {
		t.Error(err)
	}
	expect(t, r, "a credit 32")
}
