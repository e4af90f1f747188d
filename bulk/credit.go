package bulk

import (
	"fmt"
	"slices"

	"halos/wire"
)

// wait puts p in line for a slot if it needs one.
func (r *Receiver) wait(p *peer) {
	if p.live && p.active == nil && len(p.queue) > 0 && !slices.Contains(r.waiting, p) {
		r.waiting = append(r.waiting, p)
		signal(r.arrived)
	}
}

// open makes room for the first transfer that waits, as far as the budget goes, and
// reports whether it is worth calling again. Slots that are kept for dropped peers
// give way.
func (r *Receiver) open() bool {
	if len(r.waiting) == 0 || r.now.Before(r.noRoom) {
		return false
	}
	p := r.waiting[0]
	o := p.queue[0]
	if r.used+o.bytes > r.cfg.SlotBudget {
		old := r.stalest()
		if old == nil {
			return false
		}
		r.cancel(old)
		r.remove(old)
		return true
	}
	r.used += o.bytes
	r.mu.Unlock()
	slot, err := r.cfg.Open(o.bytes)
	r.mu.Lock()
	switch {
	case err != nil:
		r.used -= o.bytes
		r.noRoom = r.now.Add(roomEvery)
		r.emit(Event{Peer: p.name, Session: o.session, Seq: o.seq, Wait: fmt.Errorf("frame %d of %d bytes waits: %w", o.seq, o.bytes, err)})
		return false
	case len(r.waiting) == 0 || r.waiting[0] != p || !p.queue[0].same(o): // dropped, or announced anew
		r.discard(slot, o.bytes)
		return true
	}
	o = p.queue[0] // sealed meanwhile perhaps
	r.waiting = slices.Delete(r.waiting, 0, 1)
	p.queue = slices.Delete(p.queue, 0, 1)
	p.active = newTransfer(o, r.chunk, slot, r.now)
	r.grow(p)
	return true
}

// remind tells those that wait for a slot so, now and then: a sender that hears nothing
// for long takes its receiver for dead.
func (r *Receiver) remind() {
	if r.now.Sub(r.reminded) < r.cfg.GiveUpAfter/4 {
		return
	}
	r.reminded = r.now
	for _, p := range r.waiting {
		o := p.queue[0]
		c := &wire.Credit{Session: o.session, Seq: o.seq}
		r.emit(Event{Peer: p.name, Session: o.session, Seq: o.seq, Send: &wire.ToClient{Body: &wire.ToClient_Credit{Credit: c}}})
	}
}

// share gives every transfer its part of the credit.
func (r *Receiver) share() {
	for _, p := range r.order {
		if p.live && p.active != nil {
			r.grow(p)
		}
	}
}

// stalest is the dropped peer whose slot has waited longest, nil if none has one.
func (r *Receiver) stalest() *peer {
	var old *peer
	for _, p := range r.order {
		if !p.live && p.active != nil && (old == nil || p.active.progress.Before(old.active.progress)) {
			old = p
		}
	}
	return old
}

// grow gives p credit: up to an equal share of the budget if its transfer makes
// progress, else what every transfer has.
func (r *Receiver) grow(p *peer) {
	t := p.active
	allow := minCredit - t.out
	if t.moving {
		share := r.cfg.ChunkBudget / r.sending
		allow = max(allow, min(share-t.out, r.cfg.ChunkBudget-r.out-r.stray))
	}
	n := t.grow(allow)
	if t.moving {
		r.out += n
	}
	if t.granted != t.told || t.held != t.acked || t.asking {
		r.touch(p)
	}
}

// moved notes that a chunk of t has been stored. Who has sent more than everybody may
// has a part in the budget from then on, until all of it is there.
func (r *Receiver) moved(t *transfer) {
	t.recent[0]++
	if t.moving != t.flows() {
		r.flow(t, !t.moving)
	}
}

// flow lets t take part in the budget, or not.
func (r *Receiver) flow(t *transfer, moving bool) {
	t.moving = moving
	if moving {
		r.sending++
		r.out += t.out
	} else {
		r.sending--
		r.out -= t.out
	}
}

// withdraw takes all credit of t back.
func (r *Receiver) withdraw(t *transfer) {
	if t.moving {
		r.flow(t, false)
	}
	r.stray += t.pending
	t.withdraw()
}

// resume starts over with the credit of the transfer p has in flight and tells
// the peer what is held of it.
func (r *Receiver) resume(p *peer) {
	t := p.active
	p.live = true
	r.withdraw(t)
	t.progress, t.since, t.asked, t.probed = r.now, r.now, 0, 0
	if t.low > 0 || t.high > 0 {
		t.ask(0, t.count)
	}
	r.grow(p)
	r.share()
}

// repair asks p for what is missing below chunk high and doubles the patience
// until that helps.
func (r *Receiver) repair(p *peer, high int) {
	t := p.active
	t.ask(t.low, high)
	if t.asked == 0 {
		t.series, t.before = t.attempt+1, p.patience
	}
	t.asked, t.since = high, r.now
	p.patience = min(2*p.patience, max(r.cfg.RepairAfter, r.cfg.GiveUpAfter/4))
	r.touch(p)
}

// fail gives the transfer of p up. Nobody waits for one of a dropped peer.
func (r *Receiver) fail(p *peer, err error) {
	if p.live {
		r.emit(Event{Peer: p.name, Session: p.active.session, Seq: p.active.seq, Err: err})
	}
	r.cancel(p)
	r.wait(p)
	r.remove(p)
}

// cancel frees the slot of p.
func (r *Receiver) cancel(p *peer) {
	t := p.active
	r.detach(p)
	t.dead = true
	if !t.busy {
		r.discard(t.slot, t.bytes)
	}
}

// discard leaves a slot to Work, which closes it.
func (r *Receiver) discard(s Slot, bytes int) {
	r.closing = append(r.closing, s)
	r.used -= bytes
	signal(r.arrived)
}

func (r *Receiver) detach(p *peer) {
	r.withdraw(p.active)
	p.active = nil
	r.share()
}

// remove forgets a peer that has neither a stream nor a slot.
func (r *Receiver) remove(p *peer) {
	if p.live || p.active != nil {
		return
	}
	delete(r.peers, p.name)
	r.order = slices.DeleteFunc(r.order, func(q *peer) bool { return q == p })
}
