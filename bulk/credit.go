package bulk

import (
	"crypto/sha256"
	"slices"
)

// wait puts p in line for a slot if it needs one.
func (r *Receiver) wait(p *peer) {
	if p.live && p.active == nil && len(p.queue) > 0 && !slices.Contains(r.waiting, p) {
		r.waiting = append(r.waiting, p)
	}
	r.start()
}

// start begins the transfers that wait, as far as slots go, and shares the
// credit out again. Slots that are kept for dropped peers give way.
func (r *Receiver) start() {
	for len(r.waiting) > 0 {
		p := r.waiting[0]
		frame := r.slots.take(p.queue[0].bytes)
		if frame == nil {
			if old := r.stalest(); old != nil {
				r.cancel(old)
				r.remove(old)
				continue
			}
			break
		}
		r.waiting = slices.Delete(r.waiting, 0, 1)
		p.active = r.transfer(p.queue[0], frame)
		p.queue = slices.Delete(p.queue, 0, 1)
		r.sending++
	}
	for _, p := range r.order {
		if p.live && p.active != nil {
			r.grow(p)
		}
	}
}

func (r *Receiver) transfer(o offer, frame []byte) *transfer {
	count := (o.bytes + r.chunk - 1) / r.chunk
	return &transfer{
		offer: o, chunk: r.chunk, count: count, frame: frame,
		lack: full(count), told: -1,
		progress: r.now, since: r.now,
		sum: sha256.New(),
	}
}

// stalest is the dropped peer whose slot has waited longest, nil if none has one.
func (r *Receiver) stalest() *peer {
	var old *peer
	for _, p := range r.order {
		if !p.live && p.active != nil && !p.active.hashing && (old == nil || p.active.progress.Before(old.active.progress)) {
			old = p
		}
	}
	return old
}

// grow gives p credit up to an equal share of the budget.
func (r *Receiver) grow(p *peer) {
	t := p.active
	share := max(minWindow, r.cfg.ChunkBudget/r.sending)
	allow := max(min(share-t.out, r.cfg.ChunkBudget-r.out), minWindow-t.out)
	r.out += t.grow(allow)
	if t.granted != t.told || t.asking {
		r.touch(p)
	}
}

// resume starts over with the credit of the transfer p has in flight and tells
// the peer what is held of it.
func (r *Receiver) resume(p *peer) {
	t := p.active
	if !p.live {
		p.live = true
		r.sending++
	}
	r.out -= t.withdraw()
	t.progress, t.since, t.asked, t.probed = r.now, r.now, 0, 0
	if t.held > 0 {
		t.ask(0, t.count)
	}
	r.start()
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
	if t.hashing {
		t.dead = true
		return
	}
	r.slots.put(t.frame)
}

// end goes on after the frame of p has been handed out.
func (r *Receiver) end(p *peer) {
	r.detach(p)
	r.wait(p)
	r.remove(p)
}

func (r *Receiver) detach(p *peer) {
	if p.live {
		r.sending--
	}
	r.out -= p.active.withdraw()
	p.active = nil
}

// remove forgets a peer that has neither a stream nor a slot.
func (r *Receiver) remove(p *peer) {
	if p.live || p.active != nil {
		return
	}
	delete(r.peers, p.name)
	r.order = slices.DeleteFunc(r.order, func(q *peer) bool { return q == p })
}
