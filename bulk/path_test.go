package bulk

import (
	"container/heap"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"halos/wire"
)

// path is a connection as a sender sees it, in virtual time: chunks pass a rate one
// after the other, travel, and are delivered in order, as TCP does, late where a
// packet of them was lost and sent again.
type path struct {
	rate func(at time.Duration) float64 // bytes per second
	trip time.Duration                  // both ways
	loss float64                        // of a packet
	halt time.Duration                  // the rate is 0 for so long, once, from haltAt on

	rng    *rand.Rand
	now    time.Duration
	order  int
	todo   agenda
	free   time.Duration     // when the last chunk will have passed the rate
	due    time.Duration     // when the last chunk will be delivered
	pauses bool              // long ones
	bad    func(r *Receiver) // what others do, every 50 ms
	wait   time.Duration     // longest time that a message behind all chunks would have waited for the rate, after settled
	from   time.Duration     // settled
}

const haltAt = 2 * time.Second

func (p *path) at(d time.Duration) time.Time { return start.Add(d) }

func (p *path) after(d time.Duration, do func()) {
	heap.Push(&p.todo, appointment{p.at(p.now + d), p.order, do})
	p.order++
}

// send lets a chunk onto the path and returns when it will be delivered.
func (p *path) send(bytes int) time.Duration {
	if p.halt > 0 && p.now > haltAt {
		p.free = max(p.free, p.now) + p.halt
		p.halt = 0
	}
	p.free = max(p.free, p.now) + time.Duration(float64(bytes)/p.rate(p.now)*float64(time.Second))
	if p.now > p.from {
		p.wait = max(p.wait, p.free-p.now)
	}
	late := time.Duration(0)
	for range int(math.Ceil(min(p.loss, 1))) * (bytes + 1447) / 1448 {
		again := time.Duration(0)
		for p.rng.Float64() < p.loss {
			again += p.trip
		}
		late = max(late, again)
	}
	p.due = max(p.due, p.free+p.trip/2+late)
	return p.due
}

// transfer moves a frame of so many chunks and returns how long it took.
func (p *path) transfer(t *testing.T, chunks int) time.Duration {
	t.Helper()
	s := NewSender()
	r := NewReceiver(Config{
		MaxFrame: chunks * wire.ChunkBytes, SlotBudget: 64 * chunks * wire.ChunkBytes, ChunkBudget: 64, RepairAfter: 2 * time.Second, GiveUpAfter: 90 * time.Second, Open: openEmpty,
	})
	a := s.Offer(1, 1, 1, chunks*wire.ChunkBytes, zeros(chunks*wire.ChunkBytes), p.at(0))
	if err := r.Announce("a", a, p.at(0)); err != nil {
		t.Fatal(err)
	}
	var pump func()
	feedback := func() {
		r.Work()
		for _, e := range r.Events() {
			if e.Peer != "a" {
				continue
			}
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
			p.after(p.send(len(m))-p.now, func() {
				// After a long pause some are asked for that were only late.
				if err := r.Chunk("a", m, p.at(p.now)); err != nil && !(p.pauses && errors.Is(err, ErrDuplicate)) {
					t.Fatal(err)
				}
				feedback()
			})
		}
	}
	var meddle func()
	meddle = func() {
		if p.bad != nil {
			p.bad(r)
		}
		r.Tick(p.at(p.now))
		feedback()
		p.after(50*time.Millisecond, meddle)
	}
	meddle()
	for !s.Done() {
		if p.now > time.Hour {
			t.Fatal("nothing moves any more")
		}
		next := heap.Pop(&p.todo).(appointment)
		p.now = next.at.Sub(start)
		next.do()
	}
	return p.now
}

// zeros is a frame of that many bytes that is never whole: nothing but its way counts.
type zeros int

func (z zeros) ReadAt(b []byte, _ int64) (int, error) { return len(b), nil }
func (z zeros) Len() int                              { return int(z) }
func (z zeros) Sum() ([32]byte, bool)                 { return [32]byte{}, false }
func (z zeros) Close() error                          { return nil }

type empty struct{ cell }

func (*empty) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }
func (*empty) ReadAt(b []byte, _ int64) (int, error)  { return len(b), nil }
func openEmpty(int) (Slot, error)                     { return &empty{}, nil }

