package model

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"halos/tensor"
)

// generated collects what Generate emits.
func generated(t *testing.T, n *Net, params []float32, prompt []int32, count int, s Sampler) []int32 {
	t.Helper()
	var out []int32
	err := Generate(t.Context(), n, params, prompt, count, s, func(id int32) error {
		out = append(out, id)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestGreedyAgreesWithWholePasses runs the model over all tokens in view for every
// new one, which Generate avoids, over several times the context.
func TestGreedyAgreesWithWholePasses(t *testing.T) {
	pool := tensor.NewPool(2)
	defer pool.Close()
	forms(t, func(t *testing.T, c Config) {
		for context, o := range map[int]Options{1: {}, 2: {Pool: pool}, 7: {}, 39: {Recompute: true}, 40: {Pool: pool}} {
			_, params, _ := made(c, 1, 1)
			prompt := []int32{3, 1, 4, 1, 5, 9, 2, 6}
			got := generated(t, NewNet(c, 1, context, o), params, prompt, 3*context+5, Sampler{})

			whole, window := NewNet(c, 1, context, Options{}), slices.Clone(prompt[max(0, len(prompt)-context):])
			for i, id := range got {
				T := len(window)
				logits := make([]float32, T*c.VocabSize)
				whole.Logits(logits, params, window, 1, T)
				last := logits[(T-1)*c.VocabSize:]
				if want := int32(slices.Index(last, slices.Max(last))); id != want {
					t.Fatalf("context %d: token %d is %d, want %d", context, i, id, want)
				}
				if T == context {
					window = window[(context+1)/2:]
				}
				window = append(window, id)
			}
		}
	})
}

func TestSamplingFollowsTheDistribution(t *testing.T) {
	logits := []float32{1, 3, 2, 3, -50}
	tests := []struct {
		name    string
		sampler Sampler
		weights []float64 // not normalised
	}{
		{"greedy takes the first of equals", Sampler{}, []float64{0, 1, 0, 0, 0}},
		{"temperature 1", Sampler{Temperature: 1}, []float64{math.Exp(1), math.Exp(3), math.Exp(2), math.Exp(3), 0}},
		{"hot", Sampler{Temperature: 100}, []float64{math.Exp(.01), math.Exp(.03), math.Exp(.02), math.Exp(.03), math.Exp(-.5)}},
		{"nearly cold", Sampler{Temperature: 1e-300}, []float64{0, 1, 0, 1, 0}},
		{"top 1", Sampler{Temperature: 1, TopK: 1}, []float64{0, 1, 0, 0, 0}},
		{"top 3", Sampler{Temperature: 1, TopK: 3}, []float64{0, math.Exp(3), math.Exp(2), math.Exp(3), 0}},
		{"top of more than there are", Sampler{Temperature: 2, TopK: 9}, []float64{math.Exp(.5), math.Exp(1.5), math.Exp(1), math.Exp(1.5), math.Exp(-25)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			const draws = 20000
			counts, total := make([]float64, len(logits)), 0.0
			d := newDrawing(test.sampler, len(logits))
			for range draws {
				id, err := d.token(logits)
				if err != nil {
					t.Fatal(err)
				}
				counts[id]++
			}
			for _, w := range test.weights {
				total += w
			}
			for id, w := range test.weights {
				p := w / total
				if math.Abs(counts[id]/draws-p) > 5*math.Sqrt(p*(1-p)/draws)+1e-6 {
					t.Errorf("token %d drawn %v of %d times, want a share of %.4f", id, counts[id], draws, p)
				}
			}
		})
	}
}

func TestGenerateRepeatsItselfBySeed(t *testing.T) {
	net, params, _ := made(toy, 1, 16)
	first := generated(t, net, params, []int32{1}, 40, Sampler{Temperature: 1, Seed: 5})
	if again := generated(t, net, params, []int32{1}, 40, Sampler{Temperature: 1, Seed: 5}); !slices.Equal(first, again) {
		t.Errorf("the same seed gave %v and %v", first, again)
	}
	if other := generated(t, net, params, []int32{1}, 40, Sampler{Temperature: 1, Seed: 6}); slices.Equal(first, other) {
		t.Errorf("two seeds gave %v", first)
	}
}

func TestGenerateErrors(t *testing.T) {
	net, params, _ := made(toy, 1, 16)
	broken := slices.Clone(params)
	broken[0] = float32(math.NaN()) // in the embedding of token 0
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	stop := errors.New("stop")
	tests := []struct {
		name    string
		ctx     context.Context
		params  []float32
		prompt  []int32
		sampler Sampler
		want    string
	}{
		{"empty prompt", t.Context(), params, nil, Sampler{}, "the prompt is empty"},
		{"token too large", t.Context(), params, []int32{1, 13}, Sampler{}, "token 1 of the prompt is 13, the model's vocabulary ends at 12"},
		{"negative token", t.Context(), params, []int32{-1}, Sampler{}, "token 0 of the prompt is -1"},
		{"negative temperature", t.Context(), params, []int32{1}, Sampler{Temperature: -1}, "temperature is -1"},
		{"temperature not a number", t.Context(), params, []int32{1}, Sampler{Temperature: math.NaN()}, "temperature is NaN"},
		{"negative top-k", t.Context(), params, []int32{1}, Sampler{TopK: -2}, "top-k is -2"},
		{"diverged model", t.Context(), broken, []int32{0}, Sampler{}, "diverged or are damaged"},
		{"cancelled", ended, params, []int32{1}, Sampler{}, "context canceled"},
		{"emit", t.Context(), params, []int32{1}, Sampler{}, "stop"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := Generate(test.ctx, net, test.params, test.prompt, 3, test.sampler, func(int32) error { return stop })
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want %q in it", err, test.want)
			}
		})
	}
}

func BenchmarkGenerate(b *testing.B) {
	for _, s := range []struct {
		name string
		c    Config
	}{{"tiny", tiny}, {"small", small}} {
		b.Run(s.name, func(b *testing.B) {
			_, params, _ := made(s.c, 1, 1)
			net := NewNet(s.c, 1, s.c.MaxPositionEmbeddings, Options{})
			for b.Loop() {
				err := Generate(b.Context(), net, params, []int32{1}, 200, Sampler{Temperature: 1}, func(int32) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(200*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
