package tensor

import (
	"fmt"
	"math"
	"testing"
)

type shape struct{ m, n, k int }

// shapes have every height of a tile, every width of its edge, depths around the one
// that is summed at once, and products of more than one packed block.
func shapes() []shape {
	s := []shape{{0, 3, 2}, {5, 0, 2}, {131, 29, 300}, {9, 1030, 7}, {70, 515, 131}, {129, 257, 40}}
	for m := 1; m <= 40; m++ {
		s = append(s, shape{m, 33, 17}, shape{m, 70, 5}, shape{m, 8, 258})
	}
	for n := 1; n < 80; n += 2 {
		s = append(s, shape{15, n, 9}, shape{3, n, 31})
	}
	for _, k := range []int{0, 1, 2, 3, 15, 16, 255, 256, 257, 258, 512, 513, 800} {
		s = append(s, shape{17, 35, k}, shape{1, 35, k}, shape{4, 64, k})
	}
	return s
}

// naiveGemm returns a*b with the magnitudes that it is made of, [m*n].
func naiveGemm(a, b Matrix) []value {
	c := make([]value, a.Rows*b.Cols)
	for i := range a.Rows {
		for l := range a.Cols {
			x := a.at(i, l)
			for j := range b.Cols {
				term := x * b.at(l, j)
				c[i*b.Cols+j].want += term
				c[i*b.Cols+j].size += math.Abs(term)
			}
		}
	}
	return c
}

// transposed returns the same matrix, stored as its transpose if trans is set.
func transposed(a Matrix, trans bool) Matrix {
	if !trans {
		return a
	}
	out := form(a.Cols, a.Rows, false, 9)
	for i := range a.Rows {
		for j := range a.Cols {
			out.Data[j*out.Stride+i] = float32(a.at(i, j))
		}
	}
	return out.T()
}

func TestGemmAgreesWithNaive(t *testing.T) {
	variants := []struct {
		name string
		run  func(c, a, b Matrix, bias []float32)
		add  func(before, bias float32) float32 // what the product is added to
	}{
		{"gemm", func(c, a, b Matrix, _ []float32) { single.Gemm(c, a, b) }, func(_, _ float32) float32 { return 0 }},
		{"add", func(c, a, b Matrix, _ []float32) { single.GemmAdd(c, a, b) }, func(x, _ float32) float32 { return x }},
		{"bias", func(c, a, b Matrix, bias []float32) { single.GemmBias(c, a, b, bias) }, func(_, x float32) float32 { return x }},
	}
	for _, s := range shapes() {
		a, b, bias := form(s.m, s.k, false, 1), form(s.k, s.n, false, 2), random(s.n, 4)
		want := naiveGemm(a, b)
		eachSet(t, func(t *testing.T) {
			for trans := range 4 {
				at, bt := transposed(a, trans&1 != 0), transposed(b, trans&2 != 0)
				for _, v := range variants {
					c := form(s.m, s.n, false, 3)
					before := clone(c.Data)
					v.run(c, at, bt, bias)
					sameOutside(t, c, before)
					for i, product := range want {
						row, col := i/s.n, i%s.n
						add := float64(v.add(before[row*c.Stride+col], bias[col]))
						if got := c.at(row, col); !(math.Abs(got-product.want-add) <= 1e-6*(product.size+math.Abs(add))) {
							t.Fatalf("%s %dx%dx%d transposed %02b at (%d,%d) = %v, want %v", v.name, s.m, s.n, s.k, trans, row, col, got, product.want+add)
						}
					}
				}
			}
		})
	}
}

