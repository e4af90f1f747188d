package bulk

import (
	"crypto/sha256"
	"fmt"
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
// budgets, bytes of slots and chunks of credit, and nothing a peer says makes the
// receiver exceed them. Every transfer has four chunks of credit beside the second, and
// a part in it while it uses those up, so that senders that announce and send little
// cost the others nothing. What has arrived is
// in memory, within its credit, until Work has put it into its slot.
//
// Time is the now of the calls, which need not be in order.
type Receiver struct {
	cfg                      Config
	chunk                    int
	ready, arrived, complete chan struct{}
	matches                  func(*transfer) bool

	mu       sync.Mutex
	now      time.Time     // latest seen
	used     int           // bytes of slots
	lent     map[Slot]loan // whole frames that the owner has, or may take
	closing  []Slot        // not needed any more, left to Work
	peers    map[string]*peer
	order    []*peer   // as they came
	waiting  []*peer   // for a slot, longest first
	noRoom   time.Time // until when no room is looked for
	consoled time.Time // when those that wait were last told so
	sending  int       // transfers that make progress
	out      int       // chunks of credit that these have
	stray    int       // chunks in memory that no credit counts any more
	queue    []arrival // for Work
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

// Announce takes an offer of a peer. The transfer starts when those the peer
// announced before are done and there is a slot for it.
//
// An offer of the transfer that the peer has in flight, or had when it was
// dropped, resumes that: only chunks not held yet are asked for. A frame that the
// owner has and has not released is acknowledged at once. Others that were handed out
// are not remembered, so an offer of what is decided already is for the caller to
// skip. After an error end the peer's stream.
func (r *Receiver) Announce(from string, a *wire.Announce, now time.Time) error {
	o := offer{session: a.GetSession(), seq: a.GetSeq(), bytes: int(min(a.GetBytes(), 1<<62)), id: a.GetId()}
	switch {
	case o.bytes == 0:
		return fmt.Errorf("announce of %d/%d: %w: an empty frame", o.session, o.seq, ErrGarbage)
	case o.bytes > r.cfg.MaxFrame:
		return fmt.Errorf("announce of %d/%d: %w: %d bytes, at most %d", o.session, o.seq, ErrTooLarge, a.GetBytes(), r.cfg.MaxFrame)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock(now)
	p := r.peers[from]
	if p == nil {
		if len(r.peers) >= maxPeers {
			return fmt.Errorf("%w: by %d peers", ErrBusy, len(r.peers))
		}
		p = &peer{name: from, patience: r.cfg.RepairAfter}
		r.peers[from] = p
		r.order = append(r.order, p)
	}
	if t := p.active; t != nil {
		if t.same(o) {
			r.resume(p)
			return nil
		}
		if !p.live || t.names(o.session, o.seq) {
			r.cancel(p)
		}
	}
	p.live = true
	for _, l := range r.lent {
		if l.peer == from && l.same(o) {
			r.emit(p.acknowledge(l.offer, (o.bytes+r.chunk-1)/r.chunk))
			return nil
		}
	}
	if i := slices.IndexFunc(p.queue, func(q offer) bool { return q.names(o.session, o.seq) }); i >= 0 {
		p.queue[i] = o
		return nil
	}
	if len(p.queue) >= MaxQueued {
		return fmt.Errorf("%w: %d transfers by one peer", ErrBusy, len(p.queue))
	}
	p.queue = append(p.queue, o)
	r.wait(p)
	return nil
}

// Seal takes the SHA-256 of a transfer that a peer has announced. After an error end
// the peer's stream.
func (r *Receiver) Seal(from string, s *wire.Seal, now time.Time) error {
	if len(s.GetSha256()) != sha256.Size {
		return fmt.Errorf("seal of %d/%d: %w: a SHA-256 of %d bytes", s.GetSession(), s.GetSeq(), ErrGarbage, len(s.GetSha256()))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock(now)
	p := r.peers[from]
	if p == nil || !p.live {
		return nil // it has failed meanwhile
	}
	if t := p.active; t != nil && t.names(s.GetSession(), s.GetSeq()) && t.id == s.GetId() {
		t.seal([sha256.Size]byte(s.GetSha256()))
		r.finish(p, t)
	}
	for i := range p.queue {
		if q := &p.queue[i]; q.names(s.GetSession(), s.GetSeq()) && q.id == s.GetId() {
			q.seal([sha256.Size]byte(s.GetSha256()))
		}
	}
	return nil
}

// Tick lets time pass: it asks for chunks that did not arrive and ends transfers
// that stand still. Call it a few times per RepairAfter.
func (r *Receiver) Tick(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock(now)
	if len(r.waiting) > 0 {
		signal(r.arrived) // there may be room by now
		r.console()
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
			offered := t.offered
			r.withdraw(t)
			t.offered = offered
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
		t.asking = false
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

func (r *Receiver) clock(now time.Time) {
	if now.After(r.now) {
		r.now = now
	}
}
