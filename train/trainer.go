// Package train is the built-in trainer: local AdamW steps of a model on the
// samples of a task, and the loss on held-out text.
package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"halos/data"
	"halos/model"
	"halos/optim"
)

// ErrDiverged says that a loss or a gradient was not finite: the same step would
// fail again, so take another model or end the run.
var ErrDiverged = errors.New("training diverged")

// Config is what the workers of a job must agree on to train alike.
type Config struct {
	Model        model.Config
	AdamW        optim.AdamWConfig
	Schedule     optim.Schedule
	Batch        int    // windows that go through the model at once
	Accumulation int    // batches per step
	Context      int    // tokens predicted per window, at most the model's longest
	Seed         uint64 // of the order of the samples
}

// SamplesPerStep is the number of windows that one local step takes.
func (c Config) SamplesPerStep() int { return c.Batch * c.Accumulation }

// Trainer trains on one goroutine at a time. All its buffers are made by New: a
// step allocates nothing.
type Trainer struct {
	Opt    *optim.AdamW // its state lasts from one Run to the next; between two another's may take its place
	Corpus *data.Corpus // likewise

	config Config
	net    *model.Net
	grads  []float32 // [n]
	tokens []int32   // [batch, context+1]
}

// New returns a trainer of c, whose sizes are at least 1, on a corpus that passes
// Check(c.Context, c.Batch) and whose tokens the model's vocabulary holds. The
// optimizer runs on the pool of o too.
func New(c Config, corpus *data.Corpus, o model.Options) *Trainer {
	opt := NewAdamW(c)
	opt.Pool = o.Pool
	return &Trainer{
		Opt:    opt,
		Corpus: corpus,
		config: c,
		net:    model.NewNet(c.Model, c.Batch, c.Context, o),
		grads:  make([]float32, c.Model.NumParams()),
		tokens: make([]int32, c.Batch*(c.Context+1)),
	}
}

// NewAdamW returns the optimizer that a worker of c begins with.
func NewAdamW(c Config) *optim.AdamW {
	return optim.NewAdamW(c.AdamW, c.Model.NumParams(), decaying(c.Model))
}

// decaying returns where weight decay applies: the tensors of two dimensions and
// more, which leaves out biases and norms.
func decaying(c model.Config) []optim.Span {
	var spans []optim.Span
	for _, p := range c.Params() {
		if len(p.Shape) >= 2 {
			spans = append(spans, optim.Span{Start: p.Offset, End: p.Offset + p.Len()})
		}
	}
	return spans
}

// Result is what Run did.
type Result struct {
	Steps   int
	Samples data.Interval // trained on, from the start of the task's
	Loss    float64       // mean over the steps, nats per token; 0 without a step
	Tokens  uint64        // predicted
}

// Run trains params in place on the samples of a task, one local step after the
// other. When ctx ends it finishes the step it is in and returns what it did
// without an error.
//
// A task whose samples are not Steps times SamplesPerStep is refused. At a loss or
// gradient that is not finite Run ends with ErrDiverged; params and the result
// are then those of the step before.
func (t *Trainer) Run(ctx context.Context, params []float32, task data.Task) (Result, error) {
	perStep := uint64(t.config.SamplesPerStep())
	done := Result{Samples: data.Interval{Start: task.Samples.Start, End: task.Samples.Start}}
	if n := task.Samples.Len(); task.Steps < 0 || n%perStep != 0 || n/perStep != uint64(task.Steps) {
		return done, fmt.Errorf("task of %d steps over samples %v: a step takes %d", task.Steps, task.Samples, perStep)
	}
	sum := 0.0
	for done.Steps < task.Steps && ctx.Err() == nil {
		number := task.First + uint64(done.Steps) + 1
		loss, err := t.step(params, done.Samples.End, t.config.Schedule.At(number))
		if err != nil {
			return done, fmt.Errorf("schedule step %d, samples from %d: %w", number, done.Samples.End, err)
		}
		sum += loss
		done.Steps++
		done.Loss = sum / float64(done.Steps)
		done.Samples.End += perStep
		done.Tokens += perStep * uint64(t.config.Context)
	}
	return done, nil
}

// step is one local step on the samples from first on; it returns their mean loss
// before the step.
func (t *Trainer) step(params []float32, first uint64, lr float64) (float64, error) {
	loss, err := t.Gradient(t.grads, params, first)
	if err != nil {
		return 0, err
	}
	if norm := t.Opt.Step(params, t.grads, lr); !finite(norm) {
		return 0, fmt.Errorf("%w: loss %v, gradient norm %v", ErrDiverged, loss, norm)
	}
	return loss, nil
}

// Gradient sets grads to the mean gradient over the samples of one local step, from
// first on, and returns their mean loss. A loss that is not finite is ErrDiverged.
func (t *Trainer) Gradient(grads, params []float32, first uint64) (float64, error) {
	clear(grads)
	loss, share := 0.0, 1/float64(t.config.Accumulation)
	for range t.config.Accumulation {
		t.fill(first)
		loss += share * t.net.LossGrad(grads, params, t.tokens, t.config.Batch, t.config.Context, share)
		first += uint64(t.config.Batch)
	}
	if !finite(loss) {
		return 0, fmt.Errorf("%w: loss %v", ErrDiverged, loss)
	}
	return loss, nil
}

// fill puts the windows of one batch, from sample first on, into tokens.
func (t *Trainer) fill(first uint64) {
	width := t.config.Context + 1
	for row := range t.config.Batch {
		t.Corpus.Sample(t.tokens[row*width:(row+1)*width], t.config.Seed, first+uint64(row))
	}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
