package tensor

import (
	"math"
	"testing"
)

func TestVectorsAgreeWithNaive(t *testing.T) {
	tests := []struct {
		name string
		fast func(y, x []float32)
		slow func(y, x float64) float64
	}{
		{"axpy", func(y, x []float32) { Axpy(y, -0.75, x) }, func(y, x float64) float64 { return y - 0.75*x }},
		{"add", Add, func(y, x float64) float64 { return y + x }},
		{"sub", func(y, x []float32) { Sub(y, y, x) }, func(y, x float64) float64 { return y - x }},
		{"sub aliasing the second", func(y, x []float32) { copy(y, x); Sub(y, x, y) }, func(y, x float64) float64 { return 0 }},
		{"lerp", func(y, x []float32) { Lerp(y, x, 0.3) }, func(y, x float64) float64 { return 0.7*y + 0.3*x }},
		{"mul", Mul, func(y, x float64) float64 { return y * x }},
		{"scale", func(y, x []float32) { Scale(y, 1.5) }, func(y, x float64) float64 { return 1.5 * y }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, n := range []int{0, 1, 3, 4, 17, 255} {
				y, x := random(n+1, 1)[1:], random(n, 2)
				before := append([]float32(nil), y...)
				test.fast(y, x)
				for i := range y {
					near(t, "element", float64(y[i]), test.slow(float64(before[i]), float64(x[i])), 1e-6)
				}
			}
		})
	}
}

func TestVectorsRefuseLengthsThatDisagree(t *testing.T) {
	x, y := make([]float32, 3), make([]float32, 4)
	for name, f := range map[string]func(){
		"axpy": func() { Axpy(y, 1, x) },
		"add":  func() { Add(x, y) },
		"sub":  func() { Sub(x, x, y) },
		"lerp": func() { Lerp(y, x, 1) },
		"mul":  func() { Mul(y, x) },
		"gelu": func() { GELU(y, y, x) },
	} {
		t.Run(name, func(t *testing.T) { panics(t, f) })
	}
}

func TestLerpEndsExactly(t *testing.T) {
	y, x := random(9, 1), random(9, 2)
	start := append([]float32(nil), y...)
	Lerp(y, x, 0)
	for i := range y {
		if y[i] != start[i] {
			t.Errorf("weight 0 moved %v to %v", start[i], y[i])
		}
	}
	Lerp(y, x, 1)
	for i := range y {
		if y[i] != x[i] {
			t.Errorf("weight 1 gave %v, want %v", y[i], x[i])
		}
	}
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
		{"no overflow", []float32{3e38, 4e38 / 2}, math.Hypot(3e38, 2e38)},
		{"no underflow", []float32{3e-40, 4e-40, 0, 0, 0}, 5e-40},
		{"infinity", []float32{1, 2, 3, 4, -inf}, math.Inf(1)},
		{"infinity among four", []float32{1, inf, 3, 4}, math.Inf(1)},
	}
	for _, test := range tests {
		got := Norm(test.x)
		if got != test.want && !(math.Abs(got-test.want) <= 1e-6*test.want) && !(test.want < 1e-37 && math.Abs(got-test.want) < 1e-44) {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
	if got := Norm([]float32{1, float32(math.NaN())}); !math.IsNaN(got) {
		t.Errorf("a NaN element gave the norm %v", got)
	}
}

func TestRowsAgreeWithNaive(t *testing.T) {
	bias, x := random(5, 1), make([]float32, 15)
	SetRows(x, bias)
	sum := append([]float32(nil), bias...)
	SumRows(sum, x)
	for i, v := range bias {
		if x[10+i] != v || x[5+i] != v {
			t.Errorf("column %d of the rows is %v, want %v", i, x[10+i], v)
		}
		near(t, "sum", float64(sum[i]), 4*float64(v), 1e-6)
	}
}

func TestKernel(t *testing.T) {
	if Kernel() != "generic" {
		t.Errorf("kernels %q on a machine without any other", Kernel())
	}
}
