package roles

import (
	"slices"
	"strings"
	"testing"

	"halos/data"
)

// lonely is a job of one worker whose LPS pushes every 32 deltas.
type lonely struct {
	name       string
	window, H  int
	link, disk moment
}

// run returns how many rounds the worker has trained, how many deltas it has named and
// how many it has held at most. A server that is blind to windows takes no snapshot
// because one is half full.
func (j lonely) run(t *testing.T, seed uint64, blind bool) (rounds, named, most int) {
	p := plan{cfg: scriptCfg, regions: 1, workers: 1, tasks: 400, window: j.window, n: 2, exact: true, link: j.link, disk: j.disk}
	p.cfg.K, p.cfg.H, p.cfg.Alpha = 32, j.H, 1
	w := newWorld(seed, p)
	w.watch = func(p *proc, ev Event) {
		switch r := p.role.(type) {
		case *LPS:
			if blind {
				r.window = 1000
			}
		case *Worker:
			if _, ok := ev.(TrainDone); ok {
				rounds++
			}
			named, most = int(r.out.next-1), max(most, len(r.out.entries))
		}
	}
	if faults := w.run(4 * jobLimit); faults != nil {
		t.Fatalf("%s, seed %d: %s", j.name, seed, strings.Join(faults, "\n\t"))
	}
	if pushes, want := len(w.checks.past["gps"].applied), (named+31)/32; pushes != want {
		t.Errorf("%s, seed %d: %d pushes for %d deltas, want %d", j.name, seed, pushes, named, want)
	}
	return rounds, named, most
}

// TestHealthyLinkNeverCoalesces runs one worker on links and disks that keep up with
// its rounds. Each round becomes a delta of its own, and none waits in the outbox for
// room: the snapshots that a half full window asks for move the durable mark in time,
// however rarely there is a push.
func TestHealthyLinkNeverCoalesces(t *testing.T) {
	for _, j := range []lonely{
		{"quick rounds", 32, 1, tick / 4, 2 * tick},
		{"slow disk", 32, 4, tick, 20 * tick},
		{"slow link", 32, 1, 3 * tick, 8 * tick},
		{"smallest window", 4, 8, tick, 2 * tick},
		{"odd window", 7, 2, tick / 2, 3 * tick},
	} {
		for seed := range uint64(10) {
			if rounds, named, most := j.run(t, seed, false); rounds < 400 || named != rounds || most > j.window {
				t.Errorf("%s, seed %d: %d rounds have become %d deltas, with %d in an outbox of %d", j.name, seed, rounds, named, most, j.window)
			}
		}
	}
}

// Without those snapshots rounds do coalesce.
func TestBlindServerMakesWorkersCoalesce(t *testing.T) {
	for seed := range uint64(10) {
		if rounds, named, most := (lonely{"blind", 7, 1, tick / 2, 3 * tick}).run(t, seed, true); named == rounds {
			t.Errorf("seed %d: %d rounds, as many deltas, at most %d at a time", seed, rounds, most)
		}
	}
}

// A delta that others are folded into stays small enough to be named in one message:
// its worker asks for no further tasks until something has become durable.
func TestFoldingEnds(t *testing.T) {
	w := NewWorker("w1", 1, 1, 1)
	server := Welcome{Client: "w1", Session: 1}
	w.Step(Connected{})
	w.Step(server)
	w.Step(Model{Client: "w1", ID: ModelID{Version: 1}, Params: []float32{1}})
	rounds := 0
	for ; rounds < 2*maxFolds; rounds++ {
		iv := data.Interval{Start: uint64(8 * rounds), End: uint64(8*rounds + 4)} // others have those between
		task := data.Task{Samples: iv, Steps: 1}
		acts := w.Step(Grant{Client: "w1", Tasks: []data.Task{task}})
		if !slices.ContainsFunc(acts, func(a Action) bool { _, ok := a.(Train); return ok }) {
			t.Fatalf("round %d does not begin: %v", rounds, acts)
		}
		w.Step(TrainDone{Steps: 1, Samples: iv})
		w.Step(Model{Client: "w1", ID: ModelID{Version: uint64(rounds + 2)}, Contains: w.out.next, Params: []float32{1}})
		if w.asked == 0 {
			break
		}
	}
	last := w.out.entries[len(w.out.entries)-1]
	if n := len(last.Samples); n < maxFolds || n > maxFolds+workerTasks {
		t.Errorf("a delta of %d ranges after %d rounds, want about %d", n, rounds, maxFolds)
	}
	w.Step(marksOf("w1", 1, 1))
	w.Step(marksOf("w1", 2, 2))
	if w.asked == 0 {
		t.Error("the worker does not ask again though all is durable")
	}
}
