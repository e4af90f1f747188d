package node

import (
	"slices"
	"testing"
)

func TestCopies(t *testing.T) {
	n := 2*copyBlock + 7 // three blocks, the last one short
	vector := func(first float32) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = first + float32(i%1000)
		}
		return v
	}
	a, b := vector(1), vector(2)
	var c copies
	first := c.take([][]float32{a, b, a, nil})
	for i, want := range [][]float32{a, b, a, nil} {
		if !slices.Equal(first[i], want) {
			t.Errorf("copy %d differs from its original", i)
		}
	}
	if &first[0][0] == &a[0] || &first[0][0] == &first[1][0] || &first[2][0] != &first[0][0] {
		t.Error("copies share memory exactly where their originals do: not so")
	}
	a[0], b[n-1] = -1, -2
	if first[0][0] == -1 || first[1][n-1] == -2 {
		t.Error("a copy follows its original")
	}
	x, y := &first[0][0], &first[1][0]
	second := c.take([][]float32{b, a})
	if &second[0][0] != x || &second[1][0] != y || second[0][n-1] != -2 || second[1][0] != -1 {
		t.Error("the second copy does not take the memory of the first")
	}
	c.take([][]float32{a})
	if len(c.vectors) != 1 {
		t.Errorf("keeps %d vectors where a copy needs 1", len(c.vectors))
	}
	if third := c.take([][]float32{a[:5], b}); len(third[0]) != 5 || len(third[1]) != n || &third[1][0] == &third[0][0] {
		t.Error("other lengths")
	}
	if allocs := testing.AllocsPerRun(10, func() { c.take([][]float32{a[:5], b}) }); allocs > 20 {
		t.Errorf("%v allocations a copy", allocs)
	}
}
