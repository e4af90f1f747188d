package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// Param says where one tensor lies in the flat slice of parameters.
type Param struct {
	Name   string // as in Hugging Face checkpoints
	Shape  []int  // row-major
	Offset int    // of the first element
}

// Len returns the number of elements.
func (p Param) Len() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// Params lists the tensors in the order of the flat slice, without gaps.
func (c Config) Params() []Param {
	params := make([]Param, 0, 4+layerTensors*c.NumHiddenLayers)
	end := 0
	add := func(name string, shape ...int) {
		params = append(params, Param{Name: name, Shape: shape, Offset: end})
		end += params[len(params)-1].Len()
	}
	C, F := c.HiddenSize, c.IntermediateSize
	add("gpt_neox.embed_in.weight", c.VocabSize, C)
	for l := range c.NumHiddenLayers {
		prefix := fmt.Sprintf("gpt_neox.layers.%d.", l)
		add(prefix+"input_layernorm.weight", C)
		add(prefix+"input_layernorm.bias", C)
		add(prefix+"post_attention_layernorm.weight", C)
		add(prefix+"post_attention_layernorm.bias", C)
		add(prefix+"attention.query_key_value.weight", 3*C, C)
		add(prefix+"attention.query_key_value.bias", 3*C)
		add(prefix+"attention.dense.weight", C, C)
		add(prefix+"attention.dense.bias", C)
		add(prefix+"mlp.dense_h_to_4h.weight", F, C)
		add(prefix+"mlp.dense_h_to_4h.bias", F)
		add(prefix+"mlp.dense_4h_to_h.weight", C, F)
		add(prefix+"mlp.dense_4h_to_h.bias", C)
	}
	add("gpt_neox.final_layer_norm.weight", C)
	add("gpt_neox.final_layer_norm.bias", C)
	add("embed_out.weight", c.VocabSize, C)
	return params
}

// NumParams returns the length of the flat slice.
func (c Config) NumParams() int {
	params := c.Params()
	last := params[len(params)-1]
	return last.Offset + last.Len()
}

// layerTensors is how many tensors of Params one layer has.
const layerTensors = 12

// layer holds views of one layer's tensors, in the order of Params: of the
// parameters themselves or of their gradients.
type layer struct {
	normInGain, normInBias     []float32 // [C]
	normPostGain, normPostBias []float32 // [C]
	qkv, qkvBias               []float32 // [3C, C], [3C]; rows per head [q|k|v]
	dense, denseBias           []float32 // [C, C], [C]
	up, upBias                 []float32 // [F, C], [F]
	down, downBias             []float32 // [C, F], [C]
}

// outer holds views of the tensors outside the layers.
type outer struct {
	embedIn            []float32 // [V, C]
	normGain, normBias []float32 // [C]
	embedOut           []float32 // [V, C]
}

func (n *Net) layer(flat []float32, l int) layer {
	at := func(i int) []float32 { return n.tensor(flat, 1+layerTensors*l+i) }
	return layer{at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(8), at(9), at(10), at(11)}
}

func (n *Net) outer(flat []float32) outer {
	last := len(n.params) - 1
	return outer{n.tensor(flat, 0), n.tensor(flat, last-2), n.tensor(flat, last-1), n.tensor(flat, last)}
}

func (n *Net) tensor(flat []float32, i int) []float32 {
	return flat[n.params[i].Offset:][:n.params[i].Len()]
}

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
