package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"halos/data"
	"halos/optim"
	"halos/roles"
	"halos/tensor"
)

// reference is a run of the HALoS authors' own simulator: its setting, some of its
// events and its end.
type reference struct {
	Environment struct {
		Bandwidths [][]float64 `json:"network_bandwidths"`
		Speeds     [][]float64 `json:"worker_speeds"`
	} `json:"environment"`
	Hyper struct {
		Algorithm   string  `json:"algorithm"`
		Rescale     bool    `json:"rescale"`
		ModelBytes  float64 `json:"model_bytes"`
		StepMS      float64 `json:"local_step_time_ms"`
		GlobalBatch int     `json:"global_batch_size"`
		MicroBatch  int     `json:"micro_batch_size"`
		Accum       int     `json:"grad_accum"`
		TotalSteps  uint64  `json:"total_steps"`
		Worker      struct {
			Type  string     `json:"opt_type"`
			Betas [2]float64 `json:"betas"`
			Eps   float64    `json:"eps"`
			Decay float64    `json:"weight_decay"`
		} `json:"worker_opt"`
		LR struct {
			Max    float64 `json:"max_lr"`
			Warmup uint64  `json:"t_warmup"`
			Total  uint64  `json:"t_max"`
		} `json:"worker_lr"`
		Clip  float64        `json:"grad_clip"`
		H     int            `json:"num_local_steps"`
		GPS   referenceOuter `json:"gps_opt"`
		LPS   referenceOuter `json:"lps_opt"`
		Alpha float64        `json:"merge_weight"`
		K     int            `json:"local_updates_accumulation"`
	} `json:"hyperparameters"`
	Problem struct {
		Initial []float32   `json:"initial_params"`
		Centres [][]float32 `json:"worker_centres"`
	} `json:"problem"`
	LocalSteps []int            `json:"local_steps"`
	Events     uint64           `json:"events"`
	FinishMS   float64          `json:"finish_time_ms"`
	Trace      []referenceEvent `json:"trace"`
	Final      []float64        `json:"final_params"`
}

type referenceOuter struct {
	LR       float64 `json:"lr"`
	Beta     float64 `json:"beta"`
	Momentum float64 `json:"momentum"`
	N        int     `json:"buffer_size"`
	C        float64 `json:"c"`
}

func (o referenceOuter) config() optim.NesterovConfig {
	return optim.NesterovConfig{LR: o.LR, Beta: o.Beta + o.Momentum, N: max(1, o.N), C: o.C}
}

// referenceEvent is one event: a server has applied a delta, an LPS has merged, or a
// round has ended.
type referenceEvent struct {
	Index   uint64    `json:"index"`
	MS      float64   `json:"t"`
	At      string    `json:"at"`
	LPS     *int      `json:"lps"`
	Worker  *int      `json:"worker"`
	Trained *uint64   `json:"trained_steps"`
	Params  []float64 `json:"params"`
}

// TestReference runs every trace in the folder, whatever its name.
func TestReference(t *testing.T) {
	files, err := filepath.Glob("testdata/reference/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no traces in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var ref reference
			if err := json.Unmarshal(raw, &ref); err != nil {
				t.Fatal(err)
			}
			ref.replay(t)
		})
	}
}

// config is the setting of the reference in our words.
func (ref *reference) config(t *testing.T) Config {
	h := ref.Hyper
	c := Config{
		Env:  Env{Gbit: ref.Environment.Bandwidths, Speeds: ref.Environment.Speeds},
		Cost: Cost{Up: h.ModelBytes, Down: h.ModelBytes, StepMS: h.StepMS},
		Roles: roles.Config{
			H: h.H, K: max(1, h.K), Alpha: h.Alpha, InFlight: roles.Paper, Rescale: h.Rescale,
			Batch: h.MicroBatch * h.Accum, GlobalBatch: h.GlobalBatch, LPS: h.LPS.config(), GPS: h.GPS.config(),
		},
		Outer: h.GPS.config(), Steps: h.TotalSteps, TokensPerStep: 1, Jobs: 1,
	}
	if h.Alpha == 0 { // the baselines have no tiers
		c.Roles.Alpha, c.Roles.LPS = 1, c.Outer
	}
	switch {
	case h.Algorithm == "halos":
		c.Algo = HALoS
	case h.Algorithm == "async_local_sgd":
		c.Algo = Async
	case h.Algorithm == "diloco" && h.Rescale:
		c.Algo = DiLoCoDyn
	case h.Algorithm == "diloco":
		c.Algo = DiLoCo
	default:
		t.Fatalf("algorithm %q", h.Algorithm)
	}
	return c
}

