package bulk

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"halos/wire"
)

func TestTransfersOfAPeerComeInTurn(t *testing.T) {
	r, f := offeredTo(t, testConfig, 2)
	g := frame("a", 6, 10)
	if err := offerTo(r, "a", 1, 6, g); err != nil {
		t.Fatal(err)
	}
	expect(t, r, "a credit 2 of 0")
	bring(t, r, f, start, 1, 0)
	_, frames := expect(t, r, "a credit 2 of 2, a credit 1 of 0, a frame 5")
	if !bytes.Equal(frames[0].held(), f) || frames[0].Session != 1 {
		t.Errorf("got another frame, session %d", frames[0].Session)
	}
	if err := r.Chunk("a", message(1, 5, 0, f), start); !errors.Is(err, ErrDuplicate) {
		t.Errorf("late chunk: got %v, want ErrDuplicate", err)
	}
	if err := r.Chunk("a", message(1, 6, 0, g), start); err != nil {
		t.Fatal(err)
	}
	expect(t, r, "a credit 1 of 1, a frame 6")
	expect(t, r, "")
}

func TestCreditIsSharedFairly(t *testing.T) {
	c := testConfig
	c.ChunkBudget = 12
	r, f := offeredTo(t, c, 40)
	expect(t, r, "a credit 12 of 0")
	for _, other := range []string{"b", "c"} {
		if err := offerTo(r, other, 1, 5, f); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, r, "b credit 4 of 0, c credit 4 of 0") // what everybody has
	for i := range 8 {
		bring(t, r, f, start, i)
	}
	expect(t, r, "a credit 20 of 8") // nobody else sends
	for _, other := range []string{"b", "c"} {
		for i := range minCredit {
			if err := r.Chunk(other, message(1, 5, i, f), start); err != nil {
				t.Fatal(err)
			}
		}
	}
	expect(t, r, "b credit 8 of 4, c credit 8 of 4")
	for _, other := range []string{"b", "c"} {
		if err := r.Chunk(other, message(1, 5, minCredit, f), start); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, r, "b credit 9 of 5, c credit 9 of 5") // now they have a part, of which nothing is left yet
	for i := range 8 {
		bring(t, r, f, start, 8+i)
	}
	expect(t, r, "a credit 20 of 16") // a is down to its third of 4
	r.Drop("b")
	expect(t, r, "a credit 22 of 16, c credit 11 of 5") // halves of 6
}

// Whoever sends a little and stops has no part in the budget any more.
func TestAPartInTheBudgetIsLost(t *testing.T) {
	c := testConfig
	c.ChunkBudget = 12
	r, f := offeredTo(t, c, 40)
	expect(t, r, "a credit 12 of 0")
	if err := offerTo(r, "b", 1, 5, f); err != nil {
		t.Fatal(err)
	}
	for i := range minCredit {
		if err := r.Chunk("b", message(1, 5, i, f), start); err != nil {
			t.Fatal(err)
		}
	}
	r.Work()
	if err := r.Chunk("b", message(1, 5, minCredit, f), start); err != nil {
		t.Fatal(err)
	}
	expect(t, r, "b credit 9 of 5")
	bring(t, r, f, start, 0, 1, 2, 3, 4, 5, 6)
	expect(t, r, "a credit 13 of 7") // half of the budget
	for spans := range 2 {
		later := start.Add(time.Duration(spans+1) * recentSpan)
		for i := range minCredit + 1 {
			bring(t, r, f, later, 7+5*spans+i)
		}
		r.Tick(later)
	}
	if r.peers["b"].active.moving || !r.peers["a"].active.moving {
		t.Errorf("b has a part: %v, a: %v", r.peers["b"].active.moving, r.peers["a"].active.moving)
	}
	r.Work()
	if got := r.peers["a"].active.out; got != c.ChunkBudget {
		t.Errorf("a has %d chunks of credit out, want the whole budget of %d", got, c.ChunkBudget)
	}
}

