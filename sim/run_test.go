package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"halos/data"
	"halos/job"
	"halos/optim"
)

// smallStudy trains a toy model for some hundred steps, on another text in region 2.
func smallStudy(t *testing.T) Study {
	t.Helper()
	j, err := job.Preset("tiny")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		"model.hidden_size=16", "model.num_hidden_layers=1", "model.num_attention_heads=2", "model.intermediate_size=32",
		"model.max_position_embeddings=16", "batch=2", "global_batch=8", "H=4", "K=3", "optimizer.warmup=5",
	} {
		if err := j.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	j.Tokens = 16 * 2 * 600
	env := PaperEnv()
	austen, sotu := open(t, data.Austen()), open(t, data.StateOfTheUnion())
	return Study{
		Job: j, Env: env, Cost: Pythia70M(), Algos: Algos(), Corpora: []*data.Corpus{austen, austen, sotu, austen},
		H: 4, Seeds: 1, Evals: 6, Windows: 16, Jobs: 2,
	}
}

func open(t *testing.T, s data.Source) *data.Corpus {
	t.Helper()
	c, err := data.Open(s, "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func textOf(t *testing.T, runs []Runs) string {
	t.Helper()
	text, err := json.Marshal(runs)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func silent(string, float64) {}

// Every method learns, and the same settings give the same bits at any number of jobs.
func TestSameBitsAtAnyJobs(t *testing.T) {
	s := smallStudy(t)
	var want string
	for _, jobs := range []int{1, 2, 5} {
		s.Jobs = jobs
		runs, err := s.Run(t.Context(), silent)
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			want = textOf(t, runs)
			for _, r := range runs {
				curve := r.Runs[0].Curve
				if len(curve) < 6 || !(r.Runs[0].Loss < curve[0].Loss-0.5) || r.Runs[0].Steps < 600 {
					t.Errorf("%s: %+v, want it to learn", r.Algo, r.Runs[0])
				}
			}
			continue
		}
		if got := textOf(t, runs); got != want {
			t.Errorf("%d jobs: %s\nwith one: %s", jobs, got, want)
		}
	}
	s.Job.Seed++
	runs, err := s.Run(t.Context(), silent)
	if err != nil || textOf(t, runs) == want {
		t.Errorf("another seed: the same results (%v)", err)
	}
}

// A study that is stopped again and again ends with the bits of one that is not.
func TestStoppedAndResumed(t *testing.T) {
	s := smallStudy(t)
	whole, err := s.Run(t.Context(), silent)
	if err != nil {
		t.Fatal(err)
	}
	s.Store = &Store{Dir: filepath.Join(t.TempDir(), "study")}
	if stops := stopAndGo(t, s, 7, textOf(t, whole)); stops < 20 {
		t.Errorf("stopped %d times only", stops)
	}
	s.Job.K++
	if _, err := s.Run(t.Context(), silent); err == nil {
		t.Error("another study was taken up in the same directory")
	}
}

// stopAndGo runs s, stopped at each so many steps of its progress and resumed, until it
// has ended as it should, and returns how often it was stopped.
func stopAndGo(t *testing.T, s Study, each int, want string) int {
	t.Helper()
	for stops := range 1000 {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		runs, err := s.Run(ctx, func(string, float64) {
			if calls++; calls == each {
				cancel()
			}
		})
		cancel()
		if err == nil {
			if got := textOf(t, runs); got != want {
				t.Errorf("after %d stops: %s\nwithout: %s", stops, got, want)
			}
			return stops
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	t.Fatal("it does not come to an end")
	return 0
}

// A round that has diverged ends the run when its time comes, also if the run was
// stopped before.
func TestStoppedBeforeItDiverges(t *testing.T) {
	s := smallStudy(t)
	s.Algos = []Algo{HALoS, Async}
	s.Job.Optimizer.LR = 30
	whole, err := s.Run(t.Context(), silent)
	if err != nil {
		t.Fatal(err)
	}
	diverged := 0
	for _, runs := range whole {
		if r := runs.Runs[0]; r.Diverged && r.Events > 4 {
			diverged++
		}
	}
	if diverged == 0 {
		t.Fatalf("nothing has diverged on the way: %s", textOf(t, whole))
	}
	s.Store = &Store{Dir: filepath.Join(t.TempDir(), "study")}
	stopAndGo(t, s, 1, textOf(t, whole))
}

func TestDamagedState(t *testing.T) {
	s := smallStudy(t)
	s.Algos, s.Store = []Algo{Async}, &Store{Dir: t.TempDir()}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := s.Run(ctx, func(string, float64) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	file := filepath.Join(s.Store.Dir, "async-seed1.state")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range [][]byte{nil, text[:len(text)-1], append(text[:len(text)/2:len(text)/2], append([]byte{text[len(text)/2] ^ 1}, text[len(text)/2+1:]...)...)} {
		if err := os.WriteFile(file, damage, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Run(t.Context(), silent); err == nil || !strings.Contains(err.Error(), file+": damaged") {
			t.Errorf("%d bytes: %v", len(damage), err)
		}
	}
}

func TestUntilLoss(t *testing.T) {
	s := smallStudy(t)
	s.Algos = []Algo{HALoS}
	whole, err := s.Run(t.Context(), silent)
	if err != nil {
		t.Fatal(err)
	}
	s.Until = whole[0].Runs[0].Curve[3].Loss
	runs, err := s.Run(t.Context(), silent)
	if err != nil || len(runs[0].Runs[0].Curve) > 4 || runs[0].Runs[0].Loss > s.Until {
		t.Errorf("until loss %v: %+v, %v", s.Until, runs, err)
	}
	s.Until = 0.01
	if _, err := s.Run(t.Context(), silent); !errors.Is(err, ErrNotReached) {
		t.Errorf("an impossible loss: %v", err)
	}
}

func TestDivergenceIsAResult(t *testing.T) {
	s := smallStudy(t)
	s.Algos = []Algo{DiLoCo, DDP}
	huge := 1e20
	s.Outer = Outer{LR: &huge}
	s.Job.Optimizer.Clip = 0
	runs, err := s.Run(t.Context(), silent)
	if err != nil {
		t.Fatal(err)
	}
	if !runs[0].Runs[0].Diverged || runs[1].Runs[0].Diverged {
		t.Errorf("%+v", runs)
	}
	if m := NewReport(s, runs).Algorithms[0]; m.Diverged != 1 || m.ToTarget != nil || m.Loss != nil {
		t.Errorf("report %+v", m)
	}
}

// The synchronous methods' servers by hand, on one number.
func TestServersOfTheBaselines(t *testing.T) {
	env := Env{Gbit: [][]float64{{1}}, Speeds: [][]float64{{1, 1}}}
	p := Plan{Algo: DiLoCo, Env: env, Cost: Cost{Up: 1, Down: 1, StepMS: 1}, H: 1, K: 1, InFlight: "carry", Steps: 4}
	c := p.config()
	c.Outer = optim.NesterovConfig{LR: 0.5, Beta: 0.5, N: 1}
	global := []float32{10}
	if _, err := Run(t.Context(), c, halving{}, global); err != nil {
		t.Fatal(err)
	}
	// Each worker's delta is half of theta: g = 5, m = 5, theta = 10 - 0.5*(5+2.5) = 6.25;
	// g = 3.125, m = 5.625, theta = 6.25 - 0.5*(3.125+2.8125).
	if want := 3.28125; math.Abs(float64(global[0])-want) > 1e-6 {
		t.Errorf("diloco: %v, want %v", global[0], want)
	}
}

// halving is a learner whose local steps halve the parameters.
type halving struct{ still }

func (halving) Train(_ context.Context, _ int, params []float32, task data.Task) (float64, error) {
	for range task.Steps {
		for i := range params {
			params[i] /= 2
		}
	}
	return 0, nil
}

func TestAgendaIsInOrder(t *testing.T) {
	var a agenda
	for i := range 1000 {
		a.after(float64(i*7919%101), event{Who: i})
	}
	var last event
	for i := range 1000 {
		e := a.next()
		if i > 0 && !(last.At < e.At || last.At == e.At && last.Order < e.Order) || a.now != e.At {
			t.Fatal(fmt.Sprintf("%+v after %+v", e, last))
		}
		last = e
		if i%3 == 0 && i < 300 {
			a.after(float64(i%11), event{Who: -1})
			e = a.next()
			a.after(e.At-a.now, e)
		}
	}
}
