package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// hf is the config.json of a Hugging Face GPT-NeoX checkpoint: Config and the
// fields that tell other programs which model this is.
type hf struct {
	Architectures     []string `json:"architectures"`
	ModelType         string   `json:"model_type"`
	HiddenAct         string   `json:"hidden_act"`
	AttentionBias     bool     `json:"attention_bias"`
	TieWordEmbeddings bool     `json:"tie_word_embeddings"`
	TorchDType        string   `json:"torch_dtype"`
	Config
	RopeScaling    json.RawMessage `json:"rope_scaling,omitempty"`
	RopeParameters *ropeParameters `json:"rope_parameters,omitempty"`
}

// ropeParameters is what transformers 5 writes in the place of rotary_emb_base and
// rotary_pct; it still reads those.
type ropeParameters struct {
	Type   string   `json:"rope_type"`
	Theta  *float64 `json:"rope_theta"`
	Factor *float64 `json:"partial_rotary_factor"`
}

// HF returns c as the config.json that Hugging Face's GPTNeoXForCausalLM reads.
func (c Config) HF() ([]byte, error) {
	text, err := json.MarshalIndent(hf{
		Architectures: []string{"GPTNeoXForCausalLM"},
		ModelType:     "gpt_neox",
		HiddenAct:     "gelu",
		AttentionBias: true,
		TorchDType:    "float32",
		Config:        c,
	}, "", "  ")
	return append(text, '\n'), err
}

// ParseHF reads a config.json. What it leaves out has Hugging Face's default; a
// model that this package would compute wrongly is an error.
func ParseHF(text []byte) (Config, error) {
	file := hf{
		HiddenAct:     "gelu",
		AttentionBias: true,
		Config:        Config{RotaryPct: 0.25, RotaryEmbBase: 10000, LayerNormEps: 1e-5, UseParallelResidual: true, MaxPositionEmbeddings: 2048},
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return Config{}, fmt.Errorf("config.json: %w", err)
	}
	if file.ModelType != "gpt_neox" {
		return Config{}, fmt.Errorf("config.json: model_type %q is not supported, only gpt_neox (Pythia) is", file.ModelType)
	}
	c := file.Config
	if r := file.RopeParameters; r != nil {
		if r.Theta != nil {
			c.RotaryEmbBase = *r.Theta
		}
		if r.Factor != nil {
			c.RotaryPct = *r.Factor
		}
	}
	if err := errors.Join(file.unsupported(), c.Validate()); err != nil {
		return Config{}, fmt.Errorf("config.json: %w", err)
	}
	return c, nil
}

// unsupported names the settings that change what the model computes in a way that
// this package does not know.
func (f hf) unsupported() error {
	var faults []error
	if f.HiddenAct != "gelu" {
		faults = append(faults, fmt.Errorf("hidden_act %q is not supported, only gelu (by erf) is", f.HiddenAct))
	}
	if f.TieWordEmbeddings {
		faults = append(faults, errors.New("tie_word_embeddings is not supported: embed_out must have its own weights"))
	}
	if !f.AttentionBias {
		faults = append(faults, errors.New("attention_bias false is not supported"))
	}
	if s := bytes.TrimSpace(f.RopeScaling); len(s) > 0 && !bytes.Equal(s, []byte("null")) {
		faults = append(faults, fmt.Errorf("rope_scaling %s is not supported", s))
	}
	if r := f.RopeParameters; r != nil && r.Type != "" && r.Type != "default" {
		faults = append(faults, fmt.Errorf("rope_type %q is not supported, only default is", r.Type))
	}
	return errors.Join(faults...)
}
