package sim

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"halos/data"
	"halos/model"
	"halos/optim"
	"halos/roles"
)

// census is a learner that takes 1 off the parameter of each sample that it trains on.
type census struct{ still }

func (census) Train(_ context.Context, _ int, params []float32, task data.Task) (float64, error) {
	for i := task.Samples.Start; i < task.Samples.End; i++ {
		params[i]--
	}
	return 0, nil
}

// censusConfig is a job in which servers add deltas up, so that the global model says
// how often each sample is in it.
func censusConfig(steps uint64) Config {
	sum := optim.NesterovConfig{LR: 1, N: 1}
	return Config{
		Algo: HALoS,
		Env:  Env{Gbit: [][]float64{{10, 0.5, 1}, {0.5, 10, 0.3}, {1, 0.3, 10}}, Speeds: [][]float64{{1, 0.3}, {0.5, 0.8}, {0.9}}},
		Cost: Pythia70M(),
		Roles: roles.Config{
			H: 4, K: 3, Alpha: 1, InFlight: roles.Carry, Batch: 2, GlobalBatch: 8, Rescale: true, LPS: sum, GPS: sum,
		},
		Outer: sum, Steps: steps, TokensPerStep: 1, Jobs: 2,
	}
}

// However often its processes are killed, a job ends, and each of its samples is in the
// model once.
func TestKilledJobsLearnEachSampleOnce(t *testing.T) {
	const steps = 800
	var all Toll
	for seed := range uint64(25) {
		c := censusConfig(steps)
		c.Seed, c.Faults = seed, Faults{EveryMS: 3000, AwayMS: float64(seed%5) * 4000}
		global := make([]float32, steps*uint64(c.Roles.Batch))
		res, err := Run(t.Context(), c, census{}, global)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for i, x := range global {
			if x != -1 {
				t.Fatalf("seed %d: sample %d is %v times in the model", seed, i, -x)
			}
		}
		if res.Steps != steps {
			t.Errorf("seed %d: %d steps, want %d", seed, res.Steps, steps)
		}
		all.Add(*res.Toll)
	}
	if all.Workers < 100 || all.LPSs < 100 || all.GPS < 30 || all.Rounds < 100 || all.Undone < 100 || all.Resent < 100 {
		t.Errorf("%+v: too little has happened to say anything", all)
	}
}

// killedStudy is HALoS on the toy model, some hundred kills within two minutes.
func killedStudy(t *testing.T) Study {
	t.Helper()
	s := smallStudy(t)
	s.Algos, s.Faults = []Algo{HALoS}, Faults{EveryMS: 1000, AwayMS: 2000}
	s.Job.Tokens *= 4
	for _, set := range []string{"lps.lr=0.8", "lps.beta=0.9", "lps.n=16", "gps.lr=0.2", "gps.beta=0", "gps.n=1"} {
		if err := s.Job.Set(set); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// Kills cost time, not what is learned from a token.
func TestKilledJobsLearnAsWell(t *testing.T) {
	s := killedStudy(t)
	runs, err := s.Run(t.Context(), silent)
	if err != nil {
		t.Fatal(err)
	}
	s.Faults.EveryMS = 1e12 // none comes
	calm, err := s.Run(t.Context(), silent)
	if err != nil {
		t.Fatal(err)
	}
	got, want := runs[0].Runs[0], calm[0].Runs[0]
	if got.Tokens != s.Job.Tokens || got.Toll.Workers < 30 || got.Toll.LPSs < 8 || got.Toll.GPS < 2 || *want.Toll != (Toll{}) {
		t.Errorf("%d tokens, %+v; without kills %+v", got.Tokens, got.Toll, want.Toll)
	}
	if learned := want.Curve[0].Loss - want.Loss; !(learned > 2 && math.Abs(got.Loss-want.Loss) < 0.03*learned) {
		t.Errorf("loss %.4f, without kills %.4f", got.Loss, want.Loss)
	}
	if m := NewReport(s, runs).Algorithms[0]; *m.Toll != *got.Toll || m.Faults == nil {
		t.Errorf("report %+v", m)
	}
}

// A run under faults has the same bits at any number of jobs, and after it was stopped.
func TestKillsAreReproducible(t *testing.T) {
	s := killedStudy(t)
	s.Job.Tokens /= 2
	s.Seeds = 2
	want := ""
	for _, jobs := range []int{1, 2, 5} {
		s.Jobs = jobs
		runs, err := s.Run(t.Context(), silent)
		if err != nil {
			t.Fatal(err)
		}
		if got := textOf(t, runs); want == "" {
			want = got
		} else if got != want {
			t.Errorf("%d jobs: %s\nwith one: %s", jobs, got, want)
		}
	}
	s.Store = &Store{Dir: t.TempDir()}
	for _, stop := range []float64{0.2, 0.4, 0.7, 0.9} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := s.Run(ctx, func(_ string, share float64) {
			if share > stop {
				cancel()
			}
		})
		if cancel(); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if runs, err := s.Run(t.Context(), silent); err != nil || textOf(t, runs) != want {
		t.Errorf("stopped: %s (%v)\nwithout: %s", textOf(t, runs), err, want)
	}
	s.Faults.AwayMS++
	if _, err := s.Run(t.Context(), silent); err == nil {
		t.Error("other faults were taken up in the same directory")
	}
}

// A killed worker's AdamW begins again, and nobody else's.
func TestForget(t *testing.T) {
	s := smallStudy(t)
	texts := NewTexts(s.Job.TrainConfig(), s.Corpora[:2], 1, 1)
	params := make([]float32, s.Job.Model.NumParams())
	model.Init(params, s.Job.Model, 1)
	task := data.Task{Samples: data.Interval{End: 4}, Steps: 2}
	for worker := range 2 {
		if _, err := texts.Train(t.Context(), worker, params, task); err != nil {
			t.Fatal(err)
		}
	}
	texts.Forget(0)
	moved := func(m []float32) bool { return slices.ContainsFunc(m, func(x float32) bool { return x != 0 }) }
	if o := texts.states[0]; o.Steps != 0 || moved(o.M) || moved(o.V) {
		t.Errorf("%d steps are remembered", o.Steps)
	}
	if o := texts.states[1]; o.Steps != 2 || !moved(o.M) || !moved(o.V) {
		t.Errorf("the other has %d steps", o.Steps)
	}
}
