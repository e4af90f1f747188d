// Package model is the GPT-NeoX (Pythia) transformer with hand-written forward and
// backward passes over one flat slice of parameters.
//
// Letters, once: B sequences of T tokens, C = hidden size, F = intermediate size,
// H heads of hd = C/H elements, L layers, V = vocabulary size.
//
// Params names the tensors in the flat slice as Hugging Face checkpoints do, so an
// optimizer, a norm or a delta is one loop over the slice, and a checkpoint is a
// walk over Params. Linear weights are [out, in].
package model

import (
	"errors"
	"fmt"
)

// Config is the shape of a model, under the field names of Hugging Face's
// GPT-NeoX. Peers of a job must agree on it.
type Config struct {
	VocabSize             int     `json:"vocab_size" yaml:"vocab_size"`
	HiddenSize            int     `json:"hidden_size" yaml:"hidden_size"`
	NumHiddenLayers       int     `json:"num_hidden_layers" yaml:"num_hidden_layers"`
	NumAttentionHeads     int     `json:"num_attention_heads" yaml:"num_attention_heads"`
	IntermediateSize      int     `json:"intermediate_size" yaml:"intermediate_size"`
	RotaryPct             float64 `json:"rotary_pct" yaml:"rotary_pct"` // share of a head's elements that rotary turns
	RotaryEmbBase         float64 `json:"rotary_emb_base" yaml:"rotary_emb_base"`
	LayerNormEps          float64 `json:"layer_norm_eps" yaml:"layer_norm_eps"`
	UseParallelResidual   bool    `json:"use_parallel_residual" yaml:"use_parallel_residual"`
	MaxPositionEmbeddings int     `json:"max_position_embeddings" yaml:"max_position_embeddings"` // the longest context
}

// Bounds far above any model this package can train. They keep the number of
// parameters within an int and a hostile manifest from naming an absurd one.
const (
	maxWidth  = 1 << 17 // of each dimension but the vocabulary
	maxVocab  = 1 << 20
	maxLayers = 1 << 10
	maxParams = 1 << 34
)

// Validate reports all faults at once.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	inRange := func(name string, v, limit int) bool {
		if v < 1 || v > limit {
			fault("%s is %d, want 1 to %d", name, v, limit)
			return false
		}
		return true
	}
	sized := inRange("vocab_size", c.VocabSize, maxVocab)
	sized = inRange("num_hidden_layers", c.NumHiddenLayers, maxLayers) && sized
	sized = inRange("intermediate_size", c.IntermediateSize, maxWidth) && sized
	inRange("max_position_embeddings", c.MaxPositionEmbeddings, 1<<24)
	heads := inRange("hidden_size", c.HiddenSize, maxWidth)
	heads = inRange("num_attention_heads", c.NumAttentionHeads, maxWidth) && heads
	if heads && sized && c.NumParams() > maxParams {
		fault("the model has %d parameters, want at most %d", c.NumParams(), maxParams)
	}
	switch {
	case !heads:
	case c.HiddenSize%c.NumAttentionHeads != 0:
		fault("hidden_size %d is not a multiple of num_attention_heads %d", c.HiddenSize, c.NumAttentionHeads)
	case !(c.RotaryPct > 0 && c.RotaryPct <= 1):
		fault("rotary_pct is %v, want more than 0 and at most 1", c.RotaryPct)
	case c.rotary() < 2 || c.rotary()%2 != 0:
		fault("rotary_pct %v turns %d of %d elements per head, want an even number of at least 2", c.RotaryPct, c.rotary(), c.headSize())
	}
	if !(c.RotaryEmbBase > 1 && c.RotaryEmbBase <= 1e12) {
		fault("rotary_emb_base is %v, want more than 1 and at most 1e12", c.RotaryEmbBase)
	}
	if !(c.LayerNormEps > 0 && c.LayerNormEps < 1) {
		fault("layer_norm_eps is %v, want between 0 and 1", c.LayerNormEps)
	}
	return errors.Join(faults...)
}

// headSize returns hd.
func (c Config) headSize() int { return c.HiddenSize / c.NumAttentionHeads }

// rotary returns how many leading elements of each head rotary turns.
func (c Config) rotary() int { return int(float64(c.headSize()) * c.RotaryPct) }
