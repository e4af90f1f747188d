package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// random returns n normal values, the same at every run.
func random(n int, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 0))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

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

// near fails unless got is within tolerance of want.
func near(t *testing.T, name string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Fatalf("%s = %.9g, want %.9g (tolerance %.2g)", name, got, want, tolerance)
	}
}

func TestGemmAgreesWithNaive(t *testing.T) {
	sizes := []struct{ m, n, k int }{
		{1, 1, 1}, {1, 7, 5}, {3, 1, 9}, {2, 3, 0}, {0, 3, 2}, {5, 0, 2},
		{15, 130, 33}, {16, 31, 17}, {17, 257, 3}, {33, 66, 129}, {131, 29, 130}, {9, 1030, 7}, {150, 515, 131},
	}
	scales := []struct{ alpha, beta float32 }{{1, 0}, {1, 1}, {-0.5, 0.25}, {0, 2}}
	for _, s := range sizes {
		for trans := range 4 {
			for _, x := range scales {
				a, b := form(s.m, s.k, trans&1 != 0, 1), form(s.k, s.n, trans&2 != 0, 2)
				c := form(s.m, s.n, false, 3)
				before := append([]float32(nil), c.Data...)
				Gemm(x.alpha, a, b, x.beta, c)
				name := fmt.Sprintf("%dx%dx%d transposed %02b alpha %v beta %v", s.m, s.n, s.k, trans, x.alpha, x.beta)
				checkGemm(t, name, x.alpha, a, b, x.beta, c, before)
			}
		}
	}
}

func checkGemm(t *testing.T, name string, alpha float32, a, b Matrix, beta float32, c Matrix, before []float32) {
	t.Helper()
	for i := range c.Data {
		row, col := i/c.Stride, i%c.Stride
		if row >= c.Rows || col >= c.Cols {
			if c.Data[i] != before[i] {
				t.Fatalf("%s wrote outside c at (%d,%d)", name, row, col)
			}
			continue
		}
		var sum, size float64
		for l := range a.Cols {
			sum += a.at(row, l) * b.at(l, col)
			size += math.Abs(a.at(row, l) * b.at(l, col))
		}
		want := float64(alpha)*sum + float64(beta)*float64(before[i])
		near(t, fmt.Sprintf("%s at (%d,%d)", name, row, col), float64(c.Data[i]), want, 1e-6*(size+1))
	}
}

func TestGemmLetsNaNThrough(t *testing.T) {
	nan := float32(math.NaN())
	for _, rows := range []int{1, 40} {
		for trans := range 4 {
			a, b := Dense(make([]float32, rows*20), rows, 20), Dense(make([]float32, 20*20), 20, 20)
			if trans&1 != 0 {
				a = Dense(a.Data, 20, rows).T()
			}
			if trans&2 != 0 {
				b = b.T()
			}
			b.Data[20*3+3] = nan // meets only zeros of a
			c := Dense(make([]float32, rows*20), rows, 20)
			Gemm(1, a, b, 0, c)
			if !math.IsNaN(c.at(rows-1, 3)) {
				t.Errorf("%d rows, transposed %02b: 0*NaN gave %v", rows, trans, c.at(rows-1, 3))
			}
			c.Data[0] = nan
			Gemm(1, a, a.T(), 0, Dense(make([]float32, rows*rows), rows, rows))
			if Gemm(0, a, b, 0, c); math.IsNaN(c.at(0, 0)) {
				t.Errorf("%d rows, transposed %02b: beta 0 kept what c held", rows, trans)
			}
		}
	}
}

func TestGemmBitsDoNotDependOnOtherRows(t *testing.T) {
	const m, n, k = 100, 70, 300
	a, b := Dense(random(m*k, 1), m, k), Dense(random(n*k, 2), n, k).T()
	all, part := Dense(make([]float32, m*n), m, n), Dense(make([]float32, outerRows*n), outerRows, n)
	Gemm(1, a, b, 0, all)
	Gemm(1, a.Block(31, 0, outerRows, k), b, 0, part)
	for i, v := range part.Data {
		if v != all.Data[31*n+i] {
			t.Fatalf("element %d is %v alone and %v among %d rows", i, v, all.Data[31*n+i], m)
		}
	}
}

func TestGemmAllocatesNothing(t *testing.T) {
	for _, m := range []int{1, 300} {
		a, b, c := Dense(random(m*200, 1), m, 200), Dense(random(700*200, 2), 700, 200).T(), Dense(make([]float32, m*700), m, 700)
		if n := testing.AllocsPerRun(5, func() { Gemm(1, a, b, 0, c) }); n != 0 {
			t.Errorf("%d rows: %v allocations per call", m, n)
		}
	}
}

func TestGemmRefusesShapesThatDisagree(t *testing.T) {
	x := make([]float32, 12)
	tests := []struct {
		name    string
		a, b, c Matrix
	}{
		{"inner", Dense(x, 3, 4), Dense(x, 3, 4), Dense(x[:9], 3, 3)},
		{"rows", Dense(x, 3, 4), Dense(x, 4, 3), Dense(x, 4, 3)},
		{"columns", Dense(x, 3, 4), Dense(x, 4, 3), Dense(x, 3, 4)},
		{"transposed result", Dense(x, 3, 4), Dense(x, 4, 3), Dense(x[:9], 3, 3).T()},
		{"short data", Matrix{Data: x[:11], Rows: 3, Cols: 4, Stride: 4}, Dense(x, 4, 3), Dense(x[:9], 3, 3)},
		{"narrow stride", Matrix{Data: x, Rows: 3, Cols: 4, Stride: 3}, Dense(x, 4, 3), Dense(x[:9], 3, 3)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			panics(t, func() { Gemm(1, test.a, test.b, 0, test.c) })
		})
	}
	panics(t, func() { Dense(x, 3, 3) })
	panics(t, func() { Dense(x, 3, 4).Block(1, 0, 3, 4) })
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

func TestTransposeAgreesWithNaive(t *testing.T) {
	for _, s := range [][2]int{{1, 1}, {7, 3}, {8, 5}, {17, 1}, {25, 33}, {0, 4}} {
		for _, trans := range []bool{false, true} {
			src := form(s[0], s[1], trans, 1)
			stride := src.Rows + 1
			dst := make([]float32, src.Cols*stride)
			Transpose(dst, stride, src)
			for i := range src.Rows {
				for j := range src.Cols {
					if got := float64(dst[j*stride+i]); got != src.at(i, j) {
						t.Fatalf("%v transposed %v: (%d,%d) = %v, want %v", s, trans, j, i, got, src.at(i, j))
					}
				}
			}
		}
	}
}

func BenchmarkGemm(b *testing.B) {
	shapes := []struct {
		name    string
		m, n, k int
	}{
		{"qkv", 512, 384, 128}, {"up", 512, 512, 128}, {"down", 512, 128, 512},
		{"score", 32, 64, 32}, {"mix", 96, 32, 32}, {"small up", 1024, 1536, 384}, {"row", 1, 512, 128},
	}
	for _, s := range shapes {
		for trans := range 3 {
			b.Run(fmt.Sprintf("%s/%02b", s.name, trans), func(b *testing.B) {
				x, y := form(s.m, s.k, trans&1 != 0, 1), form(s.k, s.n, trans&2 != 0, 2)
				z := Dense(make([]float32, s.m*s.n), s.m, s.n)
				for b.Loop() {
					Gemm(1, x, y, 0, z)
				}
				flops := 2 * float64(s.m) * float64(s.n) * float64(s.k) * float64(b.N)
				b.ReportMetric(flops/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
