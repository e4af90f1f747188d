package optim

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"halos/tensor"
)

var pythia = AdamWConfig{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, Clip: 1}

// scalarAdamW is AdamW of one parameter in float64, written as in the paper.
type scalarAdamW struct{ p, m, v float64 }

func (s *scalarAdamW) step(c AdamWConfig, g, lr, decay float64, t int) {
	s.m = c.Beta1*s.m + (1-c.Beta1)*g
	s.v = c.Beta2*s.v + (1-c.Beta2)*g*g
	mean := s.m / (1 - math.Pow(c.Beta1, float64(t)))
	square := s.v / (1 - math.Pow(c.Beta2, float64(t)))
	s.p = s.p*(1-lr*decay) - lr*mean/(math.Sqrt(square)+c.Eps)
}

func TestAdamWAgreesWithScalars(t *testing.T) {
	const n, steps = 50, 40
	change := func(f func(*AdamWConfig)) AdamWConfig { c := pythia; f(&c); return c }
	for _, c := range []struct {
		name   string
		config AdamWConfig
		decay  []Span
	}{
		{"all decays", pythia, []Span{{0, n}}},
		{"nothing decays", pythia, nil},
		{"parts decay, out of order", pythia, []Span{{30, 40}, {0, 7}, {7, 12}}},
		{"the end decays", pythia, []Span{{30, n}}},
		{"no clipping", change(func(c *AdamWConfig) { c.Clip = 0 }), []Span{{0, n}}},
		{"clipping to 3", change(func(c *AdamWConfig) { c.Clip = 3 }), nil},
		{"a large eps", change(func(c *AdamWConfig) { c.Eps = 0.5 }), nil},
		{"no means", change(func(c *AdamWConfig) { c.Beta1, c.Beta2 = 0, 0 }), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			params, grads := make([]float32, n), make([]float32, n)
			want := make([]scalarAdamW, n)
			for i := range params {
				params[i] = float32(r.NormFloat64())
				want[i].p = float64(params[i])
			}
			o := NewAdamW(c.config, n, c.decay)
			for step := 1; step <= steps; step++ {
				square, lr := 0.0, 0.01*r.Float64()
				size := 0.01 * math.Pow(2, float64(step%10)) // norms on both sides of the clip
				for i := range grads {
					grads[i] = float32(size * r.NormFloat64())
					square += float64(grads[i]) * float64(grads[i])
				}
				norm, scale := math.Sqrt(square), 1.0
				if c.config.Clip > 0 {
					scale = min(1, c.config.Clip/(norm+1e-6))
				}
				for i := range want {
					decay := 0.0
					if slices.ContainsFunc(c.decay, func(s Span) bool { return s.Start <= i && i < s.End }) {
						decay = c.config.WeightDecay
					}
					want[i].step(c.config, scale*float64(grads[i]), lr, decay, step)
				}
				if got := o.Step(params, grads, lr); math.Abs(got-norm) > 1e-6*norm {
					t.Fatalf("step %d: norm %v, want %v", step, got, norm)
				}
			}
			if o.Steps != steps {
				t.Errorf("counts %d steps, want %d", o.Steps, steps)
			}
			for i, got := range params {
				if math.Abs(float64(got)-want[i].p) > 2e-6 {
					t.Errorf("parameter %d: %v, want %v", i, got, want[i].p)
				}
			}
		})
	}
}

// The first step of Adam moves every parameter by lr against the sign of its
// gradient, whatever its size; decay comes on top.
func TestAdamWFirstStep(t *testing.T) {
	params := []float32{1, 1, -2, -2}
	grads := []float32{3, -4, 0, 0.001}
	o := NewAdamW(pythia, 4, []Span{{1, 3}})
	norm := o.Step(params, grads, 0.1)
	if math.Abs(norm-5) > 1e-6 {
		t.Errorf("norm %v, want 5", norm)
	}
	for i, want := range []float64{0.9, 1*0.99 + 0.1, -2 * 0.99, -2.1} {
		if math.Abs(float64(params[i])-want) > 1e-5 {
			t.Errorf("parameter %d: %v, want %v", i, params[i], want)
		}
	}
	for i, want := range []float64{0.1 * 3 / 5, -0.1 * 4 / 5, 0, 0.1 * 0.001 / 5} {
		if math.Abs(float64(o.M[i])-want) > 1e-6 {
			t.Errorf("mean %d: %v, want %v: the gradient is clipped to norm 1", i, o.M[i], want)
		}
	}
	if want := []float32{3, -4, 0, 0.001}; !slices.Equal(grads, want) {
		t.Errorf("gradients became %v, were %v", grads, want)
	}
}

