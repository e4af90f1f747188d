package node

import (
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// copyBlock is what a goroutine copies at a time, in elements: 4 MiB, beyond the length from which
	// memmove writes past the caches, so that a copy reads and writes memory once.
	copyBlock = 1 << 20
	// copyThreads bounds the goroutines of a copy: few cores fill the memory's channels.
	copyThreads = 4
)

// copies is the memory of a state's copy, kept for the next one. Memory that has been written before takes
// a copy several times as fast as memory whose pages the kernel has yet to make.
type copies struct {
	vectors [][]float32 // no two share memory
}

// take copies the vectors src and returns the copies, which hold until the next take. Vectors that are one
// in src are one in the copy. It keeps no more memory than this copy needs.
func (c *copies) take(src [][]float32) [][]float32 {
	var kept [][]float32
	var blocks []block
	out := make([][]float32, len(src))
	made := map[*float32]int{} // by where the original begins, an index in out
	for i, v := range src {
		if len(v) == 0 {
			continue
		}
		if first, ok := made[&v[0]]; ok && len(out[first]) == len(v) {
			out[i] = out[first]
			continue
		}
		made[&v[0]] = i
		out[i] = c.memory(len(v))
		kept = append(kept, out[i])
		blocks = append(blocks, blocksOf(out[i], v)...)
	}
	copyBlocks(blocks)
	c.vectors = kept
	return out
}

// memory is n elements of what was kept, or new ones.
func (c *copies) memory(n int) []float32 {
	if len(c.vectors) == 0 || len(c.vectors[0]) != n {
		return make([]float32, n)
	}
	v := c.vectors[0]
	c.vectors = c.vectors[1:]
	return v
}

// block is a part of a copy.
type block struct{ dst, src []float32 }

// blocksOf cuts the copy of src to dst into blocks.
func blocksOf(dst, src []float32) (blocks []block) {
	for at := 0; at < len(src); at += copyBlock {
		end := min(at+copyBlock, len(src))
		blocks = append(blocks, block{dst[at:end], src[at:end]})
	}
	return blocks
}

// copyBlocks copies on as many goroutines as help, and returns when all is done.
func copyBlocks(blocks []block) {
	var next atomic.Int64
	work := func() {
		for i := int(next.Add(1)) - 1; i < len(blocks); i = int(next.Add(1)) - 1 {
			copy(blocks[i].dst, blocks[i].src)
			// A loop of memmoves is never at a point where the runtime can stop it: a collection that begins
			// meanwhile, and with it the whole process, would wait until all is copied.
			runtime.Gosched()
		}
	}
	var others sync.WaitGroup
	for range min(copyThreads, runtime.GOMAXPROCS(0), len(blocks)) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}

// touched is memory of n elements that the kernel has made pages for: to have that done when the memory is
// first written to costs more than the copy.
func touched(n int) []float32 {
	const page = 1024 // elements of the smallest
	v := make([]float32, n)
	for i := 0; i < n; i += page {
		v[i] = 0
	}
	return v
}
