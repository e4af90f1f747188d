package model

import (
	"math/rand/v2"
	"testing"
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
)

// made returns a net with initialised parameters and random tokens [B, T+1].
func made(c Config, B, T int) (net *Net, params []float32, tokens []int32) {
	params, tokens = make([]float32, c.NumParams()), make([]int32, B*(T+1))
	Init(params, c, 1)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range tokens {
		tokens[i] = rng.Int32N(int32(c.VocabSize))
	}
	return NewNet(c, B, T), params, tokens
}

func BenchmarkStep(b *testing.B) {
	for _, s := range []struct {
		name     string
		c        Config
		batch, T int
	}{
		{"tiny", tiny, 4, 128},
		{"small", small, 4, 256},
	} {
		b.Run(s.name, func(b *testing.B) {
			net, params, tokens := made(s.c, s.batch, s.T)
			grads := make([]float32, len(params))
			for b.Loop() {
				clear(grads)
				net.LossGrad(grads, params, tokens, s.batch, s.T)
			}
			b.ReportMetric(float64(b.N*s.batch*s.T)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
