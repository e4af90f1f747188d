package tensor

import (
	"math"
	"testing"
)

// long is more than two pieces, so that all that cuts a slice into pieces is met.
const long = 2*piece + 5

func TestLongSlicesAreDoneToTheEnd(t *testing.T) {
	tests := []struct {
		name   string
		slices int
		whole  func(s [][]float32)
		kernel func(k *kernels, s [][]float32)
	}{
		{"axpy", 2, func(s [][]float32) { Axpy(s[0], 2, s[1]) }, func(k *kernels, s [][]float32) { k.axpy(s[0], 2, s[1]) }},
		{"add", 2, func(s [][]float32) { Add(s[0], s[1]) }, func(k *kernels, s [][]float32) { k.axpy(s[0], 1, s[1]) }},
		{"lerp", 2, func(s [][]float32) { Lerp(s[0], s[1], 0.25) }, func(k *kernels, s [][]float32) { k.lerp(s[0], s[1], 0.75, 0.25) }},
		{"sub", 3, func(s [][]float32) { Sub(s[0], s[1], s[2]) }, func(k *kernels, s [][]float32) { k.sub(s[0], s[1], s[2]) }},
		{"sub in place", 2, func(s [][]float32) { Sub(s[0], s[0], s[1]) }, func(k *kernels, s [][]float32) { k.sub(s[0], s[0], s[1]) }},
		{"sub from", 2, func(s [][]float32) { Sub(s[0], s[1], s[0]) }, func(k *kernels, s [][]float32) { k.sub(s[0], s[1], s[0]) }},
		{"mul", 2, func(s [][]float32) { Mul(s[0], s[1]) }, func(k *kernels, s [][]float32) { k.mul(s[0], s[1]) }},
		{"scale", 1, func(s [][]float32) { Scale(s[0], 3) }, func(k *kernels, s [][]float32) { k.scale(s[0], 3) }},
		{"triad", 3, func(s [][]float32) { Triad(s[0], s[1], s[2], 3) }, func(k *kernels, s [][]float32) { k.triad(s[0], s[1], s[2], 3) }},
		{"gelu", 3, func(s [][]float32) { GELU(s[0], s[1], s[2]) }, func(k *kernels, s [][]float32) { k.gelu(s[0], s[1], s[2]) }},
		{"gelu in place", 2, func(s [][]float32) { GELU(s[0], s[1], s[0]) }, func(k *kernels, s [][]float32) { k.gelu(s[0], s[1], s[0]) }},
		{"adamw", 4, func(s [][]float32) { AdamW(s[0], s[1], s[2], s[3], &adamStep) },
			func(k *kernels, s [][]float32) { k.adamW(s[0], s[1], s[2], s[3], &adamStep) }},
		{"arrive", 4, func(s [][]float32) { NesterovArrive(s[0], s[1], s[2], s[3], &NesterovStep{OfDelta: 0.5}) },
			func(k *kernels, s [][]float32) { k.arrive(s[0], s[2], s[3], 0.5) }},
		{"glide", 4, func(s [][]float32) { NesterovArrive(s[0], s[1], s[2], s[3], &nesterovStep) },
			func(k *kernels, s [][]float32) {
				k.glide(s[0], s[1], s[2], s[3], nesterovStep.OfMomentum, nesterovStep.OfDelta)
			}},
		{"renew", 4, func(s [][]float32) { NesterovRenew(s[0], s[1], s[2], s[3], &nesterovStep) },
			func(k *kernels, s [][]float32) { k.renew(s[0], s[1], s[2], s[3], &nesterovStep) }},
	}
	eachSet(t, func(t *testing.T) {
		for _, test := range tests {
			got, want := make([][]float32, test.slices), make([][]float32, test.slices)
			for i := range got {
				got[i], want[i] = random(long, uint64(i)), random(long, uint64(i))
			}
			test.whole(got)
			test.kernel(active, want)
			for i := range got {
				sameBits(t, test.name, got[i], want[i])
			}
			if n := testing.AllocsPerRun(3, func() { test.whole(got) }); n != 0 {
				t.Errorf("%s: %v allocations per call", test.name, n)
			}
		}
	})
}

func TestVectorsRefuseLengthsThatDisagree(t *testing.T) {
	x, y := make([]float32, 3), make([]float32, 4)
	for name, f := range map[string]func(){
		"axpy":     func() { Axpy(y, 1, x) },
		"add":      func() { Add(x, y) },
		"sub":      func() { Sub(x, x, y) },
		"lerp":     func() { Lerp(y, x, 1) },
		"mul":      func() { Mul(y, x) },
		"triad":    func() { Triad(y, y, x, 1) },
		"gelu":     func() { GELU(y, y, x) },
		"slope":    func() { GELU(y, x, y) },
		"adamw":    func() { AdamW(y, y, x, y, &adamStep) },
		"squares":  func() { AdamW(y, y, y, x, &adamStep) },
		"nesterov": func() { NesterovRenew(y, y, y, x, &nesterovStep) },
		"arrive":   func() { NesterovArrive(y, x, y, y, &nesterovStep) },
	} {
		t.Run(name, func(t *testing.T) { panics(t, f) })
	}
}

func TestLerpEndsExactly(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		y, x := random(99, 1), random(99, 2)
		start := clone(y)
		Lerp(y, x, 0)
		sameBits(t, "weight 0", y, start)
		Lerp(y, x, 1)
		sameBits(t, "weight 1", y, x)
	})
}

func TestNorm(t *testing.T) {
	inf := float32(math.Inf(1))
	tests := []struct {
		name string
		x    []float32
		want float64
	}{
		{"empty", nil, 0},
		{"3-4-5", []float32{3, 4}, 5},
		{"odd length", []float32{1, -1, 1, -1, 2, 2, -2}, 4},
		{"no overflow", []float32{3e38, 2e38}, math.Hypot(3e38, 2e38)},
		{"no underflow", []float32{3e-40, 4e-40, 0, 0, 0}, 5e-40},
		{"infinity", []float32{1, 2, 3, 4, -inf}, math.Inf(1)},
		{"long", make([]float32, long), 0},
	}
	for _, test := range tests {
		got := Norm(test.x)
		if got != test.want && !(math.Abs(got-test.want) <= 1e-6*test.want+least) {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
	x := make([]float32, long)
	for _, at := range []int{0, piece, 2 * piece, long - 1} {
		x[at] = 2
	}
	if got := Norm(x); got != 4 {
		t.Errorf("norm %v of four twos far apart, want 4", got)
	}
}

func TestSumRowsAddsEveryRow(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		sum, x := random(37, 1), random(5*37, 2)
		want := clone(sum)
		SumRows(sum, x)
		for i := range want {
			for r := range 5 {
				want[i] += x[r*37+i]
			}
		}
		sameBits(t, "sum", sum, want)
	})
}
