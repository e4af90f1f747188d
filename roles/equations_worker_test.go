package roles

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// joined returns a worker with a task for each of the rounds, which starts from theta.
func joined(theta []float32, rounds int) (*Worker, []Action) {
	w := NewWorker("w1", 1, len(theta), rounds)
	w.Step(Connected{})
	w.Step(Welcome{Client: "w1", Session: 1})
	for i := range rounds {
		w.Step(task(uint64(4 * i)))
	}
	return w, w.Step(Model{Client: "w1", ID: local(1), Params: theta})
}

// endRound ends the running round in the trainer's model at end and returns what follows.
func endRound(w *Worker, acts []Action, end []float32) []Action {
	for _, a := range acts {
		if a, ok := a.(Train); ok {
			copy(a.Params, end)
			return w.Step(TrainDone{Steps: a.Task.Steps, Samples: a.Task.Samples, Loss: 1})
		}
	}
	panic("no round is running after " + trace(acts))
}

// delta = theta_start - theta_end
func TestEquationDelta(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 6))
		start, end := vector(rng), vector(rng)
		w, acts := joined(start, 1)
		d, ok := pushed(w, endRound(w, acts, end))
		if !ok {
			t.Fatal("no delta")
		}
		want := wide(start)
		for i := range want {
			want[i] -= float64(end[i])
		}
		near(t, "delta", d.Values, want)
		if math.Abs(d.Norm-math.Sqrt(want[0]*want[0]+want[1]*want[1]+want[2]*want[2])) > 1e-5 {
			t.Errorf("norm %v of %v", d.Norm, want)
		}
	}
}

// "model - sum of its own outbox deltas with seq > s", those that were refused left out.
func TestEquationAdoption(t *testing.T) {
	const rounds = 4
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 7))
		w, acts := joined(vector(rng), rounds)
		w.Step(ServerGone{}) // so that it waits for no answer
		var deltas [][]float64
		for range rounds - 1 {
			acts = endRound(w, acts, vector(rng))
			deltas = append(deltas, wide(w.out.entries[len(w.out.entries)-1].Values))
		}
		refused, contains := rng.Uint64N(rounds), rng.Uint64N(rounds)
		w.Step(Welcome{Client: "w1", Session: 1, Leases: span(0, 4*rounds)})
		if refused > 0 {
			w.Step(marksOf("w1", refused, 0).refusing(refused))
		}
		model, end := vector(rng), vector(rng)
		w.Step(Model{Client: "w1", ID: local(2), Contains: contains, Params: model})
		w.Step(ServerGone{})
		last := slices.Clone(w.start)
		endRound(w, acts, end)
		w.Step(task(4 * rounds))
		want := wide(model)
		for i := range want {
			for seq := contains + 1; seq < rounds; seq++ {
				if seq != refused {
					want[i] -= deltas[seq-1][i]
				}
			}
			want[i] -= float64(last[i]) - float64(end[i])
		}
		near(t, fmt.Sprintf("contains %d, refused %d", contains, refused), w.start, want)
	}
}

// First = max(first index, samples committed when granted) / global batch
func TestEquationTaskPlacement(t *testing.T) {
	for _, c := range []struct {
		first, committed uint64
		globalBatch      int
		want             uint64
	}{
		{0, 0, 8, 0},
		{6, 0, 8, 0},
		{8, 0, 8, 1},
		{30, 12, 8, 3},
		{12, 30, 8, 3},
		{1022, 1024, 1024, 1},
		{1 << 40, 1, 1, 1 << 40},
	} {
		cfg := scriptCfg
		cfg.GlobalBatch = c.globalBatch
		l := newLPS(cfg, 8, 0, "w1")().(*LPS)
		acts := l.Step(Grant{Client: "eu", Ranges: span(c.first, c.first+4), Committed: c.committed})
		g, ok := acts[0].(Grant)
		if !ok || len(g.Tasks) != 1 || g.Tasks[0].First != c.want || g.Tasks[0].Steps != 2 {
			t.Errorf("first index %d, %d committed, global batch %d: got %+v, want 2 steps at %d", c.first, c.committed, c.globalBatch, acts[0], c.want)
		}
	}
}
