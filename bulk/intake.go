package bulk

import (
	"crypto/sha256"
	"fmt"
	"time"

	"halos/wire"
)

// Chunk takes a message of the delta topic into the slot of its transfer; it
// keeps no reference to it. The error is a verdict: count it, name it, go on.
//
// The call that brings the next chunk in order also hashes it, and all that wait
// behind it.
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
	if err := c.Verify(); err != nil {
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
	t.place(c, r.now)
	r.out--
	if t.settle(c) {
		p.patience = t.before
	}
	r.grow(p)
	r.hash(p, t)
	return nil
}

// expect says whose transfer c belongs to, or why it is not wanted.
func (r *Receiver) expect(from string, c wire.Chunk) (*peer, error) {
	p := r.peers[from]
	if p == nil || !p.live {
		return nil, ErrUnannounced
	}
	t, i := p.active, int(c.Index)
	if t == nil || t.session != c.Session || t.seq != c.Seq {
		if p.arrived.bytes > 0 && p.arrived.session == c.Session && p.arrived.seq == c.Seq {
			return nil, ErrDuplicate
		}
		return nil, ErrUnannounced
	}
	switch {
	case int64(c.Count) != int64(t.count) || len(c.Payload) != t.length(i):
		return nil, ErrMismatch
	case i >= t.granted:
		return nil, ErrCredit
	case !t.lack.has(i):
		return nil, ErrDuplicate
	}
	return p, nil
}

// hash adds to the sum of t what it holds in order, without the lock, and hands
// the frame out when that is all of it. One goroutine at a time does so for a
// transfer; what others place meanwhile falls to it.
func (r *Receiver) hash(p *peer, t *transfer) {
	if t.hashing {
		return
	}
	t.hashing = true
	for !t.dead {
		part := t.frame[t.hashed:min(t.low*t.chunk, t.bytes)]
		if len(part) == 0 {
			break
		}
		t.hashed += len(part)
		r.mu.Unlock()
		t.sum.Write(part)
		r.mu.Lock()
	}
	t.hashing = false
	switch {
	case t.dead:
		r.slots.put(t.frame)
		r.start()
	case t.hashed == t.bytes:
		r.finish(p, t)
	}
}

// finish hands out a frame whose chunks all arrived, or asks for them all again
// if they do not add up to what was announced.
func (r *Receiver) finish(p *peer, t *transfer) {
	if [sha256.Size]byte(t.sum.Sum(nil)) == t.sha256 {
		p.arrived = t.offer
		r.emit(Event{Peer: p.name, Session: t.session, Seq: t.seq, Frame: t.frame})
		r.end(p)
		return
	}
	if t.mismatches++; t.mismatches > maxMismatches || !p.live {
		r.fail(p, ErrHash)
		return
	}
	r.out -= t.withdraw()
	t.restart()
	t.told = t.count
	t.progress, t.since = r.now, r.now
	t.ask(0, t.count)
	r.grow(p)
}
