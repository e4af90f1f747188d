package bulk

import (
	"fmt"
)

// audit recounts what the receiver keeps count of.
func (r *Receiver) audit() error {
	out, sending, used, inMemory := 0, 0, 0, 0
	for _, l := range r.lent {
		used += l.bytes
	}
	for _, p := range r.order {
		t := p.active
		if !p.live && t == nil || len(p.queue) > MaxQueued || r.peers[p.name] != p {
			return fmt.Errorf("peer %+v", p)
		}
		if t == nil {
			continue
		}
		used += t.bytes
		if t.moving {
			sending++
		}
		lacks := t.pending
		for i := range t.granted {
			if t.lack.has(i) {
				lacks++
			}
		}
		if lacks != t.out {
			return fmt.Errorf("%s has %d chunks of credit out, counted as %d", p.name, lacks, t.out)
		}
		if t.moving {
			out += lacks
		}
		inMemory += t.pending
	}
	switch {
	case out != r.out || sending != r.sending || len(r.peers) != len(r.order):
		return fmt.Errorf("%d chunks out to %d of %d peers, counted as %d to %d of %d", out, sending, len(r.peers), r.out, r.sending, len(r.order))
	case out > r.cfg.ChunkBudget+minCredit*sending:
		return fmt.Errorf("%d chunks of credit out, budget %d", out, r.cfg.ChunkBudget)
	case len(r.landed) != inMemory+r.stray || len(r.landed) > 2*r.cfg.ChunkBudget+minCredit*len(r.order):
		return fmt.Errorf("%d chunks in memory, counted as %d and %d", len(r.landed), inMemory, r.stray)
	case used != r.used || used > r.cfg.SlotBudget:
		return fmt.Errorf("%d bytes of slots, counted as %d, budget %d", used, r.used, r.cfg.SlotBudget)
	}
	return nil
}
