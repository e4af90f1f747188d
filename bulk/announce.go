package bulk

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"halos/wire"
)

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
		if r.closed || len(r.peers) >= maxPeers {
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
