package tensor

import (
	"math"
	"testing"
)

func TestCrossEntropyAgreesWithNaive(t *testing.T) {
	tests := []struct {
		name   string
		logits []float32
		target int
	}{
		{"one class", []float32{3}, 0},
		{"random", random(37, 1), 5},
		{"large", []float32{1e4, 1e4 - 1, -1e4}, 1},
		{"hopeless", []float32{0, 200}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			top, total := math.Inf(-1), 0.0
			for _, v := range test.logits {
				top = max(top, float64(v))
			}
			for _, v := range test.logits {
				total += math.Exp(float64(v) - top)
			}
			want := math.Log(total) + top - float64(test.logits[test.target])
			near(t, "loss", CrossEntropy(test.logits, test.target), want, 1e-6*(1+want))
			grad := append([]float32(nil), test.logits...)
			near(t, "loss with gradient", CrossEntropyGrad(grad, grad, test.target, 0.5), want, 1e-6*(1+want))
			for i, v := range test.logits {
				p := math.Exp(float64(v)-top) / total
				if i == test.target {
					p--
				}
				near(t, "gradient", float64(grad[i]), 0.5*p, 1e-6)
			}
		})
	}
}

// naiveCausal returns softmax(scale*s) over the visible keys of each query, as [keys, queries].
func naiveCausal(s Matrix, scale float64) []float64 {
	w := make([]float64, s.Rows*s.Cols)
	for i := range s.Cols {
		var total float64
		for j := range s.Rows - s.Cols + i + 1 {
			w[j*s.Cols+i] = math.Exp(scale * s.at(j, i))
			total += w[j*s.Cols+i]
		}
		for j := range s.Rows {
			w[j*s.Cols+i] /= total
		}
	}
	return w
}

func TestCausalSoftmaxAgreesWithNaive(t *testing.T) {
	const scale = 0.3
	for _, size := range [][2]int{{1, 1}, {5, 5}, {9, 1}, {70, 3}, {67, 67}, {200, 130}} {
		keys, queries := size[0], size[1]
		s := form(keys, queries, false, 1)
		want := naiveCausal(s, scale)
		again := form(keys, queries, false, 1)
		lse := make([]float32, queries)
		CausalSoftmax(s, lse, scale)
		CausalWeights(again, lse, scale)
		for j := range keys {
			for i := range queries {
				near(t, "weight", s.at(j, i), want[j*queries+i], 1e-6)
				near(t, "weight from lse", again.at(j, i), want[j*queries+i], 1e-6)
			}
		}
	}
}

func TestCausalSoftmaxOfLargeScores(t *testing.T) {
	s := Dense([]float32{5e4, 4e4, float32(math.Inf(1)), 4e4}, 2, 2)
	CausalSoftmax(s, make([]float32, 2), 1)
	for i, want := range []float32{1, 0.5, 0, 0.5} {
		if s.Data[i] != want {
			t.Errorf("weight %d is %v, want %v", i, s.Data[i], want)
		}
	}
}

func TestCausalSoftmaxGradAgreesWithDifferences(t *testing.T) {
	const keys, queries, scale = 7, 4, 0.5
	s, d := form(keys, queries, false, 1), form(keys, queries, false, 2)
	loss := func() (sum float64) {
		for i, w := range naiveCausal(s, scale) {
			sum += w * d.at(i/queries, i%queries)
		}
		return sum
	}
	want := make([]float64, keys*queries)
	for i := range want {
		want[i] = slopeOf(&s.Data[i/queries*s.Stride+i%queries], loss)
	}
	CausalSoftmax(s, make([]float32, queries), scale)
	dot := make([]float32, queries)
	for i := range want {
		dot[i%queries] += float32(s.at(i/queries, i%queries) * d.at(i/queries, i%queries))
	}
	CausalSoftmaxGrad(d, s, dot, scale)
	for i, slope := range want {
		near(t, "gradient", d.at(i/queries, i%queries), slope, 1e-5)
	}
}

func TestSoftmaxAllocatesNothing(t *testing.T) {
	s, lse := form(90, 70, false, 1), make([]float32, 70)
	if n := testing.AllocsPerRun(5, func() { CausalSoftmax(s, lse, 1) }); n != 0 {
		t.Errorf("%v allocations per call", n)
	}
}
