package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"halos/tensor"
)

var (
	tiny = Config{
		VocabSize: 256, HiddenSize: 128, NumHiddenLayers: 4, NumAttentionHeads: 4, IntermediateSize: 512,
		RotaryPct: 0.25, RotaryEmbBase: 10000, LayerNormEps: 1e-5, UseParallelResidual: true, MaxPositionEmbeddings: 128,
	}
	small = Config{
		VocabSize: 256, HiddenSize: 384, NumHiddenLayers: 6, NumAttentionHeads: 6, IntermediateSize: 1536,
		RotaryPct: 0.25, RotaryEmbBase: 10000, LayerNormEps: 1e-5, UseParallelResidual: true, MaxPositionEmbeddings: 256,
	}
	// toy has odd sizes wherever the layout allows.
	toy = Config{
		VocabSize: 13, HiddenSize: 18, NumHiddenLayers: 2, NumAttentionHeads: 3, IntermediateSize: 29,
		RotaryPct: 0.7, RotaryEmbBase: 100, LayerNormEps: 1e-5, UseParallelResidual: true, MaxPositionEmbeddings: 64,
	}
)

func sequential(c Config) Config {
	c.UseParallelResidual = false
	return c
}

// made returns a net, initialised parameters and random tokens [B, T+1].
func made(c Config, B, T int) (net *Net, params []float32, tokens []int32) {
	params, tokens = make([]float32, c.NumParams()), make([]int32, B*(T+1))
	Init(params, c, 1)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range tokens {
		tokens[i] = rng.Int32N(int32(c.VocabSize))
	}
	return NewNet(c, B, T, Options{}), params, tokens
}

// forms runs a test with both kinds of residual.
func forms(t *testing.T, test func(t *testing.T, c Config)) {
	t.Run("parallel", func(t *testing.T) { test(t, toy) })
	t.Run("sequential", func(t *testing.T) { test(t, sequential(toy)) })
}

// TestGradientAgreesWithDifferences moves each tensor along a random direction and
// compares the change of the loss with what the gradient says.
func TestGradientAgreesWithDifferences(t *testing.T) {
	forms(t, func(t *testing.T, c Config) {
		const B, T, h = 2, 37, 1.0 / 256
		net, params, tokens := made(c, B, T)
		rng := rand.New(rand.NewPCG(3, 4))
		for i := range params {
			params[i] += float32(0.1 * rng.NormFloat64()) // biases and gains too
		}
		grads := make([]float32, len(params))
		net.LossGrad(grads, params, tokens, B, T, 1)
		for _, p := range c.Params() {
			moved, slope := slices.Clone(params), 0.0
			back := slices.Clone(params)
			for i := p.Offset; i < p.Offset+p.Len(); i++ {
				d := math.Copysign(h, rng.NormFloat64())
				moved[i] += float32(d)
				back[i] -= float32(d)
				slope += float64(grads[i]) * d
			}
			got := (net.Loss(moved, tokens, B, T) - net.Loss(back, tokens, B, T)) / 2
			if math.Abs(got-slope) > 0.01*math.Abs(slope)+2e-6 {
				t.Errorf("%s: the loss moves by %.4g, its gradient says %.4g", p.Name, got, slope)
			}
		}
	})
}

func TestGradientsAddUp(t *testing.T) {
	net, params, tokens := made(toy, 2, 9)
	once, twice := make([]float32, len(params)), make([]float32, len(params))
	net.LossGrad(once, params, tokens, 2, 9, 1)
	net.LossGrad(twice, params, tokens, 2, 9, 1)
	net.LossGrad(twice, params, tokens, 2, 9, 1)
	for i, v := range once {
		if math.Abs(float64(twice[i]-2*v)) > 1e-6 {
			t.Fatalf("gradient %d is %v after one call and %v after two", i, v, twice[i])
		}
	}
}

func TestSequencesOfABatchAreIndependent(t *testing.T) {
	forms(t, func(t *testing.T, c Config) {
		const B, T = 3, 40
		net, params, tokens := made(c, B, T)
		var sum float64
		alone := NewNet(c, 1, T, Options{})
		for b := range B {
			sum += alone.Loss(params, tokens[b*(T+1):][:T+1], 1, T)
		}
		if got := net.Loss(params, tokens, B, T); math.Abs(got-sum/B) > 1e-12 {
			t.Errorf("loss %v of the batch, mean %v of its sequences", got, sum/B)
		}
	})
}