func TestRepair(t *testing.T) {
	c := testConfig
	c.ChunkBudget = 20
	tick := func(r *Receiver, ms int) { r.Tick(start.Add(time.Duration(ms) * time.Millisecond)) }
	t.Run("overtaken chunks", func(t *testing.T) {
		r, f := offeredTo(t, c, 30)
		bring(t, r, f, start, 0, 1, 3, 5)
		expect(t, r, "a credit 24 of 4")
		bring(t, r, f, start.Add(400*time.Millisecond), 6, 9)
		tick(r, 499)
		expect(t, r, "a credit 26 of 6")
		tick(r, 500)
		expect(t, r, "a missing 2:65 #1") // 2, 4, 7 and 8
	})
	t.Run("a probe where nothing arrives", func(t *testing.T) {
		r, f := offeredTo(t, c, 30)
		bring(t, r, f, start, 0, 1, 2, 3, 4, 5, 6, 7)
		expect(t, r, "a credit 28 of 8")
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
		expect(t, r, "a missing 4:e0ffff #3, a credit 29 of 9") // the probe came: 9 to 27 are lost as well
		tick(r, 2100)
		expect(t, r, "a missing 3:c0 #4") // patience is back
	})
}

func TestResume(t *testing.T) {
	c := testConfig
	c.ChunkBudget = 4
	r, f := offeredTo(t, c, 10)
	bring(t, r, f, start, 0, 1, 3)
	expect(t, r, "a credit 7 of 3")
	r.Drop("a")
	if err := r.Chunk("a", message(1, 5, 2, f), start); !errors.Is(err, ErrUnannounced) {
		t.Errorf("chunk of a dropped peer: got %v, want ErrUnannounced", err)
	}
	expect(t, r, "")
	if err := offerTo(r, "a", 1, 5, f); err != nil {
		t.Fatal(err)
	}
	expect(t, r, "a missing 0:f403 #1, a credit 7 of 3") // 2 and 4 to 9 lack; 2, 4, 5, 6 have credit
	bring(t, r, f, start, 2, 4, 5, 6)
	expect(t, r, "a credit 10 of 7")
	bring(t, r, f, start, 9, 8, 7)
	expect(t, r, "a credit 10 of 10, a frame 5")
}

func TestAnotherFrameInsteadOfAResume(t *testing.T) {
	r, f := offeredTo(t, testConfig, 10)
	bring(t, r, f, start, 0)
	r.Drop("a")
	if err := offerTo(r, "a", 2, 1, f); err != nil {
		t.Fatal(err)
	}
	expect(t, r, "a credit 4 of 0")
	if got, want := r.used, 10*testChunk; got != want {
		t.Errorf("%d bytes of slots taken, want %d", got, want)
	}
}

func TestGiveUp(t *testing.T) {
	late := start.Add(testConfig.GiveUpAfter)
	t.Run("a live peer", func(t *testing.T) {
		r, f := offeredTo(t, testConfig, 10)
		if err := offerTo(r, "a", 1, 6, f); err != nil {
			t.Fatal(err)
		}
		expect(t, r, "a credit 10 of 0")
		r.Tick(late)
		events, _ := expect(t, r, "a failed 5, a credit 4 of 0")
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
		if len(r.peers) != 0 || r.used != 0 {
			t.Errorf("%d peers and %d bytes are left", len(r.peers), r.used)
		}
	})
}

func TestASlotKeptForADroppedPeerGivesWay(t *testing.T) {
	c := testConfig
	c.SlotBudget = 2 * c.MaxFrame
	r, f := offeredTo(t, c, 40)
	bring(t, r, f, start, 0)
	for _, p := range []string{"b", "c"} {
		if err := offerTo(r, p, 1, 1, f); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, r, "a credit 33 of 1, b credit 4 of 0") // c waits for a slot
	r.Drop("a")
	expect(t, r, "c credit 4 of 0")
	if r.peers["a"] != nil {
		t.Error("a is still known")
	}
}