func TestGemmLetsWhatIsNotFiniteThrough(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	eachSet(t, func(t *testing.T) {
		for _, rows := range []int{1, 3, 4, 40} {
			for trans := range 4 {
				name := fmt.Sprintf("%d rows transposed %02b", rows, trans)
				a := transposed(Dense(make([]float32, rows*20), rows, 20), trans&1 != 0)
				b := transposed(Dense(make([]float32, 20*37), 20, 37), trans&2 != 0)
				a.Data[0] = 1 // a(0,0); all others of a are 0
				b.Data[b.Stride*3+3] = nan
				c := Dense(random(rows*37, 1), rows, 37)
				c.Data[5] = nan
				single.Gemm(c, a, b)
				for i := range rows {
					for j := range 37 {
						if got := c.at(i, j); math.IsNaN(got) != (j == 3) {
							t.Fatalf("%s: (%d,%d) = %v", name, i, j, got)
						}
					}
				}
				b.Data[b.Stride*3+3], b.Data[0] = 0, inf // b(0,0)
				if single.Gemm(c, a, b); !math.IsInf(c.at(0, 0), 1) || rows > 1 && !math.IsNaN(c.at(1, 0)) || c.at(0, 1) != 0 {
					t.Fatalf("%s: infinity gave %v", name, c.Data[:3])
				}
				if single.GemmAdd(c, a, b); !math.IsInf(c.at(0, 0), 1) {
					t.Fatalf("%s: infinity added gave %v", name, c.at(0, 0))
				}
			}
		}
	})
}

// Four ways to share the work out: each must leave the bits as they are.
func TestGemmBitsDependOnTheOperandsAlone(t *testing.T) {
	pools := []*Pool{NewPool(1), NewPool(2), NewPool(3), NewPool(7)}
	for _, p := range pools {
		defer p.Close()
	}
	eachSet(t, func(t *testing.T) {
		for _, s := range []shape{{300, 70, 300}, {67, 900, 33}, {1030, 32, 9}, {5, 2000, 257}, {3, 900, 100}, {1, 2000, 128}, {200, 257, 512}} {
			for trans := range 4 {
				name := fmt.Sprintf("%dx%dx%d transposed %02b", s.m, s.n, s.k, trans)
				a, b, bias := form(s.m, s.k, trans&1 != 0, 1), form(s.k, s.n, trans&2 != 0, 2), random(s.n, 5)
				want, got, sum := form(s.m, s.n, false, 3), form(s.m, s.n, false, 3), form(s.m, s.n, false, 3)
				single.GemmBias(want, a, b, bias)
				single.GemmAdd(sum, a, b)
				for _, p := range pools {
					p.GemmBias(got, a, b, bias)
					sameBits(t, fmt.Sprintf("%s, %d threads", name, p.Threads()), got.Data, want.Data)
					got := form(s.m, s.n, false, 3)
					p.GemmAdd(got, a, b)
					sameBits(t, fmt.Sprintf("%s added, %d threads", name, p.Threads()), got.Data, sum.Data)
				}
				got = form(s.m, s.n, false, 3)
				blocks(s.m, func(row, rows int) {
					blocks(s.n, func(col, cols int) {
						single.GemmBias(got.Block(row, col, rows, cols), a.Block(row, 0, rows, s.k), b.Block(0, col, s.k, cols), bias[col:][:cols])
					})
				})
				sameBits(t, name+", block by block", got.Data, want.Data)
			}
		}
	})
}

// blocks cuts n into blocks of at least fewRows.
func blocks(n int, f func(from, size int)) {
	for from, size := 0, fewRows; from < n; from, size = from+size, size*3/2+1 {
		if n-from-size < fewRows {
			size = n - from
		}
		f(from, size)
	}
}

func TestGemmAllocatesNothing(t *testing.T) {
	for range 3 {
		new(scratch).giveBack()
	}
	two := NewPool(2)
	defer two.Close()
	eachSet(t, func(t *testing.T) {
		for _, p := range []*Pool{nil, two} {
			for _, m := range []int{1, 300} {
				a, b, c, bias := Dense(random(m*200, 1), m, 200), Dense(random(700*200, 2), 700, 200).T(), Dense(make([]float32, m*700), m, 700), random(700, 3)
				if n := testing.AllocsPerRun(5, func() { p.GemmBias(c, a, b, bias); p.GemmAdd(c, a, b) }); n != 0 {
					t.Errorf("%d rows, %d threads: %v allocations per call", m, p.Threads(), n)
				}
			}
		}
	})
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
			panics(t, func() { single.Gemm(test.c, test.a, test.b) })
		})
	}
	panics(t, func() { single.GemmBias(Dense(x[:9], 3, 3), Dense(x, 3, 4), Dense(x, 4, 3), x[:4]) })
	panics(t, func() { Dense(x, 3, 3) })
	panics(t, func() { Dense(x, 3, 4).Block(1, 0, 3, 4) })
}
