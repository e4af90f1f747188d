package cli

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"halos/data"
	"halos/job"
	"halos/model"
	"halos/tensor"
	"halos/train"
)

// trainingSchema names the form of training speed as JSON.
const trainingSchema = "halos.bench.train/1"

// trainingSpeed is how fast a model trains.
type trainingSpeed struct {
	Schema          string  `json:"schema"`
	Preset          string  `json:"preset"`
	Threads         int     `json:"threads"`
	Batch           int     `json:"batch"`   // sequences at once
	Context         int     `json:"context"` // tokens of a sequence
	Recompute       bool    `json:"recompute"`
	Kernel          string  `json:"kernel"`
	Steps           int     `json:"steps"`             // measured
	TokensPerSecond float64 `json:"tokens_per_second"` // median over the steps
	GFLOPS          float64 `json:"gflops"`            // see stepFLOPs
	PeakGFLOPS      float64 `json:"peak_gflops"`       // of the same threads, median of one run before each step
	PeakShare       float64 `json:"peak_share"`        // median over the steps, each beside the peak of that moment
	AllocsPerStep   float64 `json:"allocs_per_step"`   // median too: now and then the runtime starts a thread
	MemoryBytes     uint64  `json:"memory_bytes"`      // most that the process has held
}

const (
	warmUp    = 2                // steps before the measured ones at least
	benchTime = 10 * time.Second // of the measured steps where --steps leaves it open
	leastRuns = 3                // steps then
	mostAtOne = 1 << 18          // tokens in a step
)

func (i *invocation) benchTrainCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "train",
		Usage:     "measure training steps of a preset's model",
		UsageText: "halos bench train [flags]",
		Description: `Trains a new model on the embedded text: forward and backward pass, clipping and
AdamW, as a worker does. The rate is the median over the steps, after a warm-up.

    halos bench train
    halos bench train --preset pythia-70m --threads 1 --steps 5 --json

Floating-point operations are counted as papers do: 6 per token and weight of the
matrices that multiply (embed_out is one, the table of embeddings is not), and
6*T*(T+1)*C per layer and sequence for the causal half of the attention to T
tokens. What is computed again with --recompute does not count.`,
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "preset", Value: "tiny", Usage: "train the model of `NAME`: " + strings.Join(job.PresetNames(), ", ")},
			threadsFlag(),
			&urfave.IntFlag{Name: "batch", DefaultText: "the preset's", Usage: "put `N` sequences through the model at once"},
			&urfave.IntFlag{Name: "context", DefaultText: "the preset's", Usage: "of `N` tokens each"},
			&urfave.IntFlag{Name: "steps", DefaultText: "as many as take 10 seconds", Usage: "measure `N` steps"},
			&urfave.BoolFlag{Name: "recompute", DisableDefaultText: true, Usage: "compute activations twice rather than hold them"},
			jsonFlag(),
		},
		Action: func(c *urfave.Context) error {
			if _, err := i.arguments(c, 0, "preset"); err != nil {
				return err
			}
			cfg, err := benchConfig(c)
			if err != nil {
				return err
			}
			pool := newPool(c)
			defer pool.Close()
			speed, err := measureTraining(c.Context, cfg, model.Options{Pool: pool, Recompute: c.Bool("recompute")}, c.Int("steps"))
			if err != nil {
				return err
			}
			speed.Preset = c.String("preset")
			return i.printTraining(c.Bool("json"), speed)
		},
	}
}

// benchConfig checks the flags and makes of them what a worker would train.
func benchConfig(c *urfave.Context) (train.Config, error) {
	j, err := job.Preset(c.String("preset"))
	if err := together(c, err, atLeast(c, "batch", 0), atLeast(c, "context", 0), atLeast(c, "steps", 0), checkThreads(c)); err != nil {
		return train.Config{}, err
	}
	cfg := j.TrainConfig()
	cfg.Batch, cfg.Context = cmp.Or(c.Int("batch"), cfg.Batch), cmp.Or(c.Int("context"), cfg.Context)
	switch longest := j.Context(); {
	case cfg.Context > longest:
		err = fmt.Errorf("flag --context: %d is more than the %d tokens of %s", cfg.Context, longest, j.Name)
	case cfg.Batch > mostAtOne/cfg.Context:
		err = fmt.Errorf("flag --batch: %d sequences of %d tokens are more than the %d tokens of a step", cfg.Batch, cfg.Context, mostAtOne)
	}
	return cfg, together(c, err)
}