func TestAdamWLeavesEverythingAtANonFiniteGradient(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		params, grads := []float32{1, 2}, []float32{0.5, 0.5}
		o := NewAdamW(pythia, 2, nil)
		o.Step(params, grads, 0.1)
		p, m, v := slices.Clone(params), slices.Clone(o.M), slices.Clone(o.V)
		if norm := o.Step(params, []float32{1, float32(bad)}, 0.1); !math.IsNaN(norm) && !math.IsInf(norm, 0) {
			t.Errorf("%v: norm %v, want one that is not finite", bad, norm)
		}
		if !slices.Equal(params, p) || !slices.Equal(o.M, m) || !slices.Equal(o.V, v) || o.Steps != 1 {
			t.Errorf("%v: the step changed the parameters or the state", bad)
		}
	}
}

// Spans and their pieces begin and end within what a thread does at a time.
func TestAdamWHasTheSameBitsWithAnyPool(t *testing.T) {
	const n = 3*regionLen + 1234
	decay := []Span{{7, regionLen + 9}, {regionLen + 9, regionLen + 10}, {regionLen + 500, n - 3}}
	var wantParams []float32
	var wantNorm float64
	for _, threads := range []int{0, 1, 2, 3, 5} {
		o := NewAdamW(pythia, n, decay)
		if threads > 0 {
			o.Pool = tensor.NewPool(threads)
			defer o.Pool.Close()
		}
		r := rand.New(rand.NewPCG(1, 2))
		params, grads, norm := make([]float32, n), make([]float32, n), 0.0
		for range 3 {
			for i := range grads {
				grads[i] = float32(r.NormFloat64())
			}
			norm += o.Step(params, grads, 1e-2)
		}
		if wantParams == nil {
			wantParams, wantNorm = params, norm
		}
		if !slices.Equal(params, wantParams) || norm != wantNorm {
			t.Errorf("%d threads: norms %v, want %v, or parameters differ", threads, norm, wantNorm)
		}
	}
}

func TestAdamWAllocatesNothing(t *testing.T) {
	const n = 3 * regionLen
	pool := tensor.NewPool(2)
	defer pool.Close()
	params, grads := make([]float32, n), make([]float32, n)
	for _, p := range []*tensor.Pool{nil, pool} {
		o := NewAdamW(pythia, n, []Span{{0, 500}})
		o.Pool = p
		if n := testing.AllocsPerRun(20, func() { o.Step(params, grads, 1e-3) }); n != 0 {
			t.Errorf("Step on %d threads allocates %v times, want 0", p.Threads(), n)
		}
	}
}

func TestAdamWConfigValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		config AdamWConfig
		want   string
	}{
		{"the paper's", pythia, ""},
		{"no clipping, no decay, no means", AdamWConfig{Eps: 1e-8}, ""},
		{"beta1 of 1", AdamWConfig{Beta1: 1, Eps: 1e-8}, "beta1 is 1, want at least 0 and below 1"},
		{"a negative beta2", AdamWConfig{Beta2: -0.1, Eps: 1e-8}, "beta2 is -0.1, want at least 0 and below 1"},
		{"no eps", AdamWConfig{}, "eps is 0, want more than 0"},
		{"infinite eps", AdamWConfig{Eps: math.Inf(1)}, "eps is +Inf, want more than 0"},
		{"nothing is a number", AdamWConfig{math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN()},
			"beta1 is NaN, want at least 0 and below 1\nbeta2 is NaN, want at least 0 and below 1\neps is NaN, want more than 0\nweight_decay is NaN, want 0 or more\nclip is NaN, want 0 or more"},
	} {
		t.Run(c.name, func(t *testing.T) { checkError(t, c.config.Validate(), c.want) })
	}
}

// checkError compares the whole text of an error; no error is "".
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func BenchmarkAdamW(b *testing.B) {
	const n = 1 << 20
	o := NewAdamW(pythia, n, []Span{{0, n}})
	params, grads := make([]float32, n), make([]float32, n)
	for i := range grads {
		grads[i] = float32(i%7) * 1e-3
	}
	b.SetBytes(4 * 8 * n) // reads grads twice and params, m, v once; writes the latter
	for b.Loop() {
		o.Step(params, grads, 1e-3)
	}
}
