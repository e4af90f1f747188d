package testnet

// leastRing is the first allocation of a ring: most connections carry little.
const leastRing = 16 << 10

// ring is a queue of bytes in one buffer, which doubles until it is as large as
// its user's bound and is then reused for good. The zero value is empty.
type ring struct {
	buf  []byte
	head int // index of the oldest byte
	n    int // bytes inside
}

// put appends b. The caller sees to it that no more than limit bytes are inside.
func (r *ring) put(b []byte, limit int) {
	if need := r.n + len(b); need > len(r.buf) {
		size := max(leastRing, 2*len(r.buf))
		for size < need {
			size *= 2
		}
		grown := make([]byte, max(need, min(size, limit)))
		r.peek(grown)
		r.buf, r.head = grown, 0
	}
	tail := r.head + r.n
	if tail >= len(r.buf) {
		tail -= len(r.buf)
	}
	k := copy(r.buf[tail:], b)
	copy(r.buf, b[k:])
	r.n += len(b)
}

// take moves the oldest bytes into b, as many as there are or fit.
func (r *ring) take(b []byte) int {
	k := r.peek(b)
	r.n -= k
	if r.head += k; r.head >= len(r.buf) {
		r.head -= len(r.buf)
	}
	return k
}

// peek copies the oldest bytes into b, as many as there are or fit.
func (r *ring) peek(b []byte) int {
	b = b[:min(len(b), r.n)]
	k := copy(b, r.buf[r.head:])
	copy(b[k:], r.buf)
	return len(b)
}
