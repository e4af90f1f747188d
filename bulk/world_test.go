package bulk

import (
	"bytes"
	"container/heap"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"halos/wire"
)

const testChunk = 64 // bytes, so that thousands of transfers take a second

// weather is what happens to messages and connections. Probabilities are per
// chunk, breaks per client and second.
type weather struct {
	loss, duplicate, corrupt, stale float64
	delay, jitter                   time.Duration // of a chunk; with jitter chunks overtake each other
	breaks                          float64
}

// broken switches off one mechanism each, to show that the simulation notices.
type broken struct {
	repair, resume, credit, attempt, crc, sha bool
}

// world runs clients against one receiver in virtual time: the same seed gives
// the same run.
type world struct {
	weather
	broken
	rng     *rand.Rand
	now     time.Time
	agenda  agenda
	order   int
	r       *Receiver
	clients []*client
	seen    map[[32]byte]bool // as pubsub does: the same bytes are delivered once
	flying  int               // chunks on their way

	chunks  int // in all frames
	sent    int // chunks published
	lost    int // chunks of credit that broken connections took along
	decided int
	fault   error
}

// client is a sender with the server's view of it.
type client struct {
	name    string
	s       *Sender
	sizes   []int // of the frames it will offer, seq from 1
	offered int
	up      bool
	greeted bool
	epoch   int // connections so far; what an earlier one carried is void
	pumping bool
	decided int // by the server
}

type appointment struct {
	at    time.Time
	order int
	do    func()
}

type agenda []appointment

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at.Before(a[j].at) || a[i].at.Equal(a[j].at) && a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(appointment)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

var testConfig = Config{
	MaxFrame: 40 * testChunk, SlotBudget: 5 * 40 * testChunk, ChunkBudget: 32,
	RepairAfter: 500 * time.Millisecond, GiveUpAfter: 30 * time.Second,
	Open: openCell,
}

const ackDelay = 20 * time.Millisecond

func newWorld(seed uint64, c Config, w weather, b broken) *world {
	return &world{
		weather: w, broken: b,
		rng:  rand.New(rand.NewPCG(seed, 0)),
		now:  time.Unix(0, 0),
		r:    newReceiver(c, testChunk),
		seen: make(map[[32]byte]bool),
	}
}

// frame is what client offers as seq; nobody else needs to keep it.
func frame(name string, seq, size int) []byte {
	b := make([]byte, size)
	sum := sha256.Sum256(fmt.Append(nil, name, seq))
	rand.NewChaCha8(sum).Read(b)
	return b
}

func (w *world) after(d time.Duration, do func()) {
	heap.Push(&w.agenda, appointment{w.now.Add(d), w.order, do})
	w.order++
}

func (w *world) failf(format string, args ...any) {
	if w.fault == nil {
		w.fault = fmt.Errorf(format, args...)
	}
}

func (w *world) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(w.rng.Int64N(int64(hi-lo)+1))
}

// run lets every client deliver all its frames, and says what went wrong.
func (w *world) run(sizes [][]int) error {
	total := 0
	for i, s := range sizes {
		c := &client{name: fmt.Sprint("client", i), s: newSender(testChunk), sizes: s}
		w.clients = append(w.clients, c)
		total += len(s)
		for _, n := range s {
			w.chunks += (n + testChunk - 1) / testChunk
		}
		w.after(w.between(0, time.Second), func() { w.connect(c) })
		w.after(0, func() { w.offer(c) })
	}
	var tick func()
	tick = func() { w.r.Tick(w.now); w.after(100*time.Millisecond, tick) }
	tick()
	limit := w.now.Add(20 * time.Minute)
	for w.decided < total && w.fault == nil {
		next := heap.Pop(&w.agenda).(appointment)
		if w.now = next.at; w.now.After(limit) {
			return fmt.Errorf("stuck: %d of %d frames decided", w.decided, total)
		}
		next.do()
		w.act()
		if err := w.r.audit(); err != nil {
			w.failf("after %v: %w", w.now, err)
		}
	}
	return w.fault
}

// offer puts frames on offer, a few at a time. They grow while they travel.
func (w *world) offer(c *client) {
	if c.offered == len(c.sizes) {
		return
	}
	if c.offered-c.decided < 5 {
		c.offered++
		seq := uint64(c.offered)
		g := &growing{solid: solid{frame(c.name, c.offered, c.sizes[c.offered-1])}}
		a := c.s.Offer(1, seq, seq, len(g.b), g, w.now)
		if c.greeted {
			w.announce(c, a)
		} else {
			c.s.Reset(w.now)
		}
		w.grow(c, seq, g)
	}
	w.after(w.between(0, 100*time.Millisecond), func() { w.offer(c) })
}

