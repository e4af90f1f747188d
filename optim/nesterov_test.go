package optim

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Numbers computed by hand from arXiv 2401.09135's delayed Nesterov, one
// parameter that starts at 10; all are exact in float32.
func TestDelayedNesterovByHand(t *testing.T) {
	for _, c := range []struct {
		name        string
		config      NesterovConfig
		g, theta, m []float32 // each delta, and the model and momentum after it
	}{
		{"the model moves by lr*g/N between updates of the momentum",
			NesterovConfig{LR: 2, Beta: 0.5, N: 4},
			[]float32{2, 4, 1}, []float32{9, 7, 6.5}, []float32{0, 0, 0}},
		{"the momentum takes the mean of N deltas before it moves the model",
			NesterovConfig{LR: 1, Beta: 0.5, N: 2},
			[]float32{2, 4, 2, 2}, []float32{9, 5.5, 4.5, 1.75}, []float32{0, 3, 3, 3.5}},
		{"N = 1 is Nesterov's momentum at every delta",
			NesterovConfig{LR: 0.5, Beta: 0.5, N: 1},
			[]float32{2, 2, 2}, []float32{8.5, 6.75, 4.875}, []float32{2, 3, 3.5}},
		{"c spreads the momentum over the deltas",
			NesterovConfig{LR: 1, Beta: 0.5, C: 0.5, N: 2},
			[]float32{2, 4, 2, 2}, []float32{9, 6.25, 4.5, 2.625}, []float32{0, 3, 3, 3.5}},
		{"c = 1 at N = 1 is the same as c = 0",
			NesterovConfig{LR: 0.5, Beta: 0.5, C: 1, N: 1},
			[]float32{2, 2, 2}, []float32{8.5, 6.75, 4.875}, []float32{2, 3, 3.5}},
		{"beta = 0 is plain averaging",
			NesterovConfig{LR: 1, N: 2},
			[]float32{2, 4, 6}, []float32{9, 7, 4}, []float32{0, 3, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := NewDelayedNesterov(c.config, 1)
			theta := []float32{10}
			for i, g := range c.g {
				o.Step(theta, []float32{g})
				if theta[0] != c.theta[i] || o.M[0] != c.m[i] {
					t.Fatalf("after delta %d: model %v and momentum %v, want %v and %v", i+1, theta[0], o.M[0], c.theta[i], c.m[i])
				}
			}
			if o.T != uint64(len(c.g)) {
				t.Errorf("counts %d deltas, want %d", o.T, len(c.g))
			}
		})
	}
}

// scalarNesterov is ALGORITHMS.md's delayed Nesterov line by line, in float64.
type scalarNesterov struct {
	theta, m, d float64
	t           int
}

func (s *scalarNesterov) step(lr, beta, c float64, n int, g float64) {
	s.d += g
	if (s.t+1)%n == 0 {
		s.m = beta*s.m + s.d/float64(n)
		s.theta -= lr * ((1-c*float64(n)+c)*beta*s.m + g/float64(n))
		s.d = 0
	} else {
		s.theta -= lr * (c*beta*s.m + g/float64(n))
	}
	s.t++
}

func TestDelayedNesterovAgreesWithScalars(t *testing.T) {
	const n, deltas = 30, 70
	for _, c := range []struct {
		name   string
		config NesterovConfig
	}{
		{"the paper's LPS", NesterovConfig{LR: 3.2, Beta: 0.9, N: 16}},
		{"the paper's GPS", NesterovConfig{LR: 0.3, Beta: 0.5, N: 2}},
		{"Async-Local-SGD", NesterovConfig{LR: 1.6, Beta: 0.9, N: 32}},
		{"N of 1", NesterovConfig{LR: 0.7, Beta: 0.9, N: 1}},
		{"N of 1 with c", NesterovConfig{LR: 0.7, Beta: 0.9, C: 0.5, N: 1}},
		{"N of 3 with c", NesterovConfig{LR: 0.7, Beta: 0.9, C: 0.2, N: 3}},
		{"the largest c", NesterovConfig{LR: 0.7, Beta: 0.9, C: 0.25, N: 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			theta, g := make([]float32, n), make([]float32, n)
			want := make([]scalarNesterov, n)
			o := NewDelayedNesterov(c.config, n)
			for range deltas {
				for i := range g {
					g[i] = float32(r.NormFloat64())
					want[i].step(c.config.LR, c.config.Beta, c.config.C, c.config.N, float64(g[i]))
				}
				sent := slices.Clone(g)
				o.Step(theta, g)
				if !slices.Equal(g, sent) {
					t.Fatal("the step changed its delta")
				}
			}
			largest := 0.0
			for _, w := range want {
				largest = max(largest, math.Abs(w.theta))
			}
			for i, got := range theta {
				if math.Abs(float64(got)-want[i].theta) > 1e-6*largest {
					t.Errorf("parameter %d: %v, want %v", i, got, want[i].theta)
				}
				if math.Abs(float64(o.M[i])-want[i].m) > 2e-6 || math.Abs(float64(o.D[i])-want[i].d) > 2e-6 {
					t.Errorf("parameter %d: momentum %v and sum %v, want %v and %v", i, o.M[i], o.D[i], want[i].m, want[i].d)
				}
			}
		})
	}
}

func TestDelayedNesterovAllocatesNothing(t *testing.T) {
	o := NewDelayedNesterov(NesterovConfig{LR: 1, Beta: 0.9, C: 0.1, N: 2}, 1000)
	theta, g := make([]float32, 1000), make([]float32, 1000)
	if n := testing.AllocsPerRun(20, func() { o.Step(theta, g) }); n != 0 {
		t.Errorf("Step allocates %v times, want 0", n)
	}
}

func TestNesterovConfigValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		config NesterovConfig
		want   string
	}{
		{"the paper's", NesterovConfig{LR: 3.2, Beta: 0.9, N: 16}, ""},
		{"the largest c", NesterovConfig{LR: 1, Beta: 0.9, C: 0.25, N: 4}, ""},
		{"too large a c", NesterovConfig{LR: 1, C: 0.5, N: 4}, "c is 0.5, want at least 0 and at most 1/n, which is 0.25"},
		{"a negative c", NesterovConfig{LR: 1, C: -1, N: 1}, "c is -1, want at least 0 and at most 1/n, which is 1"},
		{"nothing set", NesterovConfig{}, "lr is 0, want more than 0\nn is 0, want at least 1"},
		{"not a number", NesterovConfig{LR: 1, Beta: math.NaN(), C: math.NaN(), N: 2},
			"beta is NaN, want at least 0 and below 1\nc is NaN, want at least 0 and at most 1/n, which is 0.5"},
	} {
		t.Run(c.name, func(t *testing.T) { checkError(t, c.config.Validate(), c.want) })
	}
}

func BenchmarkDelayedNesterov(b *testing.B) {
	const n = 1 << 20
	o := NewDelayedNesterov(NesterovConfig{LR: 3.2, Beta: 0.9, N: 16}, n)
	theta, g := make([]float32, n), make([]float32, n)
	b.SetBytes(4 * 5 * n) // reads theta, d and g, writes theta and d
	for b.Loop() {
		o.Step(theta, g)
	}
}
