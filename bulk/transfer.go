package bulk

import (
	"hash"
	"time"

	"halos/wire"
)

// offer is what an announce says of a frame.
type offer struct {
	session, seq uint64
	bytes        int
	sha256       [32]byte
}

// transfer is a frame on its way into its slot. Chunks below granted have
// credit; out of them the receiver still lacks.
type transfer struct {
	offer
	chunk, count int    // bytes of a chunk, number of chunks
	frame        []byte // [bytes], the slot
	lack         set    // chunks not held
	held         int
	low          int // lowest chunk not held, count when all are
	high         int // one above the highest chunk held
	granted, out int
	told         int // granted as the peer knows it, -1 = not at all

	asking          bool // a Missing over chunks [askLow, askHigh) is due
	askLow, askHigh int
	attempt         uint16        // of the last Missing
	asked           int           // end of the repairs asked for, of which nothing has come, 0 = none
	series          uint16        // attempt of the first of them
	before          time.Duration // patience before the first of them
	probed          int           // if that repair helps, a further one up to here
	progress        time.Time     // a chunk arrived
	since           time.Time     // low moved, or a repair was asked for

	sum        hash.Hash
	hashed     int  // bytes of frame in sum
	hashing    bool // a goroutine adds to sum, outside the lock
	dead       bool // cancelled meanwhile: that goroutine frees the slot
	mismatches int
}

// length is the payload of chunk i.
func (t *transfer) length(i int) int { return min(t.chunk, t.bytes-i*t.chunk) }

func (t *transfer) complete() bool { return t.held == t.count }

// place copies a chunk that the transfer lacks into the slot.
func (t *transfer) place(c wire.Chunk, now time.Time) {
	i := int(c.Index)
	copy(t.frame[i*t.chunk:], c.Payload)
	t.lack.remove(i)
	t.held++
	t.out--
	t.high = max(t.high, i+1)
	t.progress = now
	if i == t.low {
		t.low = min(t.lack.next(i), t.count)
		t.since = now
	}
}

// grow extends the credit to allow further chunks that the transfer lacks, and
// returns how many it found.
func (t *transfer) grow(allow int) int {
	n := 0
	for n < allow && t.granted < t.count {
		if t.lack.has(t.granted) {
			n++
		}
		t.granted++
	}
	t.out += n
	return n
}

// withdraw takes all credit back and returns how much was out.
func (t *transfer) withdraw() int {
	n := t.out
	t.granted, t.out, t.told = 0, 0, -1
	return n
}

// restart forgets every chunk held.
func (t *transfer) restart() {
	t.lack.fill(t.count)
	t.held, t.low, t.high, t.hashed = 0, 0, 0, 0
	t.asked, t.probed = 0, 0
	t.sum.Reset()
}

// ask makes a Missing over chunks [low, high) due.
func (t *transfer) ask(low, high int) {
	if t.asking {
		low, high = min(low, t.askLow), max(high, t.askHigh)
	}
	t.asking, t.askLow, t.askHigh = true, low, high
}

// overdue says up to which chunk it is time for a repair, 0 if for none. Where
// chunks still arrive those overtaken are lost. Where none does they may be late,
// so the first are asked for as a probe: if they come as repairs, the rest up to
// probed is lost too.
func (t *transfer) overdue(now time.Time, patience time.Duration) int {
	if now.Sub(t.since) < patience {
		return 0
	}
	high := t.high
	if now.Sub(t.progress) >= patience {
		t.probed = t.granted
		high = min(t.lack.next(t.low+1)+1, t.granted)
	}
	if high <= t.low {
		return 0
	}
	return high
}

// settle closes the series of repairs that is open, if c is what it asked for or
// all of that has come by now, and reports whether the repairs helped. Where a
// probe did, the rest is asked for.
func (t *transfer) settle(c wire.Chunk) (helped bool) {
	if t.asked == 0 {
		return false
	}
	helped = c.Attempt >= t.series && int(c.Index) < t.asked
	if helped && t.probed > t.low {
		t.ask(t.low, t.probed)
	}
	if helped || t.low >= t.asked {
		t.asked, t.probed = 0, 0
	}
	return helped
}

// missing builds the Missing that is due, nil when the transfer holds all the
// chunks by now. It covers whole bytes of bits, so it starts a few chunks lower
// where it can.
func (t *transfer) missing() *wire.Missing {
	if t.lack.next(t.askLow) >= t.askHigh {
		return nil
	}
	n := (t.askHigh - t.askLow + 7) / 8
	first := max(0, t.askHigh-8*n)
	m := &wire.Missing{Session: t.session, Seq: t.seq, First: uint32(first), Bits: make([]byte, n)}
	for i := first; i < min(first+8*n, t.count); i++ {
		if t.lack.has(i) {
			m.Bits[(i-first)/8] |= 1 << ((i - first) % 8)
		}
	}
	t.attempt++
	m.Attempt = uint32(t.attempt)
	return m
}
