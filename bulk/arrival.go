package bulk

import (
	"fmt"
	"io"

	"halos/wire"
)

// Arrival is a whole frame, as it was sealed.
type Arrival struct {
	Peer         string
	Session, Seq uint64
	ID           uint64 // of the announce
	Bytes        int
	Slot         Slot // lent until Release

	chunk int
	sums  []uint32 // [chunks]
}

// Reader reads the frame from its start to its end. Every chunk is compared again with
// what arrived: one that the slot gives back otherwise is an ErrSlot.
func (a Arrival) Reader() io.Reader { return &reader{Arrival: a, buffer: make([]byte, a.chunk)} }

// reader serves a frame chunk by chunk.
type reader struct {
	Arrival
	next   int // chunk to be read
	buffer []byte
	left   []byte // of the last chunk read
}

// Read serves what is left of a chunk, or of the next.
func (r *reader) Read(b []byte) (int, error) {
	if len(r.left) == 0 {
		if r.next == len(r.sums) {
			return 0, io.EOF
		}
		if err := r.load(); err != nil {
			return 0, err
		}
	}
	n := copy(b, r.left)
	r.left = r.left[n:]
	return n, nil
}

// load reads the next chunk.
func (r *reader) load() error {
	at := r.next * r.chunk
	b := r.buffer[:min(r.chunk, r.Bytes-at)]
	if n, err := r.Slot.ReadAt(b, int64(at)); n < len(b) {
		return fmt.Errorf("%w: chunk %d: %w", ErrSlot, r.next, err)
	}
	if got := wire.Checksum(b); got != r.sums[r.next] {
		return fmt.Errorf("%w: chunk %d came back with CRC-32C %08x, it arrived with %08x", ErrSlot, r.next, got, r.sums[r.next])
	}
	r.next++
	r.left = b
	return nil
}
