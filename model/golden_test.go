package model_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"halos/model"
	"halos/optim"
)

// golden is one file of shared reference values made with PyTorch in float32.
type golden struct {
	config model.Config
	floats map[string][]float32
	tokens []int32 // [B, T+1]
	B, T   int
	loss   float64
	losses []float64 // of each AdamW step
	norms  []float64 // of each AdamW step, before clipping
	adamw  optim.AdamWConfig
	lr     float64
	shapes map[string][]int
}

// entry describes one tensor in the header of a safetensors file.
type entry struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

func eachGolden(t *testing.T, test func(t *testing.T, g golden)) {
	files, err := filepath.Glob("testdata/neox_*.safetensors")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { test(t, readGolden(t, file)) })
	}
}

func readGolden(t *testing.T, file string) golden {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	size := binary.LittleEndian.Uint64(raw)
	header := map[string]json.RawMessage{}
	decode(t, raw[8:8+size], &header)
	g := golden{floats: map[string][]float32{}, shapes: map[string][]int{}}
	g.readMetadata(t, header["__metadata__"])
	delete(header, "__metadata__")
	for name, text := range header {
		var e entry
		decode(t, text, &e)
		data := raw[8+size:][e.Offsets[0]:e.Offsets[1]]
		g.shapes[name] = e.Shape
		if name == "tokens" {
			g.B, g.T = e.Shape[0], e.Shape[1]-1
			for ; len(data) > 0; data = data[4:] {
				g.tokens = append(g.tokens, int32(binary.LittleEndian.Uint32(data)))
			}
			continue
		}
		values := make([]float32, len(data)/4)
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
		g.floats[name] = values
	}
	return g
}

func (g *golden) readMetadata(t *testing.T, text []byte) {
	var meta map[string]string
	decode(t, text, &meta)
	decode(t, []byte(meta["config"]), &g.config)
	decode(t, []byte(meta["step_losses"]), &g.losses)
	decode(t, []byte(meta["step_grad_norms"]), &g.norms)
	var a struct {
		LR          float64    `json:"lr"`
		Betas       [2]float64 `json:"betas"`
		Eps         float64    `json:"eps"`
		WeightDecay float64    `json:"weight_decay"`
		ClipNorm    float64    `json:"clip_norm"`
	}
	decode(t, []byte(meta["adamw"]), &a)
	g.lr = a.LR
	g.adamw = optim.AdamWConfig{Beta1: a.Betas[0], Beta2: a.Betas[1], Eps: a.Eps, WeightDecay: a.WeightDecay, Clip: a.ClipNorm}
	var err error
	if g.loss, err = strconv.ParseFloat(meta["loss"], 64); err != nil {
		t.Fatal(err)
	}
}

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// flat gathers the tensors under prefix into a slice laid out as the parameters.
func (g golden) flat(t *testing.T, prefix string) []float32 {
	t.Helper()
	params, found := make([]float32, g.config.NumParams()), 0
	for _, p := range g.config.Params() {
		if shape := g.shapes[prefix+p.Name]; !slices.Equal(shape, p.Shape) {
			t.Fatalf("%s%s has shape %v, the golden %v", prefix, p.Name, p.Shape, shape)
		}
		copy(params[p.Offset:], g.floats[prefix+p.Name])
		found++
	}
	for name := range g.shapes {
		if strings.HasPrefix(name, prefix) {
			found--
		}
	}
	if found != 0 {
		t.Fatalf("the golden has %d tensors under %s that the model lacks", -found, prefix)
	}
	return params
}

// near fails unless got agrees with want to tolerance times want's largest magnitude.
func near(t *testing.T, name string, got, want []float32, tolerance float64, except func(i int) bool) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d elements, want %d", name, len(got), len(want))
	}
	var largest float64
	for _, v := range want {
		largest = max(largest, math.Abs(float64(v)))
	}
	worst, at := 0.0, 0
	for i := range want {
		if except != nil && except(i) {
			continue
		}
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= worst) {
			worst, at = d, i
		}
	}
	if !(worst <= tolerance*largest) {
		t.Errorf("%s[%d] = %v, want %v: off by %.2g of the largest, %v", name, at, got[at], want[at], worst/largest, largest)
	}
}

func nearly(t *testing.T, name string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-5*want) {
		t.Errorf("%s = %.9g, want %.9g", name, got, want)
	}
}

func TestGoldenForwardAndBackward(t *testing.T) {
	eachGolden(t, func(t *testing.T, g golden) {
		net, params := model.NewNet(g.config, g.B, g.T, model.Options{}), g.flat(t, "weight/")
		inputs := make([]int32, 0, g.B*g.T)
		for b := range g.B {
			inputs = append(inputs, g.tokens[b*(g.T+1):][:g.T]...)
		}
		logits := make([]float32, g.B*g.T*g.config.VocabSize)
		net.Logits(logits, params, inputs, g.B, g.T)
		near(t, "logits", logits, g.floats["logits"], 2e-5, nil)
		nearly(t, "loss", net.Loss(params, g.tokens, g.B, g.T), g.loss)
		grads := make([]float32, len(params))
		nearly(t, "loss with gradient", net.LossGrad(grads, params, g.tokens, g.B, g.T, 1), g.loss)
		want := g.flat(t, "grad/")
		for _, p := range g.config.Params() {
			near(t, p.Name, grads[p.Offset:][:p.Len()], want[p.Offset:][:p.Len()], 2e-5, nil)
		}
	})
}

func TestGoldenAdamWSteps(t *testing.T) {
	eachGolden(t, func(t *testing.T, g golden) {
		net, params := model.NewNet(g.config, g.B, g.T, model.Options{}), g.flat(t, "weight/")
		var decay []optim.Span
		for _, p := range g.config.Params() {
			if len(p.Shape) > 1 {
				decay = append(decay, optim.Span{Start: p.Offset, End: p.Offset + p.Len()})
			}
		}
		opt, grads := optim.NewAdamW(g.adamw, len(params), decay), make([]float32, len(params))
		for i := range g.losses {
			clear(grads)
			nearly(t, "step loss", net.LossGrad(grads, params, g.tokens, g.B, g.T, 1), g.losses[i])
			nearly(t, "step gradient norm", opt.Step(params, grads, g.lr), g.norms[i])
		}
		want := g.flat(t, "after/")
		for _, p := range g.config.Params() {
			var except func(int) bool
			if strings.HasSuffix(p.Name, "query_key_value.bias") {
				except = g.unturnedKey
			}
			near(t, "after/"+p.Name, params[p.Offset:][:p.Len()], want[p.Offset:][:p.Len()], 3e-4, except)
		}
	})
}

// unturnedKey says whether row i of query_key_value.bias belongs to the part of a
// key that rotary does not turn. It shifts all scores of a query alike, so its true
// gradient is 0 and AdamW moves it by rounding noise.
func (g golden) unturnedKey(i int) bool {
	hd := g.config.HiddenSize / g.config.NumAttentionHeads
	turned := int(float64(hd) * g.config.RotaryPct)
	i %= 3 * hd
	return i >= hd+turned && i < 2*hd
}
