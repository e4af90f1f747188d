package cli

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"text/tabwriter"

	urfave "github.com/urfave/cli/v2"

	"halos/job"
	"halos/tensor"
)

// kernelSchema names the form of kernel speeds as JSON.
const kernelSchema = "halos.bench.kernels/1"

// kernelSpeeds is how fast the loops of a training step and of a server's update are.
type kernelSpeeds struct {
	Schema         string        `json:"schema"`
	Threads        int           `json:"threads"`
	Kernel         string        `json:"kernel"`
	PeakGFLOPS     float64       `json:"peak_gflops"` // median over the products
	Products       []productRate `json:"products"`
	GeometricShare float64       `json:"geometric_share"` // mean over the products
	LeastShare     float64       `json:"least_share"`
	Elements       int           `json:"elements"`    // of each slice below
	TriadGBPS      float64       `json:"triad_gbps"`  // what memory does, median over the loops
	Loops          []loopRate    `json:"loops"`       // over memory
	Activations    []loopRate    `json:"activations"` // over a layer of the last preset above, small enough for a cache perhaps
}

// productRate is the speed of c = a*b with a [m, k] and b [k, n]. Its share is of the
// peak as it was at that moment, not of the median over all.
type productRate struct {
	Preset string  `json:"preset"`
	Layer  string  `json:"layer"`
	Form   string  `json:"form"` // of a and b as they lie: N or T, for transposed
	M      int     `json:"m"`
	N      int     `json:"n"`
	K      int     `json:"k"`
	GFLOPS float64 `json:"gflops"`
	Share  float64 `json:"share"` // of the peak
}

// loopRate is the speed of a loop in bytes that it reads or writes, each slice once.
// Its share is of the triad as it was at that moment.
type loopRate struct {
	Name  string  `json:"name"`
	Bytes int     `json:"bytes"` // per element
	GBPS  float64 `json:"gbps"`
	Share float64 `json:"share"` // of the triad's
}

const (
	mostLogits   = 512     // rows of logits that a worker computes at once
	mostElements = 1 << 30 // of each of the four slices of an update
)

func (i *invocation) benchKernelsCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "kernels",
		Usage:     "measure the loops that training is made of",
		UsageText: "halos bench kernels [flags]",
		Description: `Measures every product of a training step in the three forms that it takes: NT for
the outputs, NN for the gradient of the inputs, TN for that of the weights. Then
what a server does to its model for each delta, and what a worker does between its
products, in bytes read and written beside those of STREAM's triad a = b + s*c. What
changes a slice in place may pass the triad, for which memory also reads the slice
that it overwrites, uncounted.

    halos bench kernels
    halos bench kernels --preset small --threads 1 --json
    HALOS_KERNEL=generic halos bench kernels      without assembly`,
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "preset", DefaultText: "all", Usage: "take the products of `NAME`: " + strings.Join(job.PresetNames(), ", ")},
			threadsFlag(),
			&urfave.IntFlag{Name: "elements", Value: 70_000_000, Usage: "update a model of `N` parameters"},
			jsonFlag(),
		},
		Action: func(c *urfave.Context) error {
			if _, err := i.arguments(c, 0, "preset"); err != nil {
				return err
			}
			names := job.PresetNames()
			if c.IsSet("preset") {
				names = []string{c.String("preset")}
			}
			var presets []*job.Job
			for _, name := range names {
				j, err := job.Preset(name)
				if err != nil {
					return together(c, err)
				}
				presets = append(presets, j)
			}
			if n := c.Int("elements"); n > mostElements {
				return together(c, fmt.Errorf("flag --elements: %d is more than %d", n, mostElements))
			}
			if err := together(c, atLeast(c, "elements", 1), checkThreads(c)); err != nil {
				return err
			}
			pool := newPool(c)
			defer pool.Close()
			speeds, err := measureKernels(c.Context, pool, presets, c.Int("elements"))
			if err != nil {
				return err
			}
			return i.printKernels(c.Bool("json"), speeds)
		},
	}
}