// The window fills the path, whatever it is like, and what else shares it does not
// wait long.
func TestTheWindowFillsThePath(t *testing.T) {
	const mbit = 1e6 / 8
	steady := func(rate float64) func(time.Duration) float64 {
		return func(time.Duration) float64 { return rate }
	}
	for _, tc := range []struct {
		name  string
		rate  func(time.Duration) float64
		mean  float64 // of rate over the transfer
		trip  time.Duration
		loss  float64
		time  time.Duration // of the transfer at that rate
		share float64       // of the rate that is used, at least
		wait  time.Duration // at most, once settled
	}{
		{"a WAN", steady(100 * mbit), 100 * mbit, 100 * time.Millisecond, 0, 25 * time.Second, 0.98, 600 * time.Millisecond},
		{"a WAN that loses 1 %", steady(100 * mbit), 100 * mbit, 100 * time.Millisecond, 0.01, 25 * time.Second, 0.97, time.Second},
		{"a WAN that loses 5 %", steady(100 * mbit), 100 * mbit, 100 * time.Millisecond, 0.05, 25 * time.Second, 0.95, 1200 * time.Millisecond},
		{"a fast WAN", steady(1000 * mbit), 1000 * mbit, 30 * time.Millisecond, 0, 3 * time.Second, 0.96, 200 * time.Millisecond},
		{"a LAN", steady(1000 * mbit), 1000 * mbit, time.Millisecond, 0, 3 * time.Second, 0.98, 100 * time.Millisecond},
		{"a slow line", steady(10 * mbit), 10 * mbit, 120 * time.Millisecond, 0, 60 * time.Second, 0.98, 1100 * time.Millisecond},
		{"a slow line for ten minutes", steady(10 * mbit), 10 * mbit, 120 * time.Millisecond, 0, 10 * time.Minute, 0.98, 1300 * time.Millisecond},
		{"the far side of the Earth", steady(50 * mbit), 50 * mbit, 300 * time.Millisecond, 0.01, 60 * time.Second, 0.95, 2500 * time.Millisecond},
		{"a line that slows down", func(at time.Duration) float64 {
			if at < 10*time.Second {
				return 100 * mbit
			}
			return 10 * mbit
		}, 32.5 * mbit, 100 * time.Millisecond, 0, 40 * time.Second, 0.95, 1100 * time.Millisecond},
		{"a line slower than what everybody may send", steady(4 * mbit), 4 * mbit, 600 * time.Millisecond, 0, 60 * time.Second, 0.95, 2500 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := &path{rate: tc.rate, trip: tc.trip, loss: tc.loss, rng: rand.New(rand.NewPCG(1, 2)), from: 3 * tc.time / 5}
			chunks := int(tc.mean * tc.time.Seconds() / wire.ChunkBytes)
			took := p.transfer(t, chunks)
			share := float64(chunks*wire.ChunkBytes) / took.Seconds() / tc.mean
			t.Logf("%.1f %% of the rate, others wait up to %v", 100*share, p.wait.Round(time.Millisecond))
			if share < tc.share || math.IsNaN(share) {
				t.Errorf("%.3f of the rate used, want at least %.3f", share, tc.share)
			}
			if p.wait > tc.wait {
				t.Errorf("others wait for up to %v, want at most %v", p.wait, tc.wait)
			}
		})
	}
}

// A line that carries nothing for a while and then all of what was under way at once
// loses no chunk for it, though credit has been taken back meanwhile.
func TestAPause(t *testing.T) {
	for _, pause := range []time.Duration{3 * time.Second, 5 * time.Second, 30 * time.Second} {
		p := &path{rate: func(time.Duration) float64 { return 100e6 / 8 }, trip: 100 * time.Millisecond, halt: pause, pauses: true, rng: rand.New(rand.NewPCG(1, 2))}
		const chunks = 400
		ideal := time.Duration(chunks*wire.ChunkBytes*8*int64(time.Second)/100e6) + pause
		if took := p.transfer(t, chunks); took > ideal*11/10 {
			t.Errorf("a pause of %v: took %v, of which the line needs %v", pause, took, ideal)
		}
	}
}

// Whatever strangers do that were let in, who sends honestly keeps its rate.
func TestHonestPeersKeepTheirRate(t *testing.T) {
	const chunks = 300
	frame := make([]byte, 4*wire.ChunkBytes)
	part := func(i, count int) []byte {
		b, err := wire.Chunk{Session: 1, Seq: 1, Index: uint32(i), Count: uint32(count), Payload: frame[:wire.ChunkBytes]}.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	all := [][]byte{part(0, 4), part(1, 4), part(2, 4), part(3, 4)}
	unasked := [][]byte{nil, frame[:100], all[0], part(1, 5)}
	took := func(bad func(p *path, r *Receiver, name string)) time.Duration {
		p := &path{rate: func(time.Duration) float64 { return 100e6 / 8 }, trip: 100 * time.Millisecond, rng: rand.New(rand.NewPCG(1, 2))}
		p.bad = func(r *Receiver) {
			for i := range 16 {
				bad(p, r, string('b'+rune(i)))
			}
		}
		return p.transfer(t, chunks)
	}
	announce := func(p *path, r *Receiver, name string, id uint64) {
		_ = r.Announce(name, &wire.Announce{Session: 1, Seq: 1, Bytes: uint64(len(frame)), Id: id}, p.at(p.now)) // it is judged by what others get
	}
	once := func(p *path, r *Receiver, name string) {
		if p.now == 0 {
			announce(p, r, name, 1)
		}
	}
	send := func(p *path, r *Receiver, name string, b []byte) {
		_ = r.Chunk(name, b, p.at(p.now)) // likewise
	}
	alone := took(func(*path, *Receiver, string) {})
	for _, tc := range []struct {
		name string
		bad  func(p *path, r *Receiver, name string)
	}{
		{"announce and send nothing", once},
		{"send a chunk and stop", func(p *path, r *Receiver, name string) { once(p, r, name); send(p, r, name, all[0]) }},
		{"connect and announce again and again", func(p *path, r *Receiver, name string) { r.Drop(name); announce(p, r, name, uint64(p.now)) }},
		{"send what nobody asked for", func(p *path, r *Receiver, name string) {
			for _, b := range unasked {
				send(p, r, name, b)
			}
		}},
		{"never seal", func(p *path, r *Receiver, name string) {
			once(p, r, name)
			for _, b := range all {
				send(p, r, name, b)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			beside := took(tc.bad)
			t.Logf("%v alone, %v beside 16 that %s", alone.Round(time.Millisecond), beside.Round(time.Millisecond), tc.name)
			if float64(alone) < 0.9*float64(beside) {
				t.Errorf("takes %v, alone %v: less than 0.9 of the rate", beside, alone)
			}
		})
	}
}
