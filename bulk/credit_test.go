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