func (w *world) grow(c *client, seq uint64, g *growing) {
	g.len = min(g.len+1+w.rng.IntN(12*testChunk), len(g.b))
	w.pumps(c)
	if g.len < len(g.b) {
		w.after(w.between(0, 20*time.Millisecond), func() { w.grow(c, seq, g) })
		return
	}
	if l := c.s.Seal(1, seq); c.greeted && l != nil {
		w.seal(c, l)
	}
}

func (w *world) seal(c *client, l *wire.Seal) {
	w.stream(c, func() {
		if err := w.r.Seal(c.name, l, w.now); err != nil {
			w.failf("seal %d of %s: %w", l.Seq, c.name, err)
		}
	})
}

func (w *world) announce(c *client, a *wire.Announce) {
	w.stream(c, func() {
		if int(a.Seq) <= c.decided {
			return
		}
		if err := w.r.Announce(c.name, a, w.now); err != nil {
			w.failf("announce %d of %s: %w", a.Seq, c.name, err)
		}
	})
}

// stream carries something over the ack stream, in either direction.
func (w *world) stream(c *client, do func()) {
	epoch := c.epoch
	w.after(ackDelay, func() {
		if c.up && c.epoch == epoch {
			do()
		}
	})
}

func (w *world) connect(c *client) {
	c.epoch++
	c.up = true
	w.stream(c, func() { // the hello
		decided := c.decided
		w.stream(c, func() { // the welcome
			c.greeted = true
			c.s.Forget(1, uint64(decided))
			c.s.Reset(w.now)
			for seq := decided + 1; seq <= c.offered; seq++ {
				a, l, _ := c.s.Again(1, uint64(seq), w.now)
				w.announce(c, a)
				if l != nil {
					w.seal(c, l)
				}
			}
		})
	})
	if w.breaks > 0 {
		epoch := c.epoch
		w.after(time.Duration(w.rng.ExpFloat64()/w.breaks*float64(time.Second)), func() {
			if c.epoch == epoch {
				w.disconnect(c)
			}
		})
	}
}

func (w *world) disconnect(c *client) {
	c.up, c.greeted = false, false
	noticed := w.between(0, 2*time.Second)
	w.after(noticed, func() {
		p := w.r.peers[c.name]
		if p != nil && p.active != nil {
			w.lost += p.active.out
		}
		w.r.Drop(c.name)
		if w.resume && p != nil && p.active != nil {
			w.r.cancel(p)
			w.r.remove(p)
		}
	})
	w.after(noticed+w.between(0, 2*time.Second), func() { w.connect(c) })
}

// act performs the receiver's events, as a node would.
func (w *world) act() {
	if w.sha {
		w.r.matches = func(*transfer) bool { return true }
	}
	w.r.Work()
	named := func(name string) *client {
		return w.clients[slices.IndexFunc(w.clients, func(c *client) bool { return c.name == name })]
	}
	for _, e := range w.r.Events() {
		c := named(e.Peer)
		switch {
		case e.Err != nil:
			w.failf("transfer %d of %s failed: %w", e.Seq, c.name, e.Err)
		case e.Wait != nil:
			w.failf("transfer %d of %s waits: %w", e.Seq, c.name, e.Wait)
		default:
			w.stream(c, func() { w.feedback(c, e.Send) })
		}
	}
	for {
		a, ok := w.r.Take()
		if !ok {
			break
		}
		w.decide(named(a.Peer), a)
	}
}

func (w *world) feedback(c *client, m *wire.ToClient) {
	if m := m.GetCredit(); m != nil {
		c.s.Credit(m, w.now)
	}
	if m := m.GetMissing(); m != nil && !w.repair {
		c.s.Missing(m, w.now)
	}
	w.pumps(c)
}

func (w *world) pumps(c *client) {
	if !c.pumping {
		c.pumping = true
		w.after(0, func() { w.pump(c) })
	}
}

func (w *world) decide(c *client, a Arrival) {
	want := frame(c.name, int(a.Seq), c.sizes[a.Seq-1])
	if !bytes.Equal(a.held(), want) {
		w.failf("frame %d of %s differs from what was offered", a.Seq, c.name)
	}
	if int(a.Seq) != c.decided+1 {
		w.failf("frame %d of %s after %d are decided", a.Seq, c.name, c.decided)
	}
	c.decided++
	w.decided++
	w.after(w.between(0, 50*time.Millisecond), func() {
		if err := w.r.Release(a.Slot); err != nil {
			w.failf("release: %w", err)
		}
	})
	w.stream(c, func() { c.s.Forget(1, a.Seq) })
}
