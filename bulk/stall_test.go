package bulk

import (
	"container/heap"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"halos/wire"
)

// chunks in flight when the receiver takes credit back from a live transfer that stalls.
func TestStallMakesCreditErrors(t *testing.T) {
	c := testConfig
	r, f := offeredTo(t, c, 40)
	r.Events()
	bring(t, r, f, start, 0, 1, 2, 3, 4, 5, 6, 7)
	granted := r.peers["a"].active.granted
	// sender has published up to granted; the link stalls for 5 s
	for d := 100 * time.Millisecond; d <= 5*time.Second; d += 100 * time.Millisecond {
		r.Tick(start.Add(d))
	}
	bad := 0
	for i := 8; i < granted; i++ {
		if err := r.Chunk("a", message(1, 5, i, f), start.Add(5*time.Second)); errors.Is(err, ErrCredit) {
			bad++
		}
	}
	t.Logf("granted before %d; %d of %d honest chunks in flight are ErrCredit", granted, bad, granted-8)
	if bad > 0 {
		t.Errorf("%d honest chunks refused as beyond credit", bad)
	}
}

// steady link, no loss, no stall
func TestSteadySlowLink(t *testing.T) {
	for _, tc := range []struct {
		rate float64
		trip time.Duration
	}{{0.3e6, 100 * time.Millisecond}, {0.5e6, 100 * time.Millisecond}, {0.5e6, 300 * time.Millisecond}, {0.5e6, 600 * time.Millisecond}, {0.6e6, 600 * time.Millisecond}, {0.5e6, time.Second}} {
		s, r, bad, sent, took := runPath(t, tc.rate, tc.trip, 0)
		_ = s
		_ = r
		t.Logf("rate %.1f MB/s trip %v: %d of %d chunks were ErrCredit, took %v (ideal %v)", tc.rate/1e6, tc.trip, bad, sent, took, time.Duration(200*262144/tc.rate*1e9))
	}
}

func TestStalledFastLink(t *testing.T) {
	_, _, bad, sent, took := runPath(t, 12.5e6, 100*time.Millisecond, 5*time.Second)
	t.Logf("100 Mbit/s, 100 ms, one stall of 5 s: %d of %d chunks were ErrCredit, took %v", bad, sent, took)
}

func runPath(t *testing.T, rate float64, trip, stall time.Duration) (*Sender, *Receiver, int, int, time.Duration) {
	const chunks = 200
	p := &path{rate: func(time.Duration) float64 { return rate }, trip: trip, rng: rand.New(rand.NewPCG(1, 1))}
	s := NewSender()
	r := NewReceiver(Config{MaxFrame: chunks * wire.ChunkBytes, SlotBudget: 64 * chunks * wire.ChunkBytes, ChunkBudget: 64, RepairAfter: 2 * time.Second, GiveUpAfter: 90 * time.Second, Open: openEmpty})
	a := s.Offer(1, 1, 1, chunks*wire.ChunkBytes, zeros(chunks*wire.ChunkBytes), p.at(0))
	if err := r.Announce("a", a, p.at(0)); err != nil {
		t.Fatal(err)
	}
	bad, sent := 0, 0
	stalled := false
	var pump func()
	feedback := func() {
		r.Work()
		for _, e := range r.Events() {
			if e.Err != nil {
				t.Fatal(e.Err)
			}
			p.after(p.trip/2, func() {
				s.Credit(e.Send.GetCredit(), p.at(p.now))
				s.Missing(e.Send.GetMissing(), p.at(p.now))
				pump()
			})
		}
	}
	pump = func() {
		for {
			m, err := s.Next(p.at(p.now))
			if err != nil {
				t.Fatal(err)
			}
			if m == nil {
				return
			}
			sent++
			if stall > 0 && !stalled && p.now > 2*time.Second {
				stalled = true
				p.free = max(p.free, p.now) + stall
			}
			p.after(p.send(len(m))-p.now, func() {
				err := r.Chunk("a", m, p.at(p.now))
				if errors.Is(err, ErrCredit) {
					bad++
				}
				feedback()
			})
		}
	}
	var meddle func()
	meddle = func() {
		r.Tick(p.at(p.now))
		feedback()
		p.after(100*time.Millisecond, meddle)
	}
	meddle()
	feedback()
	for !s.Done() && p.now < time.Hour {
		next := p.todo
		_ = next
		ap := popNext(p)
		p.now = ap.at.Sub(start)
		ap.do()
	}
	return s, r, bad, sent, p.now
}

// A delta whose transfer starts over a few times, each over a new connection.
func TestGreedyForEver(t *testing.T) {
	s := newSender(testChunk)
	s.pace.rate.now, s.pace.delay.now = 1e9, 1
	const n = 2000
	f := frame("a", 1, n*testChunk)
	put(s, 1, f)
	now := start
	for conn := 1; conn <= 20; conn++ {
		s.pace.rate.now, s.pace.delay.now = 1e9, 1
		s.Credit(&wire.Credit{Session: 1, Seq: 1, Upto: n}, now)
		for i := 0; ; i++ {
			b, err := s.Next(now)
			if err != nil {
				t.Errorf("connection %d: after %d chunks: %v", conn, i, err)
				break
			}
			if b == nil {
				break
			}
		}
		// the server restarts before it has decided: the client says hello, offers again
		s.Reset(now)
		s.Again(1, 1, now)
	}
}

// After a mismatch on a live connection the sender still believes that all has arrived.
func TestDoneAfterMismatch(t *testing.T) {
	s := newSender(testChunk)
	f := frame("a", 1, 3*testChunk)
	put(s, 1, f)
	s.Credit(&wire.Credit{Session: 1, Seq: 1, Upto: 3}, start)
	published(t, s)
	s.Credit(&wire.Credit{Session: 1, Seq: 1, Upto: 3, Held: 3, Last: 2}, start)
	s.Missing(&wire.Missing{Session: 1, Seq: 1, Bits: []byte{7}, Attempt: 1}, start)
	s.Credit(&wire.Credit{Session: 1, Seq: 1, Upto: 3, Held: 0}, start)
	if s.Done() {
		t.Error("Done although the receiver has asked for everything again")
	}
}

func popNext(p *path) appointment { return heap.Pop(&p.todo).(appointment) }
