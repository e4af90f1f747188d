package cli

import (
	"context"
	"fmt"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"halos/job"
	"halos/model"
	"halos/tensor"
)

// generationSchema names the form of generation speed as JSON.
const generationSchema = "halos.bench.generate/1"

// generationSpeed is how fast a model writes one text.
type generationSpeed struct {
	Schema          string  `json:"schema"`
	Preset          string  `json:"preset"`
	Threads         int     `json:"threads"`
	Kernel          string  `json:"kernel"`
	Tokens          int     `json:"tokens"`            // of a text, behind a prompt of one
	TokensPerSecond float64 `json:"tokens_per_second"` // median over some texts
	WeightBytes     int     `json:"weight_bytes"`      // that each token reads once: all but the table of embeddings
	MemoryGBPS      float64 `json:"memory_gbps"`       // of a triad over as many bytes
	Times           float64 `json:"times"`             // as long as that triad a token takes, median
}

const (
	textTokens = 128     // at most, where --tokens leaves it open
	mostTokens = 1 << 16 // of a text
)

func (i *invocation) benchGenerateCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "generate",
		Usage:     "measure how fast a preset's model writes",
		UsageText: "halos bench generate [flags]",
		Description: `Writes texts with a new model, one token after the other. Each token reads the
weights once, so no text is written faster than memory gives them: the result stands
beside a STREAM triad over as many bytes, measured in turn with it.

    halos bench generate
    halos bench generate --preset small --threads 1 --json`,
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "preset", Value: "small", Usage: "write with the model of `NAME`: " + strings.Join(job.PresetNames(), ", ")},
			threadsFlag(),
			&urfave.IntFlag{Name: "tokens", DefaultText: "as many as the context holds, at most 128", Usage: "write `N` tokens"},
			jsonFlag(),
		},
		Action: func(c *urfave.Context) error {
			if _, err := i.arguments(c, 0, "preset"); err != nil {
				return err
			}
			j, err := job.Preset(c.String("preset"))
			if n := c.Int("tokens"); n > mostTokens {
				return together(c, err, fmt.Errorf("flag --tokens: %d is more than %d", n, mostTokens))
			}
			if err := together(c, err, atLeast(c, "tokens", 0), checkThreads(c)); err != nil {
				return err
			}
			tokens := c.Int("tokens")
			if tokens == 0 {
				tokens = max(1, min(textTokens, j.Context()-1))
			}
			pool := newPool(c)
			defer pool.Close()
			speed, err := measureGeneration(c.Context, j, pool, tokens)
			if err != nil {
				return err
			}
			return i.printGeneration(c.Bool("json"), speed)
		},
	}
}

func measureGeneration(ctx context.Context, j *job.Job, pool *tensor.Pool, tokens int) (generationSpeed, error) {
	params := make([]float32, j.Model.NumParams())
	model.Init(params, j.Model, j.Seed)
	net := model.NewNet(j.Model, 1, j.Context(), model.Options{Pool: pool})
	weights := len(params) - j.Model.Params()[0].Len()
	n := weights / 3
	a, b, c := noise(n), noise(n), noise(n)
	var err error
	write := func() {
		if err == nil {
			err = model.Generate(ctx, net, params, []int32{'I'}, tokens, model.Sampler{Temperature: 1}, func(int32) error { return nil })
		}
	}
	t := inTurn(write, over(pool, n, 1, func(lo, hi int) { tensor.Triad(a[lo:hi], b[lo:hi], c[lo:hi], 0.5) }))
	return generationSpeed{
		Schema: generationSchema, Preset: j.Name, Threads: pool.Threads(), Kernel: tensor.Kernel(), Tokens: tokens,
		TokensPerSecond: float64(tokens) / t.seconds(), WeightBytes: 4 * weights,
		MemoryGBPS: float64(12*n) / t.boundSeconds() / 1e9, Times: 1 / t.share() / float64(tokens),
	}, err
}

func (i *invocation) printGeneration(asJSON bool, s generationSpeed) error {
	if asJSON {
		return printJSON(i.Out, s)
	}
	_, err := fmt.Fprintf(i.Out, "model    %s, texts of %d tokens\nthreads  %d, kernel %s\nspeed    %.0f tokens/s\nweights  %s per token, at %.1f GB/s of memory\na token takes %.2f times as long as reading them\n",
		s.Preset, s.Tokens, s.Threads, s.Kernel, s.TokensPerSecond, size(uint64(s.WeightBytes)), s.MemoryGBPS, s.Times)
	return err
}
