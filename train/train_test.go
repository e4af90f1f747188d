package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"halos/data"
	"halos/model"
	"halos/optim"
)

// tiny learns something within a few steps of a few milliseconds.
var tiny = Config{
	Model: model.Config{
		VocabSize: 256, HiddenSize: 16, NumHiddenLayers: 1, NumAttentionHeads: 2, IntermediateSize: 32,
		RotaryPct: 0.5, RotaryEmbBase: 10000, LayerNormEps: 1e-5, UseParallelResidual: true, MaxPositionEmbeddings: 32,
	},
	AdamW:    optim.AdamWConfig{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, Clip: 1},
	Schedule: optim.Schedule{Max: 1e-2, Warmup: 10, Total: 100},
	Batch:    4, Accumulation: 2, Context: 16, Seed: 1,
}

var austen = sync.OnceValues(func() (*data.Corpus, error) { return data.Open(data.Austen(), "") })

// start returns a trainer of c and fresh parameters.
func start(t *testing.T, c Config) (*Trainer, []float32) {
	t.Helper()
	return startWith(t, c, model.Options{})
}

func startWith(t *testing.T, c Config, o model.Options) (*Trainer, []float32) {
	t.Helper()
	corpus, err := austen()
	if err != nil {
		t.Fatal(err)
	}
	params := make([]float32, c.Model.NumParams())
	model.Init(params, c.Model, 1)
	return New(c, corpus, o), params
}

// task is the task of the given steps that starts at schedule step first+1.
func task(c Config, first, steps int) data.Task {
	per := uint64(c.SamplesPerStep())
	return data.Task{Samples: data.Interval{Start: uint64(first) * per, End: uint64(first+steps) * per}, Steps: steps, First: uint64(first)}
}

