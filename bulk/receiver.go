package bulk

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"halos/wire"
)

const (
	maxPeers      = 4096 // with a stream or a slot: far more than any server serves
	maxMismatches = 2    // a frame is asked for again so many times
	minWindow     = 2    // chunks of credit of every transfer, whatever the budget
)

// Config bounds a Receiver.
type Config struct {
	MaxFrame    int           // largest acceptable frame, bytes
	SlotBudget  int           // bytes of slots over all transfers; less than one slot for MaxFrame counts as one
	ChunkBudget int           // chunks of credit out over all senders
	RepairAfter time.Duration // without progress until missing chunks are asked for; doubles for a sender whose chunks were only late
	GiveUpAfter time.Duration // without progress until a transfer fails, or the slot of a dropped sender is freed
}

// Receiver takes in the transfers of many senders. Each sender has one transfer
// in flight; further ones that it announced wait in order. All of them share two
// budgets, bytes of slots and chunks of credit, and nothing a peer says makes the
// receiver exceed them, except that every transfer has at least two chunks of
// credit.
//
// Time is the now of the calls, which need not be in order.
type Receiver struct {
	cfg   Config
	chunk int
	ready chan struct{}

	mu      sync.Mutex
	now     time.Time // latest seen
	slots   slots
	peers   map[string]*peer
	order   []*peer // as they came
	waiting []*peer // for a slot, longest first
	sending int     // transfers of live peers
	out     int     // chunks of credit out
	dirty   []*peer // a message is due
	events  []Event
}

// peer is a sender. It is live while its ack stream is; after that it is kept
// only for the slot it has begun to fill.
type peer struct {
	name     string
	live     bool
	dirty    bool // in Receiver.dirty
	queue    []offer
	active   *transfer
	arrived  offer         // the latest frame handed out
	patience time.Duration // before a repair: doubles with each, until one helps
}

// NewReceiver returns a receiver without peers.
func NewReceiver(c Config) *Receiver { return newReceiver(c, wire.ChunkBytes) }

func newReceiver(c Config, chunk int) *Receiver {
	r := &Receiver{cfg: c, chunk: chunk, ready: make(chan struct{}, 1), peers: make(map[string]*peer)}
	r.slots = slots{chunk: chunk, lent: make(map[*byte]bool)}
	r.slots.budget = max(c.SlotBudget, r.slots.size(c.MaxFrame))
	return r
}

// Announce takes an offer of a peer. The transfer starts when those the peer
// announced before are done and there is a slot for it.
//
// An offer of the transfer that the peer has in flight, or had when it was
// dropped, resumes that: only chunks not held yet are asked for. Frames handed
// out are not remembered, so an offer of what is decided already is for the
// caller to skip. After an error end the peer's ack stream.
func (r *Receiver) Announce(from string, a *wire.Announce, now time.Time) error {
	o, err := r.check(a)
	if err != nil {
		return fmt.Errorf("announce of %d/%d: %w", a.GetSession(), a.GetSeq(), err)
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
		if t.offer == o {
			r.resume(p)
			return nil
		}
		if !p.live || t.session == o.session && t.seq == o.seq {
			r.cancel(p)
		}
	}
	p.live = true
	same := func(q offer) bool { return q.session == o.session && q.seq == o.seq }
	if i := slices.IndexFunc(p.queue, same); i >= 0 {
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

func (r *Receiver) check(a *wire.Announce) (offer, error) {
	if a.GetBytes() == 0 || len(a.GetSha256()) != sha256.Size {
		return offer{}, fmt.Errorf("%w: %d bytes with a SHA-256 of %d", ErrGarbage, a.GetBytes(), len(a.GetSha256()))
	}
	if a.GetBytes() > uint64(r.cfg.MaxFrame) {
		return offer{}, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, a.GetBytes(), r.cfg.MaxFrame)
	}
	return offer{a.GetSession(), a.GetSeq(), int(a.GetBytes()), [32]byte(a.GetSha256())}, nil
}

// Tick lets time pass: it asks for chunks that did not arrive and ends transfers
// that stand still. Call it a few times per RepairAfter.
func (r *Receiver) Tick(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock(now)
	for _, p := range slices.Clone(r.order) {
		t := p.active
		if t == nil || t.complete() {
			continue
		}
		if r.now.Sub(t.progress) >= r.cfg.GiveUpAfter {
			r.fail(p, ErrStalled)
			continue
		}
		if high := t.overdue(r.now, p.patience); p.live && high > 0 {
			r.repair(p, high)
		}
	}
}

// Drop says that the ack stream of a peer has ended. Its credit goes to others
// at once, its offers are forgotten, and the slot it has begun to fill is kept
// until it announces that transfer again, for GiveUpAfter at most or until
// another transfer needs the slot. Call it before the first Announce that came
// on a newer stream.
func (r *Receiver) Drop(from string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peers[from]
	if p == nil || !p.live {
		return
	}
	p.live = false
	clear(p.queue)
	p.queue = p.queue[:0]
	r.waiting = slices.DeleteFunc(r.waiting, func(q *peer) bool { return q == p })
	if t := p.active; t != nil {
		r.sending--
		r.out -= t.withdraw()
		t.asking = false
	}
	r.start()
	r.remove(p)
}

// Release takes back the buffer of a frame that an event handed out. It panics
// on any other.
func (r *Receiver) Release(frame []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slots.put(frame)
	r.start()
}

func (r *Receiver) clock(now time.Time) {
	if now.After(r.now) {
		r.now = now
	}
}
