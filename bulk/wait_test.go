package bulk

import (
	"testing"
	"time"
)

// Two peers, room for one: the other hears nothing for as long as the first takes.
func TestWaitingForASlotIsSilence(t *testing.T) {
	c := testConfig
	c.SlotBudget = c.MaxFrame
	r := newReceiver(c, testChunk)
	f := frame("a", 5, c.MaxFrame)
	if err := offerTo(r, "a", 1, 5, f); err != nil {
		t.Fatal(err)
	}
	r.Events()
	s := newSender(testChunk)
	g := frame("b", 5, c.MaxFrame)
	if err := r.Announce("b", s.Offer(1, 5, frameID(g), len(g), solid{g}, start), start); err != nil {
		t.Fatal(err)
	}
	for d := time.Second; d < 91*time.Second; d += time.Second {
		if d%(5*time.Second) == 0 && d/(5*time.Second) < 19 { // a sends, slowly
			bring(t, r, f, start.Add(d), int(d/(5*time.Second)))
		}
		r.Work()
		r.Tick(start.Add(d))
		for _, e := range r.Events() {
			if e.Peer == "b" {
				t.Log(d, e)
				s.Credit(e.Send.GetCredit(), start.Add(d))
			}
		}
	}
	if got := s.Silent(start.Add(91 * time.Second)); got > 90*time.Second {
		t.Errorf("b, in line for a slot, counts %v of silence: it leaves its honest server and notes an offence", got)
	}
}
