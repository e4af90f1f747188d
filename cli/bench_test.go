package cli

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"halos/model"
	"halos/tensor"
	"halos/train"
)

func TestBenchTrain(t *testing.T) {
	args := []string{"bench", "train", "--steps", "3", "--batch", "2", "--context", "24", "--threads", "2"}
	for _, recompute := range []bool{false, true} {
		if recompute {
			args = append(args, "--recompute")
		}
		o := run(t, append(args, "--json")...)
		var s trainingSpeed
		if err := json.Unmarshal([]byte(o.out), &s); err != nil || o.code != codeOK || o.err != "" {
			t.Fatalf("%v: %+v", err, o)
		}
		want := trainingSpeed{
			Schema: trainingSchema, Preset: "tiny", Threads: 2, Batch: 2, Context: 24, Recompute: recompute, Kernel: tensor.Kernel(), Steps: 3,
			TokensPerSecond: s.TokensPerSecond, GFLOPS: s.GFLOPS, PeakGFLOPS: s.PeakGFLOPS, PeakShare: s.PeakShare, MemoryBytes: s.MemoryBytes,
		}
		if s != want {
			t.Errorf("got  %+v\nwant %+v", s, want)
		}
		cfg := tinyJob(t).TrainConfig()
		cfg.Batch, cfg.Context = 2, 24
		if perToken := stepFLOPs(cfg) / 48 / 1e9; !(s.TokensPerSecond > 0) || math.Abs(s.GFLOPS/s.TokensPerSecond-perToken) > 1e-9*perToken {
			t.Errorf("%v GFLOP/s at %v tokens/s, want %v per token", s.GFLOPS, s.TokensPerSecond, perToken)
		}
		near(t, "share of the peak", s.PeakShare, s.GFLOPS/s.PeakGFLOPS)
		if params := 4 * 4 * cfg.Model.NumParams(); !(s.PeakGFLOPS > 0) || s.MemoryBytes < uint64(params) {
			t.Errorf("peak %v GFLOP/s, %d bytes held, of which parameters and what belongs to them take %d", s.PeakGFLOPS, s.MemoryBytes, params)
		}
	}
	if o := run(t, args...); o.code != codeOK || !strings.Contains(o.out, "allocations  0 per step\n") || !strings.Contains(o.out, "median of 3 steps") {
		t.Errorf("%+v", o)
	}
}