// replay compares every event that the trace names, up to the end.
func (ref *reference) replay(t *testing.T) {
	r := newRun(t.Context(), ref.config(t), newQuadratic(ref), append([]float32(nil), ref.Problem.Initial...))
	defer r.dismiss()
	for i, w := range r.workers {
		if w.steps != ref.LocalSteps[i] {
			t.Fatalf("worker %d takes %d local steps, want %d", i, w.steps, ref.LocalSteps[i])
		}
	}
	trace := ref.Trace
	r.watch = func(e event) {
		index := r.tally.Events - 1
		if len(trace) == 0 || index < trace[0].Index {
			return
		}
		ref.compare(t, r, e, trace[0])
		trace = trace[1:]
	}
	err := r.begin()
	for err == nil && !r.ended {
		err = r.event()
	}
	res, err := r.outcome(err)
	if err != nil {
		t.Fatal(err)
	}
	if len(trace) > 0 || res.Events != ref.Events || math.Abs(r.now-ref.FinishMS) > 1e-9*ref.FinishMS || res.Steps < ref.Hyper.TotalSteps {
		t.Errorf("%d events, end at %v ms after %d steps, %d of the trace missing, want %d, %v", res.Events, r.now, res.Steps, len(trace), ref.Events, ref.FinishMS)
	}
	near(t, "final", r.global, ref.Final)
}

func (ref *reference) compare(t *testing.T, r *run, e event, want referenceEvent) {
	t.Helper()
	at, params, lps, worker := "gps", r.global, -1, -1
	h, tiers := r.method.(*halos)
	switch {
	case e.Kind == round:
		at = "round"
	case e.Kind == finished && tiers:
		at, lps, worker = "lps", r.workers[e.Who].region, e.Who
	case e.Kind == finished:
		worker = e.Who
	case e.Kind == arrived:
		lps = e.Who
	case e.Kind == answered:
		at, lps = "merge", e.Who
	}
	if at == "lps" || at == "merge" {
		params = h.lps[lps].State().Params
	}
	if at != want.At || want.LPS != nil && *want.LPS != lps || want.Worker != nil && *want.Worker != worker ||
		want.Trained != nil && *want.Trained != r.trained || math.Abs(e.At-want.MS) > 1e-9*want.MS {
		want.Params = nil
		text, _ := json.Marshal(want)
		t.Fatalf("event %d: %s at %v ms of lps %d, worker %d, %d steps, want %s", want.Index, at, e.At, lps, worker, r.trained, text)
	}
	near(t, fmt.Sprintf("event %d (%s)", want.Index, at), params, want.Params)
}

// near holds params to 1e-4 of the largest magnitude among them.
func near(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	largest := 0.0
	for _, x := range want {
		largest = max(largest, math.Abs(x))
	}
	for i, x := range want {
		if !(math.Abs(float64(got[i])-x) <= 1e-4*largest) {
			t.Fatalf("%s: params %v, want %v", what, got, want)
		}
	}
}

// quadratic is the problem of the traces: worker w minimises half the squared distance
// to its centre.
type quadratic struct {
	ref      *reference
	schedule optim.Schedule
	states   []*optim.AdamW
}

func newQuadratic(ref *reference) *quadratic {
	h := ref.Hyper
	q := &quadratic{ref: ref, schedule: optim.Schedule{Max: h.LR.Max, Warmup: h.LR.Warmup, Total: h.LR.Total}}
	n := len(ref.Problem.Initial)
	for range ref.Problem.Centres {
		q.states = append(q.states, optim.NewAdamW(optim.AdamWConfig{
			Beta1: h.Worker.Betas[0], Beta2: h.Worker.Betas[1], Eps: h.Worker.Eps, WeightDecay: h.Worker.Decay, Clip: h.Clip,
		}, n, []optim.Span{{End: n}}))
	}
	return q
}

func (q *quadratic) Train(_ context.Context, worker int, params []float32, task data.Task) (float64, error) {
	grads := make([]float32, len(params))
	for i := range task.Steps {
		lr := q.schedule.At(task.First + uint64(i) + 1)
		tensor.Sub(grads, params, q.ref.Problem.Centres[worker])
		if q.ref.Hyper.Worker.Type == "adamw" {
			q.states[worker].Step(params, grads, lr)
			continue
		}
		scale := 1.0
		if clip := q.ref.Hyper.Clip; clip > 0 {
			scale = min(1, clip/(tensor.Norm(grads)+1e-6))
		}
		tensor.Axpy(params, -float32(lr*scale), grads)
	}
	return 0, nil
}

func (q *quadratic) Gradient(worker int, grads, params []float32, _ uint64) (float64, error) {
	tensor.Sub(grads, params, q.ref.Problem.Centres[worker])
	return 0, nil
}

func (q *quadratic) Loss(context.Context, []float32) (float64, error) { return 0, nil }
