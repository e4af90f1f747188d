package data

import (
	"bytes"
	"math"
	"slices"
	"testing"
)

// text returns a corpus that trains on n bytes, no two windows of which are alike.
func text(n int) *Corpus {
	c := &Corpus{train: make([]byte, n)}
	for i := range c.train {
		c.train[i] = byte(mix(uint64(i)))
	}
	return c
}

func TestAnEpochTakesEveryWindowOnce(t *testing.T) {
	for _, c := range []struct {
		name         string
		bytes, width int
	}{
		{"one window", 10, 10},
		{"one window and a rest", 19, 10},
		{"windows of one token", 50, 1},
		{"no rest", 1000, 10},
		{"a rest", 1009, 10},
		{"a power of two", 1024, 16},
		{"one more than a power of two", 1040, 16},
	} {
		t.Run(c.name, func(t *testing.T) {
			corpus := text(c.bytes)
			n := corpus.Epoch(c.width)
			for epoch := range uint64(3) {
				seen := make([]int, c.bytes) // times each byte was read
				for i := range n {
					p := corpus.start(7, epoch*n+i, c.width)
					for j := range c.width {
						seen[(p+j)%c.bytes]++
					}
				}
				total := 0
				for at, times := range seen {
					if times > 1 {
						t.Fatalf("epoch %d reads byte %d %d times", epoch, at, times)
					}
					total += times
				}
				if want := int(n) * c.width; total != want {
					t.Fatalf("epoch %d reads %d bytes, want %d", epoch, total, want)
				}
			}
		})
	}
}

func TestSampleIsTheTextFromItsStart(t *testing.T) {
	corpus := text(100)
	ring := append(slices.Clone(corpus.train), corpus.train...)
	window := make([]int32, 30)
	wrapped := 0
	for i := range uint64(200) {
		corpus.Sample(window, 5, i)
		p := corpus.start(5, i, len(window))
		if p+len(window) > 100 {
			wrapped++
		}
		for j, got := range window {
			if want := int32(ring[p+j]); got != want {
				t.Fatalf("sample %d, token %d: %d, want %d", i, j, got, want)
			}
		}
	}
	if wrapped == 0 {
		t.Error("no sample went over the seam")
	}
}

func TestSampleDependsOnSeedAndIndexOnly(t *testing.T) {
	corpus := text(100_000)
	first, again, other := make([]int32, 64), make([]int32, 64), make([]int32, 64)
	corpus.Sample(first, 1, 11)
	for _, c := range []struct {
		name        string
		seed, index uint64
		same        bool
	}{
		{"another index", 1, 12, false},
		{"another seed", 2, 11, false},
		{"the next epoch", 1, 11 + corpus.Epoch(64), false},
		{"the same again", 1, 11, true},
	} {
		corpus.Sample(other, c.seed, c.index)
		if got := slices.Equal(first, other); got != c.same {
			t.Errorf("%s: same tokens %t, want %t", c.name, got, c.same)
		}
	}
	text(100_000).Sample(again, 1, 11)
	if !slices.Equal(first, again) {
		t.Error("the same text opened twice gives different samples")
	}
}

// The machines of a job agree on the samples without a word, so the starts are
// pinned, to values of an independent implementation of the doc of Sample,
// permute and mix in another language: other values need another wire version.
func TestSampleStarts(t *testing.T) {
	corpus := &Corpus{train: bytes.Repeat([]byte{'x'}, 3_591_618)}
	for _, c := range []struct {
		seed, index uint64
		width       int
		want        int
	}{
		{1, 0, 129, 1_829_669},
		{1, 1, 129, 2_573_870},
		{2, 0, 129, 2_808_055},
		{1, 27_841, 129, 1_941_125}, // the last of the first epoch
		{1, 27_842, 129, 660_121},
		{1, 1 << 40, 257, 664_584},
		{math.MaxUint64, math.MaxUint64, 129, 173_536},
	} {
		if got := corpus.start(c.seed, c.index, c.width); got != c.want {
			t.Errorf("start(seed %d, index %d, width %d) = %d, want %d", c.seed, c.index, c.width, got, c.want)
		}
	}
}

func TestPermuteIsAPermutation(t *testing.T) {
	for n := range uint64(300) {
		seen := make([]bool, n)
		for i := range n {
			x := permute(i, n, n*31)
			if x >= n || seen[x] {
				t.Fatalf("n %d: %d goes to %d, which is out of range or taken", n, i, x)
			}
			seen[x] = true
		}
	}
}

// Over many keys, an index must land everywhere equally often, and neighbours
// must not stay neighbours.
func TestPermuteScatters(t *testing.T) {
	const keys = 40_000
	for _, n := range []uint64{3, 10, 64, 100} {
		place := make([]float64, n)
		neighbours := 0.0
		for key := range uint64(keys) {
			a, b := permute(0, n, mix(key)), permute(1, n, mix(key))
			place[a]++
			if (a+1)%n == b {
				neighbours++
			}
		}
		want := keys / float64(n)
		limit := 5 * math.Sqrt(want)
		for x, got := range place {
			if math.Abs(got-want) > limit {
				t.Errorf("n %d: index 0 goes to %d for %g keys, want %.0f within %.0f", n, x, got, want, limit)
			}
		}
		want = keys / float64(n-1)
		if limit := 5 * math.Sqrt(want); math.Abs(neighbours-want) > limit {
			t.Errorf("n %d: 1 follows 0 for %g keys, want %.0f within %.0f", n, neighbours, want, limit)
		}
	}
}

func TestSampleAllocatesNothing(t *testing.T) {
	corpus := text(10_000)
	window := make([]int32, 129)
	index := uint64(0)
	if n := testing.AllocsPerRun(100, func() { corpus.Sample(window, 1, index); index++ }); n != 0 {
		t.Errorf("Sample allocates %v times, want 0", n)
	}
}
