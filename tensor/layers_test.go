package tensor

import (
	"fmt"
	"math"
	"testing"
)

func TestExpAgreesWithMath(t *testing.T) {
	const n = 200_001
	x, y := make([]float32, n), make([]float32, n)
	for i := range x {
		x[i] = float32(-86.9 + 174.9*float64(i)/(n-1))
	}
	eachSet(t, func(t *testing.T) {
		active.expSum(y, x, 1, 0)
		for i, v := range x {
			near(t, fmt.Sprintf("exp(%v)", v), float64(y[i])/math.Exp(float64(v)), 1, 2e-7)
		}
		y := y[:5]
		active.expSum(y, []float32{-88, -1e30, float32(math.Inf(-1)), 0, float32(math.NaN())}, 1, 0)
		for i, v := range y[:3] {
			if !(v >= 0 && v < 2e-38) {
				t.Errorf("far below 0, element %d is %v", i, v)
			}
		}
		if y[3] != 1 || y[4] == y[4] {
			t.Errorf("exp(0) = %v, exp(NaN) = %v", y[3], y[4])
		}
	})
}

func TestGELUAgreesWithErf(t *testing.T) {
	x := []float32{0, float32(math.Copysign(0, -1)), 1e-30, -1e-30, 60, -60, 1e30, -1e30}
	for i := range 100_001 {
		x = append(x, float32(-10+20*float64(i)/100_000))
	}
	y, slope := make([]float32, len(x)), make([]float32, len(x))
	eachSet(t, func(t *testing.T) {
		GELU(y, slope, x)
		for i, v := range x {
			want := naiveGELU([]float64{0, 0, float64(v)})
			near(t, fmt.Sprintf("gelu(%v)", v), float64(y[i]), want[0].want, 3e-7*want[0].size)
			near(t, fmt.Sprintf("gelu'(%v)", v), float64(slope[i]), want[1].want, 3e-7*want[1].size)
		}
	})
}

func TestLayerNormAgreesWithNaive(t *testing.T) {
	const rows, eps = 3, 1e-5
	eachSet(t, func(t *testing.T) {
		for _, width := range []int{1, 3, 8, 37} {
			x, gain, bias := random(rows*width, 1), random(width, 2), random(width, 3)
			want := normalised(x, gain, bias, eps)
			mean, rstd := make([]float32, rows), make([]float32, rows)
			LayerNorm(x, mean, rstd, x, gain, bias, eps)
			for i := range x {
				near(t, "y", float64(x[i]), want[i], 1e-5)
			}
		}
	})
}

// normalised is the naive layer norm.
func normalised(x, gain, bias []float32, eps float64) []float64 {
	out, width := make([]float64, len(x)), len(gain)
	for i, v := range x {
		mean, rstd := moments(x[i/width*width:][:width], eps)
		out[i] = (float64(v)-mean)*rstd*float64(gain[i%width]) + float64(bias[i%width])
	}
	return out
}

// slopeOf is the derivative of f by *at, by central differences in float64 steps
// that are exact in float32.
func slopeOf(at *float32, f func() float64) float64 {
	const h = 1.0 / 64
	before := *at
	*at = before + h
	up, high := f(), float64(*at)
	*at = before - h
	down, low := f(), float64(*at)
	*at = before
	return (up - down) / (high - low)
}

func TestLayerNormGradAgreesWithDifferences(t *testing.T) {
	const rows, width, eps = 2, 11, 1e-5
	x, gain, bias, dy := random(rows*width, 1), random(width, 2), random(width, 3), random(rows*width, 4)
	loss := func() (sum float64) {
		for i, y := range normalised(x, gain, bias, eps) {
			sum += float64(dy[i]) * y
		}
		return sum
	}
	eachSet(t, func(t *testing.T) {
		y, mean, rstd := make([]float32, len(x)), make([]float32, rows), make([]float32, rows)
		LayerNorm(y, mean, rstd, x, gain, bias, eps)
		dx, dgain, dbias := make([]float32, len(x)), make([]float32, width), make([]float32, width)
		for range 2 { // gradients add up
			LayerNormGrad(dx, dgain, dbias, dy, x, mean, rstd, gain)
		}
		for i := range x {
			near(t, "dx", float64(dx[i])/2, slopeOf(&x[i], loss), 3e-3)
		}
		for i := range gain {
			near(t, "dgain", float64(dgain[i])/2, slopeOf(&gain[i], loss), 1e-5)
			near(t, "dbias", float64(dbias[i])/2, slopeOf(&bias[i], loss), 1e-5)
		}
	})
}

func TestRotaryTurnsPairs(t *testing.T) {
	const positions, pairs, base = 5, 19, 100.0
	cos, sin := make([]float32, positions*pairs), make([]float32, positions*pairs)
	RotaryTable(cos, sin, pairs, base)
	eachSet(t, func(t *testing.T) {
		for p := range positions {
			x := random(2*pairs+2, 7) // two elements more than turn
			start := clone(x)
			cos, sin := cos[p*pairs:][:pairs], sin[p*pairs:][:pairs]
			Rotary(x, cos, sin)
			for i := range pairs {
				angle := float64(p) / math.Pow(base, 2*float64(i)/(2*pairs))
				a, b := float64(start[i]), float64(start[i+pairs])
				near(t, "first", float64(x[i]), a*math.Cos(angle)-b*math.Sin(angle), 1e-6)
				near(t, "second", float64(x[i+pairs]), b*math.Cos(angle)+a*math.Sin(angle), 1e-6)
			}
			RotaryGrad(x, cos, sin)
			for i := range x {
				near(t, "turned back", float64(x[i]), float64(start[i]), 1e-6)
			}
			sameBits(t, "the rest", x[2*pairs:], start[2*pairs:])
		}
	})
}

func TestCrossEntropyAgreesWithNaive(t *testing.T) {
	tests := []struct {
		name   string
		logits []float32
		target int
	}{
		{"one class", []float32{3}, 0},
		{"random", random(37, 1), 5},
		{"a vocabulary", random(50304, 1), 50303},
		{"large", []float32{1e4, 1e4 - 1, -1e4}, 1},
		{"hopeless", []float32{0, 200}, 0},
		{"hidden", []float32{0, float32(math.Inf(-1)), 1}, 2},
	}
	eachSet(t, func(t *testing.T) {
		for _, test := range tests {
			top, total := math.Inf(-1), 0.0
			for _, v := range test.logits {
				top = max(top, float64(v))
			}
			for _, v := range test.logits {
				total += math.Exp(float64(v) - top)
			}
			want := math.Log(total) + top - float64(test.logits[test.target])
			near(t, test.name, CrossEntropy(clone(test.logits), test.target), want, 1e-6*(1+want))
			grad := clone(test.logits)
			near(t, test.name, CrossEntropyGrad(grad, test.target, 0.5), want, 1e-6*(1+want))
			for i, v := range test.logits {
				p := math.Exp(float64(v)-top) / total
				if i == test.target {
					p--
				}
				near(t, test.name+": gradient", float64(grad[i]), 0.5*p, 1e-6*math.Abs(p)+1e-7*p*p+1e-37)
			}
		}
	})
}
