package tensor

import (
	"fmt"
	"math"
	"testing"
)

func TestExpAgreesWithMath(t *testing.T) {
	for i := range 200_000 {
		x := float32(-86.9 + 174.9*float64(i)/200_000)
		want := math.Exp(float64(x))
		near(t, fmt.Sprintf("exp(%v)", x), float64(exp(x))/want, 1, 2e-7)
	}
	for _, x := range []float64{-88, -1e30, math.Inf(-1)} {
		if got := exp(float32(x)); !(got >= 0 && got < 2e-38) {
			t.Errorf("exp(%v) = %v", x, got)
		}
	}
	if got := exp(0); got != 1 {
		t.Errorf("exp(0) = %v", got)
	}
	if got := exp(math.Float32frombits(0x7fc00001)); got == got {
		t.Errorf("exp(NaN) = %v", got)
	}
}

func TestGELUAgreesWithErf(t *testing.T) {
	x := []float32{0, float32(math.Copysign(0, -1)), 1e-30, -1e-30, 60, -60, 1e30}
	for i := range 100_001 {
		x = append(x, float32(-10+20*float64(i)/100_000))
	}
	y, slope := make([]float32, len(x)), make([]float32, len(x))
	GELU(y, slope, x)
	for i, v := range x {
		u := float64(v)
		phi := 0.5 * (1 + math.Erf(u/math.Sqrt2))
		near(t, fmt.Sprintf("gelu(%v)", v), float64(y[i]), u*phi, 3e-7*max(1, math.Abs(u)))
		near(t, fmt.Sprintf("gelu'(%v)", v), float64(slope[i]), phi+u*math.Exp(-u*u/2)/math.Sqrt(2*math.Pi), 3e-7*max(1, math.Abs(u)))
	}
	GELU(x, slope, x)
	for i := range x {
		if x[i] != y[i] {
			t.Fatalf("in place gives %v, apart %v", x[i], y[i])
		}
	}
}

func TestLayerNormAgreesWithNaive(t *testing.T) {
	const rows, eps = 3, 1e-5
	for _, width := range []int{1, 3, 8, 37} {
		x, gain, bias := random(rows*width, 1), random(width, 2), random(width, 3)
		y, mean, rstd := make([]float32, len(x)), make([]float32, rows), make([]float32, rows)
		LayerNorm(y, mean, rstd, x, gain, bias, eps)
		for i := range x {
			norm := normalised(x[i/width*width:][:width], eps)
			near(t, "y", float64(y[i]), norm[i%width]*float64(gain[i%width])+float64(bias[i%width]), 1e-5)
		}
	}
}

// normalised is the naive layer norm of one row, without gain and bias.
func normalised(row []float32, eps float64) []float64 {
	var mean, variance float64
	for _, v := range row {
		mean += float64(v) / float64(len(row))
	}
	for _, v := range row {
		variance += (float64(v) - mean) * (float64(v) - mean) / float64(len(row))
	}
	out := make([]float64, len(row))
	for i, v := range row {
		out[i] = (float64(v) - mean) / math.Sqrt(variance+eps)
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
		for i := range x {
			norm := normalised(x[i/width*width:][:width], eps)
			sum += float64(dy[i]) * (norm[i%width]*float64(gain[i%width]) + float64(bias[i%width]))
		}
		return sum
	}
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
}

func TestRotaryTurnsPairs(t *testing.T) {
	const positions, pairs, base = 5, 3, 100.0
	cos, sin := make([]float32, positions*pairs), make([]float32, positions*pairs)
	RotaryTable(cos, sin, pairs, base)
	for p := range positions {
		x := random(8, 7) // two elements more than turn
		start := append([]float32(nil), x...)
		Rotary(x, cos[p*pairs:][:pairs], sin[p*pairs:][:pairs])
		for i := range pairs {
			angle := float64(p) / math.Pow(base, 2*float64(i)/(2*pairs))
			a, b := float64(start[i]), float64(start[i+pairs])
			near(t, "first", float64(x[i]), a*math.Cos(angle)-b*math.Sin(angle), 1e-6)
			near(t, "second", float64(x[i+pairs]), b*math.Cos(angle)+a*math.Sin(angle), 1e-6)
		}
		RotaryGrad(x, cos[p*pairs:][:pairs], sin[p*pairs:][:pairs])
		for i := range x {
			near(t, "turned back", float64(x[i]), float64(start[i]), 1e-6)
		}
		if x[6] != start[6] || x[7] != start[7] {
			t.Error("rotary touched what it should leave")
		}
	}
}

func BenchmarkGELU(b *testing.B) {
	x := random(4096, 1)
	y, slope := make([]float32, len(x)), make([]float32, len(x))
	for b.Loop() {
		GELU(y, slope, x)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(x)), "ns/element")
}
