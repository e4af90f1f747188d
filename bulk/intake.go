package bulk

import (
	"fmt"
	"time"

	"halos/wire"
)

// landed is a chunk that has arrived and is not yet in its slot.
type landed struct {
	p     *peer
	t     *transfer
	index int
	epoch int // of the credit it came on, noEpoch if of credit that had been taken back
	bytes []byte
}

const noEpoch = -1

// Chunk takes a message of the topic, which is the receiver's from now on. It does
// not wait for anything: Work puts the chunk into the slot of its transfer. The
// error is a verdict: count it, name it, go on.
func (r *Receiver) Chunk(from string, message []byte, now time.Time) error {
	c, err := wire.ParseChunk(message)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	r.mu.Lock()
	_, err = r.expect(from, c)
	r.mu.Unlock()
	if err != nil {
		return err
	}
	sum, err := c.Verify()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock(now)
	p, err := r.expect(from, c)
	if err != nil {
		return err
	}
	t := p.active
	t.accept(int(c.Index), sum, r.now)
	epoch := t.epoch
	if int(c.Index) < t.granted {
		t.pending++
	} else {
		epoch = noEpoch
		r.stray++
	}
	r.landed = append(r.landed, landed{p, t, int(c.Index), epoch, c.Payload})
	if t.settle(c) {
		p.patience = t.before
	}
	if t.asking {
		r.touch(p)
	}
	signal(r.arrived)
	return nil
}

// expect says whose transfer c belongs to, or why it is not wanted.
func (r *Receiver) expect(from string, c wire.Chunk) (*peer, error) {
	p := r.peers[from]
	if p == nil || !p.live {
		return nil, ErrUnannounced
	}
	t, i := p.active, int(c.Index)
	if t == nil || !t.names(c.Session, c.Seq) {
		if p.got.bytes > 0 && p.got.names(c.Session, c.Seq) {
			return nil, ErrDuplicate
		}
		return nil, ErrUnannounced
	}
	switch {
	case int64(c.Count) != int64(t.count) || len(c.Payload) != t.length(i):
		return nil, ErrMismatch
	case i >= t.granted && (i >= t.offered || r.stray >= r.cfg.ChunkBudget):
		return nil, ErrCredit
	case !t.lack.has(i):
		return nil, ErrDuplicate
	}
	return p, nil
}

// Work makes room for the transfers whose turn has come, puts what has arrived into
// its slot, and closes slots that nobody needs. It returns when nothing of that is
// left to do now. One goroutine calls it.
func (r *Receiver) Work() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.tidy() || r.open() || r.store() {
	}
}

// tidy closes a slot.
func (r *Receiver) tidy() bool {
	n := len(r.closing)
	if n == 0 {
		return false
	}
	s := r.closing[n-1]
	r.closing = r.closing[:n-1]
	r.mu.Unlock()
	_ = s.Close() // what was in it is of no use
	r.mu.Lock()
	return true
}

// store puts the next chunk away.
func (r *Receiver) store() bool {
	if len(r.landed) == 0 {
		r.landed = nil
		return false
	}
	a := r.landed[0]
	r.landed[0] = landed{}
	r.landed = r.landed[1:]
	t := a.t
	dead := t.dead
	var err error
	if !dead {
		t.busy = true
		r.mu.Unlock()
		_, err = t.slot.WriteAt(a.bytes, int64(a.index*t.chunk))
		r.mu.Lock()
		t.busy = false
	}
	if a.epoch == t.epoch {
		t.pending--
		t.out--
		if t.moving {
			r.out--
		}
	} else {
		r.stray--
	}
	switch {
	case dead:
	case t.dead: // cancelled meanwhile
		r.discard(t.slot, t.bytes)
	case err != nil:
		r.fail(a.p, fmt.Errorf("%w: %w", ErrSlot, err))
	default:
		t.held, t.last = t.held+1, a.index
		if a.epoch == t.epoch {
			r.moved(t)
		}
		if a.p.live {
			r.grow(a.p)
		}
		r.finish(a.p, t)
	}
	return true
}

// finish hands out a frame that is whole, or asks for all of it again if its chunks
// do not add up to its seal.
func (r *Receiver) finish(p *peer, t *transfer) {
	if !t.sealed || t.busy || t.held < t.count {
		return
	}
	if r.matches(t) {
		p.got = t.offer
		r.lent[t.slot] = loan{p.name, t.offer}
		r.whole = append(r.whole, Arrival{
			Peer: p.name, Session: t.session, Seq: t.seq, ID: t.id, Bytes: t.bytes, Slot: t.slot,
			chunk: t.chunk, sums: t.sums,
		})
		signal(r.complete)
		if p.live {
			r.emit(p.acknowledge(t.offer, t.count))
		}
		r.detach(p)
		r.wait(p)
		r.remove(p)
		return
	}
	if t.mismatches++; t.mismatches > maxMismatches || !p.live {
		r.fail(p, ErrHash)
		return
	}
	r.withdraw(t)
	t.restart(r.now)
	t.told = t.count
	t.ask(0, t.count)
	r.grow(p)
}

// acknowledge is a Credit that says that all chunks of o are held.
func (p *peer) acknowledge(o offer, count int) Event {
	c := &wire.Credit{Session: o.session, Seq: o.seq, Upto: uint32(count), Held: uint32(count), Last: uint32(count)}
	return Event{Peer: p.name, Session: o.session, Seq: o.seq, Send: &wire.ToClient{Body: &wire.ToClient_Credit{Credit: c}}}
}