// measureTraining trains a new model for the given steps, 0 for benchTime.
func measureTraining(ctx context.Context, cfg train.Config, o model.Options, steps int) (trainingSpeed, error) {
	corpus, err := data.Open(data.Austen(), "")
	if err != nil {
		return trainingSpeed{}, err
	}
	params := make([]float32, cfg.Model.NumParams())
	model.Init(params, cfg.Model, cfg.Seed)
	b := stepBench{trainer: train.New(cfg, corpus, o), params: params, perStep: uint64(cfg.SamplesPerStep())}
	for n, start := 0, time.Now(); n < warmUp || time.Since(start) < settle; n++ {
		if err := b.step(ctx); err != nil {
			return trainingSpeed{}, err
		}
	}
	if steps == 0 {
		steps = max(leastRuns, int(benchTime/max(b.took, time.Microsecond)))
	}
	var t timed
	var allocs []float64
	var peak float64 // operations of one run of it
	var before, after runtime.MemStats
	for len(t.took) < steps {
		start := time.Now()
		peak = tensor.Peak(o.Pool)
		t.bound = append(t.bound, time.Since(start).Seconds())
		runtime.ReadMemStats(&before)
		if err := b.step(ctx); err != nil {
			return trainingSpeed{}, err
		}
		runtime.ReadMemStats(&after)
		t.took, allocs = append(t.took, b.took.Seconds()), append(allocs, float64(after.Mallocs-before.Mallocs))
	}
	flops := stepFLOPs(cfg)
	return trainingSpeed{
		Schema: trainingSchema, Threads: o.Pool.Threads(), Batch: cfg.Batch, Context: cfg.Context, Recompute: o.Recompute, Kernel: tensor.Kernel(),
		Steps: steps, TokensPerSecond: float64(cfg.Batch*cfg.Context) / t.seconds(),
		GFLOPS: flops / t.seconds() / 1e9, PeakGFLOPS: peak / t.boundSeconds() / 1e9, PeakShare: flops / peak * t.share(),
		AllocsPerStep: median(allocs), MemoryBytes: peakMemory(),
	}, nil
}

// stepBench takes one training step after the other.
type stepBench struct {
	trainer *train.Trainer
	params  []float32
	perStep uint64 // samples
	task    data.Task
	took    time.Duration // of the last step
}

func (b *stepBench) step(ctx context.Context) error {
	b.task = data.Task{Samples: data.Interval{Start: b.task.Samples.End, End: b.task.Samples.End + b.perStep}, Steps: 1, First: b.task.First + 1}
	start := time.Now()
	_, err := b.trainer.Run(ctx, b.params, b.task)
	b.took = time.Since(start)
	return cmp.Or(err, ctx.Err())
}

// stepFLOPs counts the floating-point operations of a step, a multiply-add as two:
// each weight of a matrix meets each token once in the forward pass and twice in the
// backward pass, and so do query and key, weight and value of every pair of tokens
// that the mask leaves.
func stepFLOPs(c train.Config) float64 {
	m, weights := c.Model, 0
	for _, p := range c.Model.Params() {
		if len(p.Shape) > 1 && p.Name != "gpt_neox.embed_in.weight" {
			weights += p.Len()
		}
	}
	T := float64(c.Context)
	sequence := 6*float64(weights)*T + 6*T*(T+1)*float64(m.HiddenSize)*float64(m.NumHiddenLayers)
	return float64(c.SamplesPerStep()) * sequence
}

func (i *invocation) printTraining(asJSON bool, s trainingSpeed) error {
	if asJSON {
		return printJSON(i.Out, s)
	}
	_, err := fmt.Fprintf(i.Out, "model        %s, batch %d, context %d%s\nthreads      %d, kernel %s\nspeed        %.0f tokens/s, median of %d steps\narithmetic   %.1f GFLOP/s, %.1f %% of the peak of %.1f\nallocations  %g per step\nmemory       %s at most\n",
		s.Preset, s.Batch, s.Context, map[bool]string{true: ", activations computed twice"}[s.Recompute],
		s.Threads, s.Kernel, s.TokensPerSecond, s.Steps, s.GFLOPS, 100*s.PeakShare, s.PeakGFLOPS, s.AllocsPerStep, size(s.MemoryBytes))
	return err
}
