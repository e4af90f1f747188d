package bulk

import (
	"crypto/sha256"
	"errors"
	"io"

	"halos/wire"
)

// solid is a frame that is whole from the start.
type solid struct{ b []byte }

func (s solid) ReadAt(b []byte, off int64) (int, error) { return copy(b, s.b[off:]), nil }
func (s solid) Len() int                                { return len(s.b) }
func (s solid) Sum() ([32]byte, bool)                   { return frameSum(s.b), true }
func (s solid) Close() error                            { return nil }

// growing is a frame of which only the start can be read yet.
type growing struct {
	solid
	len    int
	closed int
	fails  bool
}

func (g *growing) ReadAt(b []byte, off int64) (int, error) {
	if g.fails {
		return 0, errFull
	}
	return g.solid.ReadAt(b, off)
}

func (g *growing) Len() int { return g.len }
func (g *growing) Sum() ([32]byte, bool) {
	sum, _ := g.solid.Sum()
	return sum, g.len == len(g.b)
}
func (g *growing) Close() error { g.closed++; return nil }

// cell is a slot in memory, which may refuse writes or return other bytes.
type cell struct {
	b      []byte
	full   bool
	closed bool
}

var errFull = errors.New("no space left on device")

func (c *cell) WriteAt(b []byte, off int64) (int, error) {
	if c.closed {
		return 0, errors.New("written after it was closed")
	}
	if c.full {
		return 0, errFull
	}
	return copy(c.b[off:], b), nil
}

func (c *cell) ReadAt(b []byte, off int64) (int, error) {
	n := copy(b, c.b[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (c *cell) Close() error { c.closed = true; return nil }

func openCell(n int) (Slot, error) { return &cell{b: make([]byte, n)}, nil }

// held are the bytes of a whole frame.
func (a Arrival) held() []byte { return a.Slot.(*cell).b }

// sealOf is the seal of a frame announced with announce.
func sealOf(session, seq uint64, frame []byte) *wire.Seal {
	sum := frameSum(frame)
	return &wire.Seal{Session: session, Seq: seq, Id: frameID(frame), Sha256: sum[:]}
}

// frameSum is what a seal says of a frame in chunks of testChunk.
func frameSum(frame []byte) [32]byte {
	var sums []uint32
	for at := 0; at < len(frame); at += testChunk {
		sums = append(sums, wire.Checksum(frame[at:min(at+testChunk, len(frame))]))
	}
	return wire.FrameSum(sums)
}

// frameID is the same for the same bytes.
func frameID(frame []byte) uint64 {
	sum := sha256.Sum256(frame)
	return uint64(sum[0]) | uint64(sum[1])<<8 | 1<<63
}
