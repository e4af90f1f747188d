package bulk

import (
	"fmt"
)

// audit recounts what the receiver keeps count of.
func (r *Receiver) audit() error {
	out, sending, used := 0, 0, 0
	for _, p := range r.order {
		t := p.active
		if !p.live && t == nil || len(p.queue) > MaxQueued || r.peers[p.name] != p {
			return fmt.Errorf("peer %+v", p)
		}
		if t == nil {
			continue
		}
		used += cap(t.frame)
		if p.live {
			sending++
		}
		lacks := 0
		for i := range t.granted {
			if t.lack.has(i) {
				lacks++
			}
		}
		if lacks != t.out {
			return fmt.Errorf("%s has %d chunks of credit out, counted as %d", p.name, lacks, t.out)
		}
		out += lacks
	}
	switch {
	case out != r.out || sending != r.sending || len(r.peers) != len(r.order):
		return fmt.Errorf("%d chunks out to %d of %d peers, counted as %d to %d of %d", out, sending, len(r.peers), r.out, r.sending, len(r.order))
	case out > r.cfg.ChunkBudget+minWindow*sending:
		return fmt.Errorf("%d chunks of credit out, budget %d", out, r.cfg.ChunkBudget)
	case used > r.slots.used || r.slots.used+r.slots.idle > r.slots.budget:
		return fmt.Errorf("slots: %d bytes in transfers, %d lent, %d idle, budget %d", used, r.slots.used, r.slots.idle, r.slots.budget)
	}
	return nil
}
