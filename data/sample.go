package data

import (
	"fmt"
	"math/bits"
)

// Sample fills dst with the training window of the given index, len(dst) tokens
// that follow each other in the text.
//
// Indices run through epochs of Epoch(len(dst)) windows. The windows of an epoch
// do not overlap and each comes once, in an order and from an offset that depend
// on the seed and the epoch only. The text is read as a ring, so the seam at its
// end is treated like the one between two of its novels.
//
// Panics if the text has no window of that length: Check it first.
func (c *Corpus) Sample(dst []int32, seed, index uint64) {
	p := c.start(seed, index, len(dst))
	for j := range dst {
		dst[j] = int32(c.train[p])
		if p++; p == len(c.train) {
			p = 0
		}
	}
}

// Epoch is the number of training windows of window tokens that do not overlap.
func (c *Corpus) Epoch(window int) uint64 { return uint64(len(c.train) / window) }

// start is the position in the training text at which the window begins.
func (c *Corpus) start(seed, index uint64, window int) int {
	n := c.Epoch(window)
	if n == 0 {
		panic(fmt.Sprintf("data: a window of %d tokens from a text of %d", window, len(c.train)))
	}
	epoch := index / n
	key := mix(seed ^ mix(epoch+1))
	length := uint64(len(c.train))
	offset := mix(key) % length
	return int((offset + permute(index%n, n, key)*uint64(window)) % length)
}

// permute maps i to its place in a permutation of [0,n) chosen by key: a Feistel
// network on the smallest even number of bits that hold n, walked until it comes
// back into the range, at most a few turns.
func permute(i, n, key uint64) uint64 {
	const rounds = 6
	half := (bits.Len64(n-1) + 1) / 2
	mask := uint64(1)<<half - 1
	for {
		left, right := i>>half, i&mask
		for r := range uint64(rounds) {
			left, right = right, left^mix(key+r<<32^right)&mask
		}
		if i = left<<half | right; i < n {
			return i
		}
	}
}

// mix scatters x over all 64 bits, one to one (the finaliser of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