func TestBenchGenerate(t *testing.T) {
	args := []string{"bench", "generate", "--preset", "tiny", "--tokens", "3", "--threads", "2"}
	o := run(t, append(args, "--json")...)
	var s generationSpeed
	if err := json.Unmarshal([]byte(o.out), &s); err != nil || o.code != codeOK || o.err != "" {
		t.Fatalf("%v: %+v", err, o)
	}
	m := tinyJob(t).Model
	want := generationSpeed{
		Schema: generationSchema, Preset: "tiny", Threads: 2, Kernel: tensor.Kernel(), Tokens: 3,
		TokensPerSecond: s.TokensPerSecond, WeightBytes: 4 * (m.NumParams() - m.VocabSize*m.HiddenSize), MemoryGBPS: s.MemoryGBPS, Times: s.Times,
	}
	if s != want || !(s.TokensPerSecond > 0 && s.MemoryGBPS > 0) {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
	near(t, "times", s.Times, s.MemoryGBPS*1e9/float64(s.WeightBytes)/s.TokensPerSecond)
	if o := run(t, args...); o.code != codeOK || !strings.Contains(o.out, "texts of 3 tokens") {
		t.Errorf("%+v", o)
	}
}

// near fails where a median of ratios is another thing than the ratio of the medians
// beside it. On a busy machine both vary, a wrong unit is off by more.
func near(t *testing.T, name string, got, want float64) {
	t.Helper()
	if !(want > 0 && got > want/20 && got < want*20) {
		t.Errorf("%s: %v, about %v by the other figures", name, got, want)
	}
}

func TestMediansInTurn(t *testing.T) {
	speed := timed{took: []float64{1, 4, 2}, bound: []float64{0.5, 1, 3}}
	if s, b, share := speed.seconds(), speed.boundSeconds(), speed.share(); s != 2 || b != 1 || share != 0.5 {
		t.Errorf("took %v, bound %v, share %v; want 2, 1, 0.5", s, b, share)
	}
}

func TestStepFLOPs(t *testing.T) {
	cfg := train.Config{Batch: 3, Accumulation: 2, Context: 5, Model: model.Config{
		VocabSize: 11, HiddenSize: 4, NumHiddenLayers: 2, NumAttentionHeads: 2, IntermediateSize: 7,
	}}
	weights := 2*(12*4+4*4+2*7*4) + 11*4
	pairs := 1 + 2 + 3 + 4 + 5 // of a query and a key that it sees
	forward := 2*weights*5 + 2*(2*2*4*pairs)
	if got, want := stepFLOPs(cfg), float64(6*3*forward); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestBenchKernels(t *testing.T) {
	o := run(t, "bench", "kernels", "--preset", "tiny", "--elements", "1000", "--threads", "2", "--json")
	var s kernelSpeeds
	if err := json.Unmarshal([]byte(o.out), &s); err != nil || o.code != codeOK || o.err != "" {
		t.Fatalf("%v: %+v", err, o)
	}
	if s.Schema != kernelSchema || s.Threads != 2 || s.Kernel != tensor.Kernel() || s.Elements != 1000 || !(s.TriadGBPS > 0) || len(s.Products) != 15 {
		t.Errorf("%+v", s)
	}
	least, logs := math.Inf(1), 0.0
	for _, p := range s.Products {
		if p.Preset != "tiny" || !(p.GFLOPS > 0) {
			t.Errorf("%+v", p)
		}
		near(t, p.Layer+" "+p.Form, p.Share, p.GFLOPS/s.PeakGFLOPS)
		least, logs = min(least, p.Share), logs+math.Log(p.Share)
	}
	if mean := math.Exp(logs / 15); s.LeastShare != least || math.Abs(s.GeometricShare-mean) > 1e-9*mean {
		t.Errorf("least %v, mean %v; want %v, %v", s.LeastShare, s.GeometricShare, least, mean)
	}
	if got, want := s.Products[1], (productRate{"tiny", "qkv", "NN", 64, 128, 384, s.Products[1].GFLOPS, s.Products[1].Share}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, l := range append(s.Loops, s.Activations...) {
		near(t, l.Name, l.Share, l.GBPS/s.TriadGBPS)
	}
	var text strings.Builder
	table := &invocation{Program: Program{Out: &text}}
	if err := table.printKernels(false, s); err != nil || !strings.Contains(text.String(), "geometric mean") || !strings.Contains(text.String(), "nesterov") {
		t.Errorf("%v: %s", err, text.String())
	}
}

func TestBadBench(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"unknown bench", []string{"bench", "trian"}, []string{`unknown command "trian": did you mean halos bench train?`, `"halos bench --help"`}},
		{"unknown flag", []string{"bench", "train", "--stepps", "3"}, []string{"did you mean --steps?", `"halos bench train --help"`}},
		{"flag before the bench", []string{"bench", "--steps", "3", "train"}, []string{"unknown flag --steps", `"halos bench --help"`}},
		{"preset without its flag", []string{"bench", "train", "small"}, []string{"did you mean halos bench train --preset small?"}},
		{"flag behind an argument", []string{"bench", "kernels", "small", "--threads", "1"}, []string{"halos bench kernels --threads 1 small"}},
		{"unknown preset", []string{"bench", "train", "--preset", "smal"}, []string{"did you mean small?"}},
		{"unknown preset of kernels", []string{"bench", "kernels", "--preset", "smal"}, []string{"did you mean small?"}},
		{"context", []string{"bench", "train", "--context", "129"}, []string{"flag --context: 129 is more than the 64 tokens of tiny"}},
		{"batch", []string{"bench", "train", "--batch", "1000000"}, []string{"flag --batch: 1000000 sequences of 64 tokens"}},
		{"all at once", []string{"bench", "train", "--batch", "-1", "--context", "-2", "--steps", "-3", "--threads", "-4"},
			[]string{"--batch: -1 is less than 0", "--context: -2", "--steps: -3", "--threads: -4"}},
		{"elements", []string{"bench", "kernels", "--elements", "0"}, []string{"flag --elements: 0 is less than 1"}},
		{"tokens", []string{"bench", "generate", "--tokens", "100000"}, []string{"flag --tokens: 100000 is more than 65536"}},
		{"preset of a text", []string{"bench", "generate", "--preset", "smal", "--threads", "-1"}, []string{"did you mean small?", "--threads: -1"}},
		{"no number", []string{"bench", "kernels", "--elements", "many"}, []string{`flag --elements: "many" is not a whole number`}},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, run(t, c.args...), codeUsage, c.want...) })
	}
}

func TestBenchHelpTeaches(t *testing.T) {
	alone := run(t, "bench")
	for _, name := range []string{"train", "generate", "kernels"} {
		help := run(t, "bench", name, "--help")
		if help.code != codeOK || help.err != "" || !strings.Contains(help.out, "halos bench "+name) {
			t.Errorf("%s: %+v", name, help)
		}
		if same := run(t, "help", "bench", name); same != help {
			t.Errorf("help bench %s differs: %+v", name, same)
		}
		if !strings.Contains(alone.out, name+" ") {
			t.Errorf("halos bench does not list %s: %s", name, alone.out)
		}
	}
}

func TestBenchEndsWhenInterrupted(t *testing.T) {
	for _, name := range []string{"train", "generate", "kernels"} {
		signals := make(chan os.Signal, 1)
		signals <- os.Interrupt
		if o := runWith(t, Program{Signals: signals}, "bench", name); o.code != codeInterrupted || o.out != "" {
			t.Errorf("%s: %+v", name, o)
		}
	}
}