func run(t *testing.T, tr *Trainer, params []float32, task data.Task) Result {
	t.Helper()
	r, err := tr.Run(t.Context(), params, task)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheLossFalls(t *testing.T) {
	tr, params := start(t, tiny)
	first := run(t, tr, params, task(tiny, 0, 1))
	if uniform := math.Log(256); math.Abs(first.Loss-uniform) > 0.3 {
		t.Errorf("the first loss is %.3f nats, a fresh model's is about %.3f", first.Loss, uniform)
	}
	run(t, tr, params, task(tiny, 1, 58))
	last := run(t, tr, params, task(tiny, 59, 1))
	if last.Loss > 3.5 {
		t.Errorf("the loss after 60 steps is %.3f nats, want it below 3.5", last.Loss)
	}
}

func TestRunCounts(t *testing.T) {
	tr, params := start(t, tiny)
	got := run(t, tr, params, task(tiny, 5, 3))
	loss := got.Loss
	got.Loss = 0
	want := Result{Steps: 3, Samples: data.Interval{Start: 40, End: 64}, Tokens: 3 * 8 * 16}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	other, params := start(t, tiny)
	sum := 0.0
	for i := range 3 {
		sum += run(t, other, params, task(tiny, 5+i, 1)).Loss
	}
	if mean := sum / 3; math.Abs(loss-mean) > 1e-12 {
		t.Errorf("loss %v, want the mean over the steps %v", loss, mean)
	}
}

func TestTheSameSeedGivesTheSameBits(t *testing.T) {
	first, params := start(t, tiny)
	run(t, first, params, task(tiny, 0, 4))
	otherSeed := tiny
	otherSeed.Seed = 2
	for _, c := range []struct {
		name   string
		config Config
		tasks  []data.Task
		same   bool
	}{
		{"again", tiny, []data.Task{task(tiny, 0, 4)}, true},
		{"in two tasks", tiny, []data.Task{task(tiny, 0, 1), task(tiny, 1, 3)}, true},
		{"another seed", otherSeed, []data.Task{task(tiny, 0, 4)}, false},
		{"other samples", tiny, []data.Task{{Samples: data.Interval{Start: 8, End: 40}, Steps: 4}}, false},
		{"other rates", tiny, []data.Task{{Samples: data.Interval{Start: 0, End: 32}, Steps: 4, First: 1}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr, got := start(t, c.config)
			for _, task := range c.tasks {
				run(t, tr, got, task)
			}
			if same := slices.Equal(got, params); same != c.same {
				t.Errorf("the same parameters: %t, want %t", same, c.same)
			}
		})
	}
}

// One step on 2 batches of 4 is one step on a batch of 8.
func TestAccumulationIsALargerBatch(t *testing.T) {
	wide := tiny
	wide.Batch, wide.Accumulation = 8, 1
	a, got := start(t, tiny)
	b, want := start(t, wide)
	for i := range 3 {
		x, y := run(t, a, got, task(tiny, i, 1)), run(t, b, want, task(wide, i, 1))
		if math.Abs(x.Loss-y.Loss) > 1e-5 {
			t.Errorf("step %d: loss %v, want %v", i, x.Loss, y.Loss)
		}
	}
	for i := range got {
		if d := math.Abs(float64(got[i] - want[i])); d > 1e-3 {
			t.Fatalf("parameter %d: %v, want %v", i, got[i], want[i])
		}
	}
}

// Adam's first step moves the parameters with a clear gradient by the learning
// rate, so the largest movement tells which schedule step was taken.
func TestStepsFollowTheSchedule(t *testing.T) {
	c := tiny
	c.AdamW.WeightDecay = 0
	for _, first := range []uint64{0, 4, 9, 54, 98, 1000} {
		tr, params := start(t, c)
		before := slices.Clone(params)
		run(t, tr, params, data.Task{Samples: data.Interval{Start: 0, End: 8}, Steps: 1, First: first})
		largest := 0.0
		for i := range params {
			largest = max(largest, math.Abs(float64(params[i]-before[i])))
		}
		if want := c.Schedule.At(first + 1); math.Abs(largest-want) > 1e-3*want {
			t.Errorf("after %d schedule steps the next moves by %v, want %v", first, largest, want)
		}
	}
}

// endsAfter is a context that ends once it was asked n times.
type endsAfter struct {
	context.Context
	n *int
}

func (c endsAfter) Err() error {
	if *c.n--; *c.n < 0 {
		return context.Canceled
	}
	return nil
}

func TestRunStopsBetweenSteps(t *testing.T) {
	for steps := range 4 {
		tr, params := start(t, tiny)
		left := steps
		got, err := tr.Run(endsAfter{t.Context(), &left}, params, task(tiny, 2, 10))
		if err != nil {
			t.Fatal(err)
		}
		other, want := start(t, tiny)
		if r := run(t, other, want, task(tiny, 2, steps)); got != r {
			t.Errorf("got %+v, want %+v", got, r)
		}
		if !slices.Equal(params, want) {
			t.Errorf("stopped after %d steps, the parameters are not those of %d steps", steps, steps)
		}
	}
}

func TestRunEndsWhenTheLossIsNotFinite(t *testing.T) {
	tr, params := start(t, tiny)
	run(t, tr, params, task(tiny, 0, 1))
	params[0], params[len(params)-1] = float32(math.NaN()), float32(math.Inf(1))
	before, moments := slices.Clone(params), slices.Clone(tr.Opt.M)
	got, err := tr.Run(t.Context(), params, task(tiny, 1, 2))
	if !errors.Is(err, ErrDiverged) || !strings.HasPrefix(err.Error(), "schedule step 2, samples from 8: training diverged: loss ") {
		t.Errorf("got %v, want ErrDiverged at schedule step 2", err)
	}
	if want := (Result{Samples: data.Interval{Start: 8, End: 8}}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !slices.Equal(params[1:len(params)-1], before[1:len(params)-1]) || !slices.Equal(tr.Opt.M, moments) || tr.Opt.Steps != 1 {
		t.Error("the step changed the parameters or the optimizer")
	}
}

func TestRunRefusesATaskThatDoesNotFit(t *testing.T) {
	tr, params := start(t, tiny)
	for _, c := range []struct {
		name string
		task data.Task
		want string
	}{
		{"too few samples", data.Task{Samples: data.Interval{Start: 0, End: 15}, Steps: 2}, "task of 2 steps over samples [0,15): a step takes 8"},
		{"too many", data.Task{Samples: data.Interval{Start: 8, End: 32}, Steps: 2}, "task of 2 steps over samples [8,32): a step takes 8"},
		{"steps below zero", data.Task{Steps: -1}, "task of -1 steps over samples [0,0): a step takes 8"},
		{"steps whose samples overflow to none", data.Task{Steps: math.MaxInt/4 + 1}, fmt.Sprintf("task of %d steps over samples [0,0): a step takes 8", math.MaxInt/4+1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := tr.Run(t.Context(), params, c.task); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestDecayLeavesOutBiasesAndNorms(t *testing.T) {
	spans := decaying(tiny.Model)
	for _, p := range tiny.Model.Params() {
		want := !strings.HasSuffix(p.Name, "bias") && !strings.Contains(p.Name, "norm")
		got := slices.Contains(spans, optim.Span{Start: p.Offset, End: p.Offset + p.Len()})
		if got != want {
			t.Errorf("%s decays: %t, want %t", p.Name, got, want)
		}
	}
}