func measureKernels(ctx context.Context, pool *tensor.Pool, presets []*job.Job, elements int) (kernelSpeeds, error) {
	s := kernelSpeeds{
		Schema: kernelSchema, Threads: pool.Threads(), Kernel: tensor.Kernel(),
		LeastShare: math.Inf(1), Elements: elements,
	}
	var peak float64 // operations of one run of it
	logs, peaks := 0.0, []float64(nil)
	for _, j := range presets {
		for _, p := range productsOf(j) {
			if ctx.Err() != nil {
				return s, ctx.Err()
			}
			t, flops := inTurn(p.multiply(pool), func() { peak = tensor.Peak(pool) }), 2*float64(p.M)*float64(p.N)*float64(p.K)
			p.GFLOPS, p.Share = flops/t.seconds()/1e9, flops/peak*t.share()
			s.Products = append(s.Products, p)
			peaks = append(peaks, peak/t.boundSeconds()/1e9)
			logs += math.Log(p.Share)
			s.LeastShare = min(s.LeastShare, p.Share)
		}
	}
	s.PeakGFLOPS = median(peaks)
	s.GeometricShare = math.Exp(logs / float64(len(s.Products)))
	s.measureLoops(pool, elements, presets[len(presets)-1])
	return s, ctx.Err()
}

// productsOf lists the products of a training step of j, each layer's once.
func productsOf(j *job.Job) []productRate {
	tokens, C, F, V := j.Batch*j.Context(), j.Model.HiddenSize, j.Model.IntermediateSize, j.Model.VocabSize
	var all []productRate
	for _, l := range []struct {
		name          string
		rows, out, in int
	}{
		{"qkv", tokens, 3 * C, C}, {"dense", tokens, C, C}, {"up", tokens, F, C}, {"down", tokens, C, F},
		{"logits", min(tokens, mostLogits), V, C},
	} {
		all = append(all,
			productRate{Preset: j.Name, Layer: l.name, Form: "NT", M: l.rows, N: l.out, K: l.in},
			productRate{Preset: j.Name, Layer: l.name, Form: "NN", M: l.rows, N: l.in, K: l.out},
			productRate{Preset: j.Name, Layer: l.name, Form: "TN", M: l.out, N: l.in, K: l.rows})
	}
	return all
}

// multiply returns what does the product once, on operands of noise.
func (p productRate) multiply(pool *tensor.Pool) func() {
	operand := func(rows, cols int, form byte) tensor.Matrix {
		if form == 'T' {
			return tensor.Dense(noise(rows*cols), cols, rows).T()
		}
		return tensor.Dense(noise(rows*cols), rows, cols)
	}
	a, b := operand(p.M, p.K, p.Form[0]), operand(p.K, p.N, p.Form[1])
	c := tensor.Dense(make([]float32, p.M*p.N), p.M, p.N)
	return func() { pool.Gemm(c, a, b) }
}

// noise is numbers as a model has them; zeros would take less power.
func noise(n int) []float32 {
	rng := rand.New(rand.NewPCG(uint64(n), 0))
	x := make([]float32, n)
	for i := range x {
		x[i] = rng.Float32() - 0.5
	}
	return x
}

func (i *invocation) printKernels(asJSON bool, s kernelSpeeds) error {
	if asJSON {
		return printJSON(i.Out, s)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d threads, kernel %s, peak %.1f GFLOP/s\n\npreset\tlayer\tform\tm\tn\tk\tGFLOP/s\tof peak\t\n", s.Threads, s.Kernel, s.PeakGFLOPS)
	for _, p := range s.Products {
		fmt.Fprintf(&b, "%s\t%s\t%s\t%d\t%d\t%d\t%.1f\t%.1f %%\t\n", p.Preset, p.Layer, p.Form, p.M, p.N, p.K, p.GFLOPS, 100*p.Share)
	}
	fmt.Fprintf(&b, "geometric mean %.1f %%, least %.1f %%\n\n%d elements, triad %.1f GB/s\n\nloop\tbytes\tGB/s\tof triad\t\n",
		100*s.GeometricShare, 100*s.LeastShare, s.Elements, s.TriadGBPS)
	for _, l := range slices.Concat(s.Loops, s.Activations) {
		fmt.Fprintf(&b, "%s\t%d\t%.1f\t%.1f %%\t\n", l.Name, l.Bytes, l.GBPS, 100*l.Share)
	}
	return table(i.Out, b.String())
}

// table prints text with its tab-separated columns aligned.
func table(w io.Writer, text string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	if _, err := t.Write([]byte(text)); err != nil {
		return err
	}
	return t.Flush()
}
