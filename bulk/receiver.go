package bulk

import (
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"halos/wire"
)

const (
	maxPeers      = 4096            // with a stream or a slot: far more than any server serves
	maxMismatches = 2               // a frame is asked for again so many times
	minCredit     = 4               // chunks of credit of every transfer, beside the budget
	recentSpan    = 2 * time.Second // over one to two of which it is counted what of a transfer has come of late
	roomEvery     = 2 * time.Second // between attempts to make room
)

// Config bounds a Receiver.
type Config struct {
	MaxFrame    int                           // largest acceptable frame, bytes
	SlotBudget  int                           // bytes of slots over all transfers; less than MaxFrame counts as that
	ChunkBudget int                           // chunks of credit out over all senders that make progress
	RepairAfter time.Duration                 // without progress until missing chunks are asked for; doubles for a sender whose chunks were only late
	GiveUpAfter time.Duration                 // without progress until a transfer fails, or the slot of a dropped sender is freed
	Open        func(bytes int) (Slot, error) // makes room for a frame
}

// Slot is where a frame is put together. Its parts are written and read by one
// goroutine at a time.
type Slot interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// Receiver takes in the transfers of many senders. Each sender has one transfer
// in flight; further ones that it announced wait in order. All of them share two
// budgets, bytes of slots and chunks of credit. Every transfer has four chunks of
// credit beside the second, and a part in it while it uses those up, so that senders
// that announce and send little cost the others nothing.
//
// What has arrived is in memory until Work has put it into its slot: four chunks of
// each transfer, and twice the budget, for what was sent on credit that has been taken
// back is taken all the same. Nothing a peer says makes it more.
//
// Time is the now of the calls, which need not be in order.
type Receiver struct {
	cfg                      Config
	chunk                    int
	ready, arrived, complete chan struct{}
	matches                  func(*transfer) bool // a test takes it away

	mu       sync.Mutex
	now      time.Time     // latest seen
	used     int           // bytes of slots
	lent     map[Slot]loan // whole frames that the owner has, or may take
	closing  []Slot        // not needed any more, left to Work
	peers    map[string]*peer
	closed   bool
	order    []*peer   // as they came
	waiting  []*peer   // for a slot, longest first
	noRoom   time.Time // until when no room is looked for
	reminded time.Time // when those that wait were last told that they do
	sending  int       // transfers that have a part in the budget
	out      int       // chunks of credit that these have
	stray    int       // chunks in memory that no credit counts any more
	landed   []landed  // for Work
	whole    []Arrival
	dirty    []*peer // a message is due
	events   []Event
}

// loan is a whole frame in the hands of the owner.
type loan struct {
	peer string
	offer
}

// peer is a sender. It is live while its stream is; after that it is kept only for
// the slot it has begun to fill.
type peer struct {
	name     string
	live     bool
	dirty    bool // in Receiver.dirty
	queue    []offer
	active   *transfer
	got      offer         // the latest whole frame
	patience time.Duration // before a repair: doubles with each, until one helps
}

// NewReceiver returns a receiver without peers.
func NewReceiver(c Config) *Receiver { return newReceiver(c, wire.ChunkBytes) }

func newReceiver(c Config, chunk int) *Receiver {
	c.SlotBudget = max(c.SlotBudget, c.MaxFrame)
	note := func() chan struct{} { return make(chan struct{}, 1) }
	return &Receiver{
		cfg: c, chunk: chunk, matches: (*transfer).matches, ready: note(), arrived: note(), complete: note(),
		peers: make(map[string]*peer), lent: make(map[Slot]loan),
	}
}

// Tick lets time pass: it asks for chunks that did not arrive and ends transfers
// that stand still. Call it a few times per RepairAfter.
func (r *Receiver) Tick(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock(now)
	if len(r.waiting) > 0 {
		signal(r.arrived) // there may be room by now
		r.remind()
	}
	for _, p := range slices.Clone(r.order) {
		t := p.active
		if t == nil || t.pending > 0 {
			continue // what has arrived is first put away
		}
		if r.now.Sub(t.progress) >= r.cfg.GiveUpAfter {
			r.fail(p, ErrStalled)
			continue
		}
		if t.turn(r.now); t.moving && !t.flows() {
			r.withdraw(t)
			r.grow(p)
			r.share()
		}
		if high := t.overdue(r.now, p.patience); p.live && high > 0 {
			r.repair(p, high)
		}
	}
}

// Drop says that the stream of a peer has ended. Its credit goes to others at once,
// its offers are forgotten, and the slot it has begun to fill is kept until it
// announces that transfer again, for GiveUpAfter at most or until another transfer
// needs the slot. Call it before the first Announce that came on a newer stream.
func (r *Receiver) Drop(from string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peers[from]
	if p == nil || !p.live {
		return
	}
	p.live = false
	r.events = slices.DeleteFunc(r.events, func(e Event) bool { return e.Peer == from })
	clear(p.queue)
	p.queue = p.queue[:0]
	r.waiting = slices.DeleteFunc(r.waiting, func(q *peer) bool { return q == p })
	if t := p.active; t != nil {
		r.withdraw(t)
		t.offered, t.asking = 0, false
	}
	r.share()
	r.remove(p)
}

// Partial is the id of the transfer of a peer of which a part is held, 0 if there is
// none.
func (r *Receiver) Partial(from string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.peers[from]; p != nil && p.active != nil {
		return p.active.id
	}
	return 0
}

// Release takes back the slot of a frame that Take handed out, and closes it. It
// panics on any other.
func (r *Receiver) Release(s Slot) error {
	r.mu.Lock()
	l, ok := r.lent[s]
	if !ok {
		r.mu.Unlock()
		panic("bulk: released a slot that is not lent")
	}
	delete(r.lent, s)
	r.mu.Unlock()
	err := s.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used -= l.bytes
	if len(r.waiting) > 0 {
		signal(r.arrived)
	}
	return err
}

// Close gives up all slots but those of frames that Take has handed out, and takes no
// announce any more. Nobody may be in Work, or call it again.
func (r *Receiver) Close() error {
	r.mu.Lock()
	r.closed = true
	for _, p := range slices.Clone(r.order) {
		p.live = false
		if p.active != nil {
			r.cancel(p)
		}
		r.remove(p)
	}
	for _, a := range r.whole {
		delete(r.lent, a.Slot)
		r.discard(a.Slot, a.Bytes)
	}
	r.waiting, r.landed, r.whole, r.events = nil, nil, nil, nil
	closing := r.closing
	r.closing = nil
	r.mu.Unlock()
	var err error
	for _, s := range closing {
		err = errors.Join(err, s.Close())
	}
	return err
}

func (r *Receiver) clock(now time.Time) {
	if now.After(r.now) {
		r.now = now
	}
}
