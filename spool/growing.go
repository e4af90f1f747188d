package spool

import (
	"sync/atomic"

	"halos/wire"
)

// Growing is a frame that one goroutine writes from its start to its end while
// others read what is there.
type Growing struct {
	*Frame
	spare []byte // for what goes to disk
	sums  []uint32
	part  int // bytes in the last of sums, of a chunk
	len   atomic.Int64
	sum   [32]byte // valid once len is the frame's size
}

// Grow returns f, nothing of which is written, to be appended to.
func Grow(f *Frame) *Growing { return &Growing{Frame: f} }

// Reserve returns memory for the next n bytes, which must fit. Fill it and call Append
// with it: that copies nothing.
func (g *Growing) Reserve(n int) []byte {
	if g.mem != nil {
		at := int(g.len.Load())
		return g.mem[at : at+n : at+n]
	}
	if cap(g.spare) < n {
		g.spare = make([]byte, n)
	}
	return g.spare[:n]
}

// Append writes b behind what is there.
func (g *Growing) Append(b []byte) error {
	at := g.len.Load()
	inPlace := g.mem != nil && len(b) > 0 && int(at) < len(g.mem) && &b[0] == &g.mem[at]
	if !inPlace || at+int64(len(b)) > int64(g.size) {
		if _, err := g.WriteAt(b, at); err != nil {
			return err
		}
	}
	g.check(b)
	if at+int64(len(b)) == int64(g.size) {
		g.sum = wire.FrameSum(g.sums)
	}
	g.len.Add(int64(len(b)))
	return nil
}

// check takes the checksums of chunks.
func (g *Growing) check(b []byte) {
	for len(b) > 0 {
		if g.part == 0 || g.part == wire.ChunkBytes {
			g.sums, g.part = append(g.sums, 0), 0
		}
		n := min(len(b), wire.ChunkBytes-g.part)
		last := &g.sums[len(g.sums)-1]
		*last = wire.AddChecksum(*last, b[:n])
		g.part += n
		b = b[n:]
	}
}

// Len is how many bytes can be read, from the start.
func (g *Growing) Len() int { return int(g.len.Load()) }

// Sum is what a Seal says of the whole frame, once all of it is there.
func (g *Growing) Sum() (sum [32]byte, ok bool) {
	if g.Len() < g.size {
		return sum, false
	}
	return g.sum, true
}