func TestTheFutureIsHidden(t *testing.T) {
	forms(t, func(t *testing.T, c Config) {
		const T, changed = 70, 41
		net, params, tokens := made(c, 1, T)
		tokens = tokens[:T]
		before, after := make([]float32, T*c.VocabSize), make([]float32, T*c.VocabSize)
		net.Logits(before, params, tokens, 1, T)
		tokens[changed] = (tokens[changed] + 1) % int32(c.VocabSize)
		net.Logits(after, params, tokens, 1, T)
		V := c.VocabSize
		if !slices.Equal(before[:changed*V], after[:changed*V]) {
			t.Error("a token changed the logits before it")
		}
		for pos := changed; pos < T; pos++ {
			if slices.Equal(before[pos*V:][:V], after[pos*V:][:V]) {
				t.Errorf("token %d does not see token %d", pos, changed)
			}
		}
	})
}

func TestTheSameCallGivesTheSameBits(t *testing.T) {
	const B, T = 2, 64
	net, params, tokens := made(tiny, B, T)
	first, second := make([]float32, len(params)), make([]float32, len(params))
	want := net.LossGrad(first, params, tokens, B, T, 1)
	NewNet(tiny, B, T+9, Options{}).LossGrad(make([]float32, len(params)), params, tokens[:2*8], 2, 7, 1)
	other := NewNet(tiny, B+1, T+9, Options{})
	if got := other.LossGrad(second, params, tokens, B, T, 1); got != want {
		t.Errorf("loss %v, in another net %v", want, got)
	}
	if !slices.Equal(first, second) {
		t.Error("gradients differ in another net")
	}
}

func TestStepsAllocateNothing(t *testing.T) {
	const B, T = 2, 64
	pool := tensor.NewPool(2)
	defer pool.Close()
	for _, c := range []struct {
		Config
		Options
	}{
		{tiny, Options{}},
		{sequential(tiny), Options{}},
		{tiny, Options{Pool: pool}},
		{sequential(tiny), Options{Pool: pool, Recompute: true}},
	} {
		_, params, tokens := made(c.Config, B, T)
		net := NewNet(c.Config, B, T, c.Options)
		grads, logits := make([]float32, len(params)), make([]float32, B*T*c.VocabSize)
		for name, f := range map[string]func(){
			"LossGrad": func() { net.LossGrad(grads, params, tokens, B, T, 1) },
			"Loss":     func() { net.Loss(params, tokens, B, T) },
			"Logits":   func() { net.Logits(logits, params, tokens[:B*T], B, T) },
		} {
			if n := testing.AllocsPerRun(2, f); n != 0 {
				t.Errorf("%s allocates %v times with %+v", name, n, c.Options)
			}
		}
	}
}

func TestNetRefusesWrongLengths(t *testing.T) {
	net, params, tokens := made(toy, 2, 9)
	tests := []struct {
		name string
		call func()
	}{
		{"parameters", func() { net.Loss(params[1:], tokens, 2, 9) }},
		{"gradients", func() { net.LossGrad(params[1:], params, tokens, 2, 9, 1) }},
		{"tokens", func() { net.Loss(params, tokens[1:], 2, 9) }},
		{"batch", func() { net.Loss(params, make([]int32, 30), 3, 9) }},
		{"context", func() { net.Loss(params, make([]int32, 11), 1, 10) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			test.call()
		})
	}
}

func BenchmarkStep(b *testing.B) {
	for _, s := range []struct {
		name string
		c    Config
		B, T int
	}{
		{"tiny", tiny, 4, 128},
		{"small", small, 4, 256},
	} {
		b.Run(fmt.Sprintf("%s/batch=%d", s.name, s.B), func(b *testing.B) {
			net, params, tokens := made(s.c, s.B, s.T)
			grads := make([]float32, len(params))
			for b.Loop() {
				clear(grads)
				net.LossGrad(grads, params, tokens, s.B, s.T, 1)
			}
			b.ReportMetric(float64(b.N*s.B*s.T)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
