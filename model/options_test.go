package model

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"halos/optim"
	"halos/tensor"
)

// odd is wide enough that its work is done in parts, and nothing fits evenly.
var odd = Config{
	VocabSize: 131, HiddenSize: 90, NumHiddenLayers: 3, NumAttentionHeads: 3, IntermediateSize: 233,
	RotaryPct: 0.27, RotaryEmbBase: 1000, LayerNormEps: 1e-5, UseParallelResidual: true, MaxPositionEmbeddings: 128,
}

// TestOptionsKeepTheBits trains a few steps on more rows than logits are held of.
func TestOptionsKeepTheBits(t *testing.T) {
	const B, T, steps = 9, 57, 3 // B*T is logitRows and one more
	for _, c := range []Config{odd, sequential(odd)} {
		var wantParams, wantGrads []float32
		var wantLoss float64
		for _, o := range []struct {
			threads   int
			recompute bool
		}{{0, false}, {0, true}, {1, false}, {2, false}, {2, true}, {3, false}, {5, true}} {
			t.Run(fmt.Sprintf("parallel=%t/threads=%d/recompute=%t", c.UseParallelResidual, o.threads, o.recompute), func(t *testing.T) {
				var pool *tensor.Pool // of no thread but the caller's
				if o.threads > 0 {
					pool = tensor.NewPool(o.threads)
					defer pool.Close()
				}
				_, params, tokens := made(c, B, T)
				net := NewNet(c, B, T, Options{Pool: pool, Recompute: o.recompute})
				opt := optim.NewAdamW(optim.AdamWConfig{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, Clip: 1}, len(params), nil)
				opt.Pool = pool
				grads := make([]float32, len(params))
				for range steps {
					clear(grads)
					net.LossGrad(grads, params, tokens, B, T, 1)
					opt.Step(params, grads, 1e-2)
				}
				loss := net.Loss(params, tokens, B, T)
				if wantParams == nil {
					wantParams, wantGrads, wantLoss = params, grads, loss
				}
				if !slices.Equal(grads, wantGrads) {
					t.Error("the gradients differ from those of one thread that keeps everything")
				}
				if !slices.Equal(params, wantParams) || loss != wantLoss {
					t.Errorf("after %d steps the loss is %v, with one thread that keeps everything %v, or parameters differ", steps, loss, wantLoss)
				}
			})
		}
	}
}

// TestABatchSumsItsSequences holds against each other what goes through a Net in
// many parts and in few.
func TestABatchSumsItsSequences(t *testing.T) {
	const B, T = 9, 57
	for _, c := range []Config{odd, sequential(odd)} {
		net, params, tokens := made(c, B, T)
		got, want := make([]float32, len(params)), make([]float32, len(params))
		loss, sum := net.LossGrad(got, params, tokens, B, T, 0.5), 0.0
		for b := range B {
			sum += net.LossGrad(want, params, tokens[b*(T+1):][:T+1], 1, T, 0.5/B)
		}
		if math.Abs(loss-sum/B) > 1e-6 {
			t.Errorf("loss %v of the batch, mean %v of its sequences", loss, sum/B)
		}
		var largest, worst float64
		for i, v := range want {
			largest = max(largest, math.Abs(float64(v)))
			worst = max(worst, math.Abs(float64(v-got[i])))
		}
		if worst > 1e-5*largest {
			t.Errorf("gradients differ by %.2g from the sum over the sequences, the largest is %.2g", worst, largest)
		}
	}
}

func TestNetBytes(t *testing.T) {
	long := small
	long.MaxPositionEmbeddings = 2048
	wide := small
	wide.VocabSize = 50304
	three := tensor.NewPool(3)
	defer three.Close()
	for _, test := range []struct {
		name           string
		c              Config
		batch, context int
		o              Options
	}{
		{"tiny", tiny, 4, 128, Options{}},
		{"small", small, 4, 256, Options{}},
		{"small, recomputed", small, 4, 256, Options{Recompute: true}},
		{"sequential", sequential(small), 4, 256, Options{}},
		{"sequential, recomputed", sequential(small), 4, 256, Options{Recompute: true}},
		{"three threads on a long context", long, 1, 2048, Options{Pool: three, Recompute: true}},
		{"a large vocabulary", wide, 4, 256, Options{}},
		{"a few rows", wide, 1, 64, Options{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			NewNet(test.c, test.batch, test.context, test.o)
			runtime.ReadMemStats(&after)
			got, want := NetBytes(test.c, test.batch, test.context, test.o), int(after.TotalAlloc-before.TotalAlloc)
			if d := float64(got-want) / float64(want); math.Abs(d) > 0.02 {
				t.Errorf("%d bytes, NewNet took %d: off by %.1f%%", got, want, 100*d)
			}
		})
	}
}
