package bulk

import (
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"halos/wire"
)

// pump publishes what the sender has, a chunk a millisecond.
func (w *world) pump(c *client) {
	if w.credit {
		for _, o := range c.s.offers {
			o.upto, o.held = o.count, o.count
		}
	}
	b, err := c.s.Next(w.now)
	if err != nil {
		w.failf("next of %s: %w", c.name, err)
	}
	if c.pumping = b != nil; b == nil {
		return
	}
	w.sent++
	w.publish(c, b)
	w.after(time.Millisecond, func() { w.pump(c) })
}

func (w *world) publish(c *client, b []byte) {
	if !c.up || w.rng.Float64() < w.loss {
		return
	}
	if w.attempt {
		b = reseal(b, func(c *wire.Chunk) { c.Round, c.Attempt = 0, 0 })
	}
	if w.rng.Float64() < w.duplicate {
		w.fly(c, slices.Clone(b))
	}
	if w.rng.Float64() < w.corrupt {
		at := wire.ChunkHeaderLen + w.rng.IntN(len(b)-wire.ChunkHeaderLen)
		b[at] ^= 1 << w.rng.IntN(8)
		if w.crc {
			b = reseal(b, func(*wire.Chunk) {})
		}
	}
	w.fly(c, b)
}

func reseal(b []byte, change func(*wire.Chunk)) []byte {
	c, _ := wire.ParseChunk(b)
	change(&c)
	b, _ = c.AppendBinary(nil)
	return b
}

func (w *world) fly(c *client, b []byte) {
	if w.flying++; w.flying > 2*w.r.cfg.ChunkBudget+minCredit*len(w.clients) {
		w.failf("%d chunks on their way, queues hold twice the budget of %d and what everybody has", w.flying, w.r.cfg.ChunkBudget)
	}
	epoch, stale := c.epoch, w.rng.Float64() < w.stale
	w.after(ackDelay+w.delay+w.between(0, w.jitter), func() {
		w.flying--
		if c.epoch != epoch && !stale {
			return
		}
		sum := sha256.Sum256(append(b, c.name...))
		if w.seen[sum] {
			return
		}
		w.seen[sum] = true
		err := w.r.Chunk(c.name, b, w.now)
		if errors.Is(err, ErrGarbage) || errors.Is(err, ErrMismatch) || w.corrupt == 0 && errors.Is(err, ErrCorrupt) {
			w.failf("verdict on an honest chunk: %w", err)
		}
	})
}
