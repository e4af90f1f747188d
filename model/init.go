package model

import (
	"math"
	"math/rand/v2"
	"strings"
)

// Init fills params as GPT-NeoX does for Pythia: normal weights, with "small init"
// sqrt(2/(5C)) as their deviation ("Transformers without Tears", arXiv 1910.05895)
// and "Wang init" 2/(L*sqrt(C)) for the two projections that write to the residual
// stream; gains 1, biases 0. The same seed gives the same bits.
func Init(params []float32, c Config, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0x68616c6f73)) // "halos": one seed serves several streams
	small := math.Sqrt(2 / (5 * float64(c.HiddenSize)))
	wang := 2 / (float64(c.NumHiddenLayers) * math.Sqrt(float64(c.HiddenSize)))
	for _, p := range c.Params() {
		w := params[p.Offset:][:p.Len()]
		switch {
		case strings.HasSuffix(p.Name, ".bias"):
			clear(w)
		case len(p.Shape) == 1:
			for i := range w {
				w[i] = 1
			}
		default:
			std := small
			if strings.HasSuffix(p.Name, "attention.dense.weight") || strings.HasSuffix(p.Name, "mlp.dense_4h_to_h.weight") {
				std = wang
			}
			for i := range w {
				w[i] = float32(rng.NormFloat64() * std)
			}
		}
	}
}