// Chunks that were on their way when their credit was taken back are taken all the same,
// on this connection; twice the budget in all is held for them.
func TestABurstAfterAPause(t *testing.T) {
	paused := func(t *testing.T) (*Receiver, []byte, int) {
		r, f := offeredTo(t, testConfig, 40)
		bring(t, r, f, start, 0, 1, 2, 3, 4, 5, 6, 7)
		granted := r.peers["a"].active.granted
		for _, spans := range []time.Duration{1, 2, 3} {
			r.Tick(start.Add(spans * recentSpan))
		}
		if now := r.peers["a"].active.granted; now >= granted {
			t.Fatalf("granted %d before the pause, %d after it", granted, now)
		}
		return r, f, granted
	}
	t.Run("on this connection", func(t *testing.T) {
		r, f, granted := paused(t)
		for i := 8; i < granted; i++ {
			if err := r.Chunk("a", message(1, 5, i, f), start); err != nil {
				t.Errorf("chunk %d of %d: %v", i, granted, err)
			}
		}
		if err := r.audit(); err != nil {
			t.Error(err)
		}
	})
	t.Run("no room for more", func(t *testing.T) {
		r, f, granted := paused(t)
		r.stray = r.cfg.ChunkBudget
		if err := r.Chunk("a", message(1, 5, granted-1, f), start); !errors.Is(err, ErrCredit) {
			t.Errorf("got %v, want ErrCredit", err)
		}
	})
	t.Run("on the next connection", func(t *testing.T) {
		r, f, granted := paused(t)
		r.Drop("a")
		if err := offerTo(r, "a", 1, 5, f); err != nil {
			t.Fatal(err)
		}
		if err := r.Chunk("a", message(1, 5, granted-1, f), start); !errors.Is(err, ErrCredit) {
			t.Errorf("got %v, want ErrCredit", err)
		}
	})
}

// A failure that the owner has not heard of when the stream ends is not the next one's.
func TestAFailureEndsItsOwnStreamOnly(t *testing.T) {
	r, f := offeredTo(t, testConfig, 4)
	r.Tick(start.Add(testConfig.GiveUpAfter))
	r.Drop("a")
	if err := offerTo(r, "a", 1, 5, f); err != nil {
		t.Fatal(err)
	}
	expect(t, r, "a credit 4 of 0")
}

// Whoever waits for a slot longer than a sender's patience hears of it meanwhile.
func TestWhoWaitsForASlotHearsOfIt(t *testing.T) {
	c := testConfig
	c.SlotBudget = c.MaxFrame
	r, f := offeredTo(t, c, 40)
	s := newSender(testChunk)
	g := frame("b", 5, c.MaxFrame)
	if err := r.Announce("b", s.Offer(1, 5, frameID(g), len(g), solid{g}, start), start); err != nil {
		t.Fatal(err)
	}
	for second := range 39 { // a sends, slowly
		now := start.Add(time.Duration(second) * time.Second)
		bring(t, r, f, now, second)
		r.Tick(now)
		for _, e := range r.Events() {
			if e.Peer == "b" {
				s.Credit(e.Send.GetCredit(), now)
			}
		}
		if got := s.Silent(now); got > testConfig.GiveUpAfter/2 {
			t.Fatalf("b has heard nothing for %v", got)
		}
	}
}

func TestClose(t *testing.T) {
	var slots []*cell
	c := testConfig
	c.Open = func(n int) (Slot, error) {
		slots = append(slots, &cell{b: make([]byte, n)})
		return slots[len(slots)-1], nil
	}
	r, f := offeredTo(t, c, 1)
	bring(t, r, f, start, 0)
	lent := takeAll(r)[0].Slot.(*cell)
	if err := offerTo(r, "a", 1, 6, f); err != nil { // whole, and not taken
		t.Fatal(err)
	}
	if err := r.Chunk("a", message(1, 6, 0, f), start); err != nil {
		t.Fatal(err)
	}
	r.Work()
	for _, name := range []string{"b", "c"} { // begun; kept for a dropped peer
		if err := offerTo(r, name, 1, 1, f); err != nil {
			t.Fatal(err)
		}
	}
	r.Drop("c")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for i, s := range slots {
		if s.closed != (s != lent) {
			t.Errorf("slot %d of %d: closed %v", i, len(slots), s.closed)
		}
	}
	if err := r.Release(lent); err != nil || r.used != 0 || len(slots) != 4 {
		t.Errorf("%v, %d bytes are left of %d slots", err, r.used, len(slots))
	}
	if err := r.Announce("d", announce(1, 1, f), start); !errors.Is(err, ErrBusy) {
		t.Errorf("an announce is answered with %v", err)
	}
}
