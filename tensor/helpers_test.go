package tensor

import (
	"math"
	"math/rand/v2"
	"testing"
)

// roundoff is the relative error of one rounding to float32, least its absolute one
// among denormals.
const (
	roundoff = 1.0 / (1 << 24)
	least    = math.SmallestNonzeroFloat32
)

// eachSet runs f with every set of kernels that this machine can run.
func eachSet(t *testing.T, f func(t *testing.T)) {
	for _, s := range available() {
		t.Run(s.name, func(t *testing.T) {
			use(t, s)
			f(t)
		})
	}
}

// use makes s the active set until the test ends.
func use(t testing.TB, s *kernels) {
	before := active
	active = s
	t.Cleanup(func() { active = before })
}

// lengths are those of all tails, and some with many whole rounds of a loop.
func lengths() []int {
	n := []int{127, 255, 256, 1003, 4097}
	for i := range 71 {
		n = append(n, i)
	}
	return n
}

// specials are what arithmetic treats in a way of its own.
var specials = []float32{
	0, float32(math.Copysign(0, -1)), least, -least, 1e-39, -1e-39, 0x1p-126, 1, -1.5,
	float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
}

// combinations returns slices whose elements beside each other take all
// combinations of specials.
func combinations(slices int) [][]float32 {
	total := 1
	for range slices {
		total *= len(specials)
	}
	out := make([][]float32, slices)
	for step, i := 1, 0; i < slices; i++ {
		out[i] = make([]float32, total)
		for j := range out[i] {
			out[i][j] = specials[j/step%len(specials)]
		}
		step *= len(specials)
	}
	return out
}

// random returns n normal values, the same at every run.
func random(n int, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 0))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// fenced returns n random elements from the given offset of a longer slice, and a
// check that those around them are as they were.
func fenced(t *testing.T, n, offset int, seed uint64) (x []float32, check func()) {
	all := random(n+offset+9, seed)
	before := clone(all)
	return all[offset+4:][:n:n], func() {
		t.Helper()
		for i, v := range all {
			if (i < offset+4 || i >= offset+4+n) && v != before[i] {
				t.Fatalf("element %d of a slice of %d was written", i-offset-4, n)
			}
		}
	}
}

func clone(x []float32) []float32 { return append([]float32(nil), x...) }

// at reads one element the slow way.
func (a Matrix) at(i, j int) float64 {
	if a.Trans {
		i, j = j, i
	}
	return float64(a.Data[i*a.Stride+j])
}

// form returns a random rows x cols matrix with unused elements between its rows.
func form(rows, cols int, trans bool, seed uint64) Matrix {
	if trans {
		return form(cols, rows, false, seed).T()
	}
	m := Dense(random((rows+2)*(cols+3), seed), rows+2, cols+3)
	return m.Block(1, 2, rows, cols)
}

// sameOutside fails if data of c that does not belong to it differs from before.
func sameOutside(t *testing.T, c Matrix, before []float32) {
	t.Helper()
	for i, v := range c.Data {
		if row, col := i/c.Stride, i%c.Stride; (row >= c.Rows || col >= c.Cols) && v != before[i] {
			t.Fatalf("wrote outside the matrix at (%d,%d)", row, col)
		}
	}
}

// near fails unless got is within tolerance of want.
func near(t *testing.T, name string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Fatalf("%s = %.9g, want %.9g (tolerance %.2g)", name, got, want, tolerance)
	}
}

// sameBits fails unless the slices agree to the bit, where one NaN is as good as
// another.
func sameBits(t *testing.T, name string, got, want []float32) {
	t.Helper()
	for i, v := range got {
		if math.Float32bits(v) != math.Float32bits(want[i]) && (v == v || want[i] == want[i]) {
			t.Fatalf("%s: element %d of %d is %v, want %v", name, i, len(got), v, want[i])
		}
	}
}

// class is 0 for what is finite, else the value itself with NaN as 2.
func class(x float32) int {
	switch {
	case x != x:
		return 2
	case math.IsInf(float64(x), 1):
		return 1
	case math.IsInf(float64(x), -1):
		return -1
	}
	return 0
}

func panics(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	f()
}
