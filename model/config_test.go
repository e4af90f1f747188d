package model

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(c *Config)
		want  []string // parts of the error; none if valid
	}{
		{"valid", func(c *Config) {}, nil},
		{"zero", func(c *Config) { *c = Config{} }, []string{"vocab_size is 0", "hidden_size is 0", "num_hidden_layers is 0", "num_attention_heads is 0", "intermediate_size is 0", "max_position_embeddings is 0", "rotary_emb_base is 0", "layer_norm_eps is 0"}},
		{"negative layers", func(c *Config) { c.NumHiddenLayers = -1 }, []string{"num_hidden_layers is -1, want 1 to"}},
		{"absurd width", func(c *Config) { c.HiddenSize = 1 << 40 }, []string{"hidden_size is 1099511627776"}},
		{"absurd product", func(c *Config) { c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers = 1<<16, 1<<17, 1<<10 }, []string{"parameters, want at most"}},
		{"heads do not divide", func(c *Config) { c.NumAttentionHeads = 3 }, []string{"hidden_size 128 is not a multiple of num_attention_heads 3"}},
		{"odd rotary", func(c *Config) { c.RotaryPct = 0.1 }, []string{"rotary_pct 0.1 turns 3 of 32 elements per head"}},
		{"no rotary", func(c *Config) { c.RotaryPct = 0.01 }, []string{"turns 0 of 32"}},
		{"rotary above one", func(c *Config) { c.RotaryPct = 1.5 }, []string{"rotary_pct is 1.5"}},
		{"rotary not a number", func(c *Config) { c.RotaryPct = math.NaN() }, []string{"rotary_pct is NaN"}},
		{"base", func(c *Config) { c.RotaryEmbBase = math.Inf(1) }, []string{"rotary_emb_base is +Inf"}},
		{"two faults", func(c *Config) { c.VocabSize, c.LayerNormEps = 0, -1 }, []string{"vocab_size is 0", "layer_norm_eps is -1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := tiny
			test.spoil(&c)
			err := c.Validate()
			if (err != nil) != (test.want != nil) {
				t.Fatalf("got %v, want parts %q", err, test.want)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %v, want %q in it", err, part)
				}
			}
		})
	}
}

func TestHFRoundTrip(t *testing.T) {
	for _, c := range []Config{tiny, sequential(toy)} {
		text, err := c.HF()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseHF(text)
		if err != nil || got != c {
			t.Errorf("got %+v (%v), want %+v", got, err, c)
		}
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		if fields["model_type"] != "gpt_neox" || fields["hidden_act"] != "gelu" || fields["tie_word_embeddings"] != false || fields["torch_dtype"] != "float32" {
			t.Errorf("config.json lacks what transformers needs: %s", text)
		}
	}
}

// pythia70M is the config.json of EleutherAI/pythia-70m.
const pythia70M = `{"architectures": ["GPTNeoXForCausalLM"], "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "gelu", "hidden_size": 512,
"initializer_range": 0.02, "intermediate_size": 2048, "layer_norm_eps": 1e-05, "max_position_embeddings": 2048, "model_type": "gpt_neox",
"num_attention_heads": 8, "num_hidden_layers": 6, "rotary_emb_base": 10000, "rotary_pct": 0.25, "tie_word_embeddings": false,
"torch_dtype": "float16", "transformers_version": "4.24.0", "use_cache": true, "use_parallel_residual": true, "vocab_size": 50304}`

func TestParseHFReadsPythia(t *testing.T) {
	c, err := ParseHF([]byte(pythia70M))
	want := Config{VocabSize: 50304, HiddenSize: 512, NumHiddenLayers: 6, NumAttentionHeads: 8, IntermediateSize: 2048,
		RotaryPct: 0.25, RotaryEmbBase: 10000, LayerNormEps: 1e-5, UseParallelResidual: true, MaxPositionEmbeddings: 2048}
	if err != nil || c != want {
		t.Fatalf("got %+v (%v), want %+v", c, err, want)
	}
	if n := 4 * c.NumParams(); n != 281706496 { // the size that ALGORITHMS.md counts transfers with
		t.Errorf("%d bytes of parameters, want 281706496", n)
	}
}

