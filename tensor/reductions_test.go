package tensor

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// sumTolerance is for n terms that are added up in at least four parts.
func sumTolerance(n int, size float64) float64 { return (float64(n)/4 + 8) * roundoff * size }

func TestSumSquaresAgreesWithNaive(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, n := range lengths() {
			for offset := range 4 {
				x, check := fenced(t, n, offset, 1)
				var want float64
				for _, v := range x {
					want += float64(v) * float64(v)
				}
				near(t, fmt.Sprintf("sum of %d squares", n), active.sumSquares(x), want, 1e-14*want)
				check()
			}
		}
	})
}

func TestSumSquaresIsFiniteIfAllElementsAre(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, n := range []int{1, 7, 8, 40, 71} {
			for at := range n {
				for _, v := range append(slices.Clip(specials), math.MaxFloat32, -math.MaxFloat32) {
					x := make([]float32, n)
					x[at] = v
					want := float64(v) * float64(v)
					if got := active.sumSquares(x); got != want && !(got != got && want != want) {
						t.Fatalf("%v at %d of %d gives %v", v, at, n, got)
					}
				}
			}
		}
	})
}

func TestMaximumPassesOverNaN(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for n := 1; n < 71; n++ {
			for at := range n {
				for _, v := range append(slices.Clip(specials), -2e30, 1e30) {
					x := slices.Repeat([]float32{-1e30}, n)
					want := v
					if x[at] = v; n > 1 && !(v > -1e30) {
						want = -1e30
					} else if v != v {
						want = float32(math.Inf(-1))
					}
					if got := active.maximum(x); got != want {
						t.Fatalf("%v at %d of %d gives %v, want %v", v, at, n, got, want)
					}
				}
			}
		}
	})
}

func TestExpSumAddsUpWhatItWrites(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, n := range lengths() {
			x, check := fenced(t, n, n%4, 1)
			y := make([]float32, n)
			got := active.expSum(y, x, 1.5, 0.5)
			var want float64
			for _, v := range y {
				want += float64(v)
			}
			near(t, fmt.Sprintf("sum of %d", n), float64(got), want, sumTolerance(n, want))
			if again := active.expSum(x, x, 1.5, 0.5); again != got {
				t.Fatalf("in place gives %v, apart %v", again, got)
			}
			sameBits(t, "in place", x, y)
			check()
		}
	})
}

func TestDotsAgreeWithNaive(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, n := range lengths() {
			for _, rows := range []int{0, 1, 2, 3, 4, 5, 7, 8} {
				y, check := fenced(t, rows, n%4, 1)
				before, stride := clone(y), n+rows%3
				x, w := random(n+1, 2)[1:], random(rows*stride+n, 3)
				active.dots(y, x, w, stride)
				check()
				for j := range y {
					want, size := float64(before[j]), math.Abs(float64(before[j]))
					for i, v := range x {
						term := float64(v) * float64(w[j*stride+i])
						want, size = want+term, size+math.Abs(term)
					}
					near(t, fmt.Sprintf("%d of %d dots of %d", j, rows, n), float64(y[j]), want, sumTolerance(n, size))
					alone := before[j : j+1]
					active.dots(alone, x, w[j*stride:], stride)
					sameBits(t, "a row by itself", alone, y[j:j+1])
				}
			}
		}
	})
}

func TestLayerNormOfOneRowAgreesWithNaive(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, n := range lengths() {
			if n == 0 {
				continue
			}
			for offset := range 4 {
				x, checkX := fenced(t, n, offset, 1)
				y, checkY := fenced(t, n, 3-offset, 2)
				gain, bias := random(n, 3), random(n, 4)
				for i := range x {
					x[i] += 3
				}
				mean, rstd := active.layerNorm(y, x, gain, bias, 1e-5)
				mu, r := moments(x, 1e-5)
				near(t, "mean", float64(mean), mu, sumTolerance(n, 4))
				near(t, "rstd", float64(rstd)/r, 1, sumTolerance(n, 4))
				for i := range y {
					norm := (float64(x[i]) - float64(mean)) * float64(rstd) * float64(gain[i])
					near(t, "y", float64(y[i]), norm+float64(bias[i]), 4*roundoff*(math.Abs(norm)+math.Abs(float64(bias[i]))))
				}
				checkX()
				checkY()
			}
		}
	})
}

// moments returns the mean of a row and 1 over its standard deviation.
func moments(row []float32, eps float64) (mean, rstd float64) {
	for _, v := range row {
		mean += float64(v) / float64(len(row))
	}
	for _, v := range row {
		rstd += (float64(v) - mean) * (float64(v) - mean) / float64(len(row))
	}
	return mean, 1 / math.Sqrt(rstd+eps)
}

func TestLayerNormGradOfOneRowAgreesWithNaive(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, n := range lengths() {
			if n == 0 {
				continue
			}
			var s [6][]float32 // dx, dgain, dbias, dy, x, gain
			var checks [6]func()
			for i := range s {
				s[i], checks[i] = fenced(t, n, (n+i)%4, uint64(i))
			}
			before := [3][]float32{clone(s[0]), clone(s[1]), clone(s[2])}
			const mean, rstd = 0.25, 1.5
			active.layerNormGrad(s[0], s[1], s[2], s[3], s[4], s[5], mean, rstd)
			var sum, dot, size float64
			for i, v := range s[3] {
				g, norm := float64(v)*float64(s[5][i]), (float64(s[4][i])-mean)*rstd
				sum, dot, size = sum+g, dot+g*norm, size+math.Abs(g)*(1+math.Abs(norm))
			}
			sum, dot, size = sum/float64(n), dot/float64(n), size/float64(n)
			for i, v := range s[3] {
				dy, norm := float64(v), (float64(s[4][i])-mean)*rstd
				g := dy * float64(s[5][i])
				large := 1 + math.Abs(norm)
				near(t, "dgain", float64(s[1][i]), float64(before[1][i])+dy*norm, 4*roundoff*(math.Abs(float64(before[1][i]))+math.Abs(dy)*large))
				near(t, "dbias", float64(s[2][i]), float64(before[2][i])+dy, 2*roundoff*(math.Abs(float64(before[2][i]))+math.Abs(dy)))
				near(t, "dx", float64(s[0][i]), float64(before[0][i])+rstd*(g-sum-norm*dot),
					sumTolerance(n, 2*size*large+2*math.Abs(g)+math.Abs(float64(before[0][i]))))
			}
			for _, check := range checks {
				check()
			}
		}
	})
}

func TestTransposeAgreesWithNaive(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for rows := range 27 {
			for cols := range 27 {
				for _, trans := range []bool{false, true} {
					src := form(rows, cols, trans, 1)
					dst := form(cols, rows, false, 2)
					before := clone(dst.Data)
					Transpose(dst.Data, dst.Stride, src)
					sameOutside(t, dst, before)
					for i := range rows {
						for j := range cols {
							if got := dst.at(j, i); got != src.at(i, j) {
								t.Fatalf("%dx%d transposed %v: (%d,%d) = %v, want %v", rows, cols, trans, j, i, got, src.at(i, j))
							}
						}
					}
				}
			}
		}
	})
}

func TestPeakIsPositive(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		p := NewPool(2)
		defer p.Close()
		if one, two := Peak(nil), Peak(p); !(one > 0) || !(two > 0) || math.IsInf(one+two, 0) {
			t.Errorf("%v GFLOP/s with one thread, %v with two", one, two)
		}
	})
}
