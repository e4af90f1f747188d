package roles

import (
	"container/heap"
	"fmt"
	"math"
	"slices"
	"testing"

	"halos/data"
	"halos/optim"
	"halos/tensor"
)

func newPaperClock(t *testing.T, ref *reference) *paperClock {
	h := ref.Hyper
	nesterov := func(c referenceNesterov) optim.NesterovConfig {
		return optim.NesterovConfig{LR: c.LR, Beta: c.Beta, N: c.N}
	}
	cfg := Config{
		H: h.H, K: h.K, Alpha: h.Alpha, InFlight: Paper, Batch: h.MicroBatch * h.Accum, GlobalBatch: h.GlobalBatch,
		LPS: nesterov(h.LPS), GPS: nesterov(h.GPS),
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	const endless, window = 1 << 50, 1 << 20
	n := len(ref.Problem.Initial)
	c := &paperClock{t: t, ref: ref, gps: NewGPS(cfg, Term{1, "g"}, slices.Clone(ref.Problem.Initial), endless, window)}
	fastest := slices.Max(slices.Concat(ref.Environment.Speeds...))
	for region, speeds := range ref.Environment.Speeds {
		l := NewLPS(cfg, fmt.Sprint(region), "l", Term{1, "l"}, n, window)
		c.lps = append(c.lps, l)
		c.toGPS(region, l.Step(Connected{}))
		for _, speed := range speeds {
			w := &paperWorker{
				id: len(c.workers), region: region, speed: speed / fastest, params: make([]float32, n),
				opt: optim.NewAdamW(optim.AdamWConfig{
					Beta1: h.Worker.Betas[0], Beta2: h.Worker.Betas[1], Eps: h.Worker.Eps, WeightDecay: h.Worker.Decay, Clip: h.Clip,
				}, n, []optim.Span{{End: n}}),
			}
			c.workers = append(c.workers, w)
			c.toGPS(region, l.Step(hi(w.name(), 1, 1, 1)))
		}
	}
	return c
}

func (w *paperWorker) name() string { return fmt.Sprintf("w%d", w.id) }

// after schedules an event.
func (c *paperClock) after(ms float64, do func() referenceEvent) {
	c.added++
	heap.Push(&c.queue, paperAppointment{c.ms + ms, c.added, do})
}

// transfer is how long a model takes between two regions.
func (c *paperClock) transfer(a, b int) float64 {
	return c.ref.Hyper.ModelBytes * 8 / (c.ref.Environment.Bandwidths[a][b] * 1e9) * 1e3
}

// run compares every event that the trace names, up to the end.
func (c *paperClock) run() {
	for _, w := range c.workers {
		c.train(w)
	}
	trace := c.ref.Trace
	for len(trace) > 0 {
		next := heap.Pop(&c.queue).(paperAppointment)
		c.ms = next.ms
		got := next.do()
		got.Index, got.MS = c.index, c.ms
		c.index++
		want := trace[0]
		if got.Index < want.Index {
			if got.At == "gps" && got.Trained >= c.ref.Hyper.TotalSteps {
				c.t.Fatalf("event %d ends the run, want it to go on", got.Index)
			}
			continue
		}
		c.compare(got, want)
		trace = trace[1:]
	}
	if c.index != c.ref.Events || math.Abs(c.ms-c.ref.FinishMS) > 1e-9*c.ref.FinishMS || c.trained < c.ref.Hyper.TotalSteps {
		c.t.Errorf("%d events, end at %v ms after %d steps, want %d, %v", c.index, c.ms, c.trained, c.ref.Events, c.ref.FinishMS)
	}
	c.near("final", c.gps.params, c.ref.Final)
}

func (c *paperClock) compare(got, want referenceEvent) {
	c.t.Helper()
	if got.At != want.At || got.LPS != want.LPS || got.Worker != want.Worker || got.Trained != want.Trained ||
		math.Abs(got.MS-want.MS) > 1e-9*want.MS {
		got.Params = nil
		c.t.Fatalf("event %d: got %+v, want %+v", want.Index, got, want)
	}
	params := c.gps.params
	if want.At != "gps" {
		params = c.lps[want.LPS].params
	}
	c.near(fmt.Sprintf("event %d (%s)", want.Index, want.At), params, want.Params)
}

// near holds params to 1e-4 of the largest magnitude among them.
func (c *paperClock) near(what string, got []float32, want []float64) {
	c.t.Helper()
	largest := 0.0
	for _, x := range want {
		largest = max(largest, math.Abs(x))
	}
	for i, x := range want {
		if !(math.Abs(float64(got[i])-x) <= 1e-4*largest) {
			c.t.Fatalf("%s: params %v, want %v", what, got, want)
		}
	}
}

// train gives w the next samples of the job and a round on its region's model.
func (c *paperClock) train(w *paperWorker) {
	h, l := c.ref.Hyper, c.lps[w.region]
	steps := c.ref.LocalSteps[w.id]
	if want := max(1, int(math.Ceil(float64(h.H)*w.speed))); steps != want {
		c.t.Fatalf("worker %d takes %d local steps, the trace says %d", w.id, want, steps)
	}
	c.toGPS(w.region, l.Step(Ask{Client: w.name()}))
	c.toLPS(c.gps.Step(Ask{Client: fmt.Sprint(w.region), Samples: uint64(steps * h.MicroBatch * h.Accum)}))
	for _, a := range l.Step(Follow{Client: w.name(), Contains: w.seq}) {
		if m, ok := a.(Model); ok {
			copy(w.params, m.Params)
		}
	}
	w.base = slices.Clone(w.params)
	c.steps(w)
	round := 2*c.transfer(w.region, w.region) + float64(steps)*h.StepMS/w.speed + float64(w.id)*1e-6
	c.after(round, func() referenceEvent { return c.finish(w) })
}

// steps takes the local steps of w's task: a quadratic without noise.
func (c *paperClock) steps(w *paperWorker) {
	h := c.ref.Hyper
	schedule := optim.Schedule{Max: h.LR.Max, Warmup: h.LR.Warmup, Total: h.LR.Total}
	grads := make([]float32, len(w.params))
	for i := range w.task.Steps {
		lr := schedule.At(w.task.First + uint64(i) + 1)
		tensor.Sub(grads, w.params, c.ref.Problem.Centres[w.id])
		if h.Worker.Type == "adamw" {
			w.opt.Step(w.params, grads, lr)
			continue
		}
		tensor.Axpy(w.params, -float32(lr), grads)
	}
}

// finish brings w's delta to its LPS, and a push on its way if it is time.
func (c *paperClock) finish(w *paperWorker) referenceEvent {
	w.seq++
	values := make([]float32, len(w.params))
	tensor.Sub(values, w.base, w.params)
	c.toGPS(w.region, c.lps[w.region].Step(Delta{
		Name: Name{w.name(), 1, w.seq}, Steps: uint64(w.task.Steps), Samples: data.Intervals{w.task.Samples},
		Norm: tensor.Norm(values), Values: values,
	}))
	c.train(w)
	return referenceEvent{At: "lps", LPS: w.region, Worker: w.id}
}

// toGPS does what the LPS of a region wants done. Only deltas take time.
func (c *paperClock) toGPS(region int, acts []Action) {
	for _, a := range acts {
		switch a := a.(type) {
		case Snapshot:
			c.toGPS(region, c.lps[region].Step(SnapshotDone{ID: a.ID}))
		case Delta:
			c.after(c.transfer(region, 0), func() referenceEvent {
				c.trained += a.Steps
				c.toLPS(c.gps.Step(a))
				return referenceEvent{At: "gps", LPS: region, Trained: c.trained}
			})
		case Grant:
			c.workers[c.worker(a.Client)].task = a.Tasks[0]
		case Hello:
			c.toLPS(c.gps.Step(a))
		case Follow:
			c.toLPS(c.gps.Step(a))
		case Refused:
			c.t.Fatalf("the LPS of region %d refuses %v: %s", region, a.Name, a.Reason)
		}
	}
}

// toLPS does what the GPS wants done. Only answers to pushes take time.
func (c *paperClock) toLPS(acts []Action) {
	for _, a := range acts {
		switch a := a.(type) {
		case Snapshot:
			c.toLPS(c.gps.Step(SnapshotDone{ID: a.ID}))
		case Welcome:
			c.toGPS(c.region(a.Client), c.lps[c.region(a.Client)].Step(a))
		case Marks:
			c.toGPS(c.region(a.Client), c.lps[c.region(a.Client)].Step(a))
		case Grant:
			c.toGPS(c.region(a.Client), c.lps[c.region(a.Client)].Step(a))
		case Model:
			a.Params = slices.Clone(a.Params)
			region := c.region(a.Client)
			if a.Contains == 0 {
				c.toGPS(region, c.lps[region].Step(a))
				continue
			}
			c.after(c.transfer(0, region), func() referenceEvent {
				c.toGPS(region, c.lps[region].Step(a))
				return referenceEvent{At: "merge", LPS: region}
			})
		case Refused:
			c.t.Fatalf("the GPS refuses %v: %s", a.Name, a.Reason)
		}
	}
}

func (c *paperClock) region(client string) int {
	return slices.IndexFunc(c.lps, func(l *LPS) bool { return l.out.client == client })
}

func (c *paperClock) worker(client string) int {
	return slices.IndexFunc(c.workers, func(w *paperWorker) bool { return w.name() == client })
}
