package job

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"halos/data"
	"halos/model"
	"halos/optim"
	"halos/roles"
	"halos/train"
)

// presets are the jobs that Preset knows, smallest first. Each lacks its name, its
// salt and what all have in common.
var presets = []struct {
	name string
	job  Job
}{
	// One minute of a laptop: two regions of two workers.
	{"tiny", Job{
		Tokens: 800_000,
		Model:  neox(128, 4, 4, 64, data.Vocabulary, 0.25),
		Config: roles.Config{
			H: 32, K: 4, Alpha: 0.5, Batch: 1, GlobalBatch: 8,
			LPS: optim.NesterovConfig{LR: 1, Beta: 0.5, N: 4},
			GPS: optim.NesterovConfig{LR: 1, Beta: 0.3, N: 2},
		},
		Optimizer: Optimizer{LR: 2e-3, Warmup: 80},
	}},
	// An evening of a few machines.
	{"small", Job{
		Tokens: 60_000_000,
		Model:  neox(384, 6, 6, 256, data.Vocabulary, 0.25),
		Config: roles.Config{
			H: 8, K: 8, Alpha: 0.25, Batch: 8, GlobalBatch: 32,
			LPS: optim.NesterovConfig{LR: 1, Beta: 0.5, N: 4},
			GPS: optim.NesterovConfig{LR: 1, Beta: 0.3, N: 2},
		},
		Optimizer: Optimizer{LR: 1e-3, Warmup: 100},
	}},
	// The shape published as EleutherAI/pythia-70m, here on bytes: for benchmarks.
	// H, K and the momenta are those of HALoS (arXiv 2506.04531).
	{"pythia-70m", Job{
		Tokens: 1_000_000_000,
		Model:  neox(512, 6, 8, 2048, 50304, 0.25),
		Config: roles.Config{
			H: 8, K: 32, Alpha: 0.25, Batch: 1, GlobalBatch: 64,
			LPS: optim.NesterovConfig{LR: 0.2 * 16, Beta: 0.9, N: 16},
			GPS: optim.NesterovConfig{LR: 0.15 * 2, Beta: 0.5, N: 2},
		},
		Optimizer: Optimizer{LR: 1e-3, Warmup: 300},
	}},
}

// neox is the shape that GPT-NeoX and Pythia models share.
func neox(hidden, layers, heads, context, vocabulary int, rotary float64) model.Config {
	return model.Config{
		VocabSize:             vocabulary,
		HiddenSize:            hidden,
		NumHiddenLayers:       layers,
		NumAttentionHeads:     heads,
		IntermediateSize:      4 * hidden,
		RotaryPct:             rotary,
		RotaryEmbBase:         10_000,
		LayerNormEps:          1e-5,
		UseParallelResidual:   true,
		MaxPositionEmbeddings: context,
	}
}

// PresetNames lists the presets, smallest first.
func PresetNames() []string {
	var names []string
	for _, p := range presets {
		names = append(names, p.name)
	}
	return names
}

// Preset returns a new job with the settings of a preset, on the embedded corpus.
// Its salt is drawn, so that each call gives another id.
func Preset(name string) (*Job, error) {
	i := slices.Index(PresetNames(), name)
	if i < 0 {
		did := ""
		if near := Nearest(name, PresetNames()); near != "" {
			did = fmt.Sprintf(": did you mean %s?", near)
		}
		return nil, fmt.Errorf("unknown preset %q%s (there are %s)", name, did, strings.Join(PresetNames(), ", "))
	}
	j := presets[i].job
	j.Format = Format
	j.Name = name
	j.Salt = newSalt()
	j.Seed = 1
	j.Workload = Train
	j.InFlight = roles.Carry
	j.Rescale = true
	j.Codec = Codecs{Region: "f32", Global: "f32"}
	j.Source = data.Austen()
	j.Optimizer.AdamWConfig = optim.AdamWConfig{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, Clip: 1}
	j.Guard = roles.Guard{NormPerStep: normPerStep(j.Optimizer.LR, j.Model.NumParams()), MaxStaleness: staleness}
	return &j, nil
}

// LedgerSteps is how many local steps the ledger workload makes in d with so many
// workers.
func LedgerSteps(workers int, d time.Duration) uint64 {
	return max(1, uint64(workers)*uint64(d/train.LedgerPace))
}

// ForLedger returns a new job of the ledger workload with so many local steps: as many
// parameters, and servers that add deltas up.
func ForLedger(steps uint64) (*Job, error) {
	const width, context = 16, 8
	j, err := Preset("tiny")
	if err != nil {
		return nil, err
	}
	vocabulary := max(data.Vocabulary, int(steps/(2*width))+1) // in the embedding and in the head
	j.Name, j.Workload = "ledger", Ledger
	j.Model = neox(width, 1, 2, context, vocabulary, 0.25)
	j.Tokens = steps * context
	j.H, j.K, j.Alpha, j.Batch, j.GlobalBatch, j.Rescale = 20, 4, 0, 1, 1, false
	j.LPS = optim.NesterovConfig{LR: 1, N: 1}
	j.GPS = j.LPS
	j.Optimizer.Warmup = 0
	j.Guard.NormPerStep = 1
	return j, nil
}

// staleness is how many versions a worker's delta may be behind: a worker that froze
// for longer than its whole region takes for so many deltas begins anew.
const staleness = 1000

// normPerStep bounds the norm of a delta per local step: ten times that of an
// AdamW step, which moves each parameter by about the learning rate, rounded up to
// two digits.
func normPerStep(lr float64, params int) float64 {
	bound := 10 * lr * math.Sqrt(float64(params))
	unit := math.Pow(10, math.Floor(math.Log10(bound))-1)
	return math.Round(math.Ceil(bound/unit)*unit*1e6) / 1e6
}

func newSalt() string {
	raw := make([]byte, 8)
	rand.Read(raw) // never fails: it ends the program instead
	return hex.EncodeToString(raw)
}