func TestParseHF(t *testing.T) {
	replace := func(old, new string) string { return strings.Replace(pythia70M, old, new, 1) }
	tests := []struct {
		name, text, want string // want is a part of the error
		check            func(Config) bool
	}{
		{"defaults", `{"model_type":"gpt_neox","vocab_size":9,"hidden_size":64,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":8}`, "", func(c Config) bool {
			return c.RotaryPct == 0.25 && c.RotaryEmbBase == 10000 && c.UseParallelResidual && c.LayerNormEps == 1e-5 && c.MaxPositionEmbeddings == 2048
		}},
		{"transformers 5", replace(`"rotary_emb_base": 10000, "rotary_pct": 0.25`, `"rope_parameters": {"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.5}`), "", func(c Config) bool {
			return c.RotaryPct == 0.5 && c.RotaryEmbBase == 500
		}},
		{"no scaling", replace(`"use_cache"`, `"rope_scaling": null, "use_cache"`), "", func(Config) bool { return true }},
		{"scaling", replace(`"use_cache"`, `"rope_scaling": {"factor": 2}, "use_cache"`), `rope_scaling {"factor": 2} is not supported`, nil},
		{"scaling of transformers 5", replace(`"use_cache"`, `"rope_parameters": {"rope_type": "yarn"}, "use_cache"`), `rope_type "yarn" is not supported`, nil},
		{"other model", replace("gpt_neox", "llama"), `model_type "llama" is not supported`, nil},
		{"tanh gelu", replace(`"gelu"`, `"gelu_new"`), `hidden_act "gelu_new" is not supported`, nil},
		{"tied", replace(`"tie_word_embeddings": false`, `"tie_word_embeddings": true`), "tie_word_embeddings is not supported", nil},
		{"no bias", replace(`"use_cache"`, `"attention_bias": false, "use_cache"`), "attention_bias false", nil},
		{"invalid", replace(`"hidden_size": 512`, `"hidden_size": 511`), "config.json: hidden_size 511 is not a multiple", nil},
		{"wrong type", replace("512", `"512"`), "config.json: json: cannot unmarshal string", nil},
		{"not JSON", "garbage", "config.json: invalid character", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := ParseHF([]byte(test.text))
			switch {
			case test.want == "" && (err != nil || !test.check(c)):
				t.Errorf("got %+v, %v", c, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got error %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestParamsLieWithoutGaps(t *testing.T) {
	end := 0
	for _, p := range toy.Params() {
		if p.Offset != end {
			t.Errorf("%s starts at %d, want %d", p.Name, p.Offset, end)
		}
		end += p.Len()
	}
	if end != toy.NumParams() {
		t.Errorf("%d parameters, the tensors end at %d", toy.NumParams(), end)
	}
}

func TestInit(t *testing.T) {
	params := make([]float32, tiny.NumParams())
	Init(params, tiny, 7)
	for _, p := range tiny.Params() {
		var sum, squares float64
		for _, v := range params[p.Offset:][:p.Len()] {
			sum += float64(v)
			squares += float64(v) * float64(v)
		}
		n := float64(p.Len())
		mean, std := sum/n, math.Sqrt(squares/n-sum/n*sum/n)
		wantMean, wantStd := 0.0, math.Sqrt(2/(5*128.0))
		switch {
		case strings.HasSuffix(p.Name, "bias"):
			wantStd = 0
		case strings.Contains(p.Name, "norm"):
			wantMean, wantStd = 1, 0
		case strings.Contains(p.Name, "attention.dense") || strings.Contains(p.Name, "4h_to_h"):
			wantStd = 2 / (4 * math.Sqrt(128))
		}
		if math.Abs(mean-wantMean) > 5*wantStd/math.Sqrt(n) || math.Abs(std-wantStd) > 0.05*wantStd {
			t.Errorf("%s: mean %.4g and deviation %.4g, want %v and %.4g", p.Name, mean, std, wantMean, wantStd)
		}
	}
	same, other := make([]float32, len(params)), make([]float32, len(params))
	Init(same, tiny, 7)
	Init(other, tiny, 8)
	if !slices.Equal(params, same) || slices.Equal(params, other) {
		t.Error("want the same bits from the same seed, and others from another")
	}
}
