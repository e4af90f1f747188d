package bulk

import (
	"crypto/sha256"
	"time"

	"halos/wire"
)

// offer is what an announce and a seal say of a frame.
type offer struct {
	session, seq uint64
	id           uint64
	bytes        int
	sealed       bool
	sum          [sha256.Size]byte // once it is sealed
}

// names reports that o is the offer of that name.
func (o offer) names(session, seq uint64) bool { return o.session == session && o.seq == seq }

// same reports that both offer the same bytes.
func (o offer) same(other offer) bool {
	return o.names(other.session, other.seq) && o.id == other.id && o.bytes == other.bytes
}

func (o *offer) seal(sum [sha256.Size]byte) { o.sealed, o.sum = true, sum }

// transfer is a frame on its way into its slot. Chunks below granted have credit; out
// of them the receiver still lacks or has not put away yet.
type transfer struct {
	offer
	chunk, count int // bytes of a chunk, number of chunks
	slot         Slot
	lack         set // chunks that have not arrived
	held         int // chunks in the slot
	last         int // the latest of them
	low          int // lowest chunk that has not arrived, count when all have
	high         int // one above the highest that has
	granted, out int
	offered      int  // the most that was granted on this connection: the peer may have sent it, whatever holds now
	told, acked  int  // granted, held as the peer knows them; -1 = not at all
	moving       bool // it has a part in the budget
	pending      int  // chunks that have arrived and are not in the slot, of the credit that is out
	epoch        int  // grows when credit is taken back

	asking          bool // a Missing over chunks [askLow, askHigh) is due
	askLow, askHigh int
	attempt         uint16        // of the last Missing
	asked           int           // end of the repairs asked for, of which nothing has come, 0 = none
	series          uint16        // attempt of the first of them
	before          time.Duration // patience before the first of them
	probed          int           // if that repair helps, a further one up to here
	progress        time.Time     // a chunk arrived
	since           time.Time     // low moved, or a repair was asked for
	recent          [2]int        // chunks stored on the credit that is out, in this recentSpan and in the last one
	turned          time.Time     // when this one began

	busy bool     // Work writes the slot, without the lock
	dead bool     // cancelled: if busy, Work gives the slot up
	sums []uint32 // [count] of the chunks that have arrived

	mismatches int
}

func newTransfer(o offer, chunk int, slot Slot, now time.Time) *transfer {
	count := (o.bytes + chunk - 1) / chunk
	return &transfer{
		offer: o, chunk: chunk, count: count, slot: slot,
		lack: full(count), told: -1, progress: now, since: now, turned: now,
		sums: make([]uint32, count),
	}
}

// length is the payload of chunk i.
func (t *transfer) length(i int) int { return min(t.chunk, t.bytes-i*t.chunk) }

// accept takes note that chunk i, which the transfer lacks, has arrived, and of the
// checksum of its payload.
func (t *transfer) accept(i int, sum uint32, now time.Time) {
	t.sums[i] = sum
	t.lack.remove(i)
	t.high = max(t.high, i+1)
	t.progress = now
	if i == t.low {
		t.low = min(t.lack.next(i), t.count)
		t.since = now
	}
}

// flows reports that chunks come faster than what every transfer may send allows for a
// sender that does nothing with more, and that there are some to come.
func (t *transfer) flows() bool { return t.recent[0]+t.recent[1] > minCredit && t.held < t.count }

// turn lets time pass for recent.
func (t *transfer) turn(now time.Time) {
	if now.Sub(t.turned) >= recentSpan {
		t.recent, t.turned = [2]int{0, t.recent[0]}, now
	}
}

// matches compares a transfer that is whole with its seal.
func (t *transfer) matches() bool { return wire.FrameSum(t.sums) == t.sum }

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
	t.offered = max(t.offered, t.granted)
	return n
}

// withdraw takes all credit back. What the peer has sent on it may still come.
func (t *transfer) withdraw() {
	t.granted, t.out, t.told, t.acked, t.pending = 0, 0, -1, -1, 0
	t.epoch++
	t.recent = [2]int{}
}

// restart forgets every chunk of a transfer that is whole.
func (t *transfer) restart(now time.Time) {
	t.lack.fill(t.count)
	t.held, t.low, t.high = 0, 0, 0
	t.asked, t.probed = 0, 0
	t.progress, t.since = now, now
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

// missing builds the Missing that is due, nil when the transfer lacks none of the
// chunks by now and the peer knows that it was taken up. It covers whole bytes of
// bits, so it starts a few chunks lower where it can.
func (t *transfer) missing() *wire.Missing {
	if t.told >= 0 && t.lack.next(t.askLow) >= t.askHigh {
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
