package roles

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"halos/optim"
)

var jobs = flag.Int("jobs", 400, "simulated jobs of TestJob")

// planOf draws the plan of a seed. In every plan the servers add deltas up as they
// are, so that the model at the end is the one at the start less every delta.
func planOf(seed uint64) plan {
	rng := rand.New(rand.NewPCG(seed, 2))
	plain := optim.NesterovConfig{LR: 1, N: 1}
	p := plan{
		cfg: Config{
			H: 1 + rng.IntN(4), K: 1 + rng.IntN(5), Alpha: 1, InFlight: Carry,
			Batch: 1 + rng.IntN(3), GlobalBatch: 8, LPS: plain, GPS: plain,
		},
		regions: 1 + rng.IntN(3), workers: 1 + rng.IntN(3), tasks: 20 + rng.IntN(150),
		window: 1 + rng.IntN(4), n: 2, exact: true,
		link: 1 + moment(rng.Int64N(int64(3*tick))), disk: 1 + moment(rng.Int64N(int64(4*tick))),
	}
	if rng.IntN(4) == 0 {
		p.disk *= 20
	}
	if rng.IntN(3) == 0 {
		p.badDisk = 0.2
	}
	if rng.IntN(3) == 0 {
		p.lossy = 0.1
	}
	if rng.IntN(4) == 0 {
		p.badRound = 0.05
	}
	if rng.IntN(8) > 0 {
		p.chaos = 2*tick + moment(rng.Int64N(int64(60*tick)))
		p.calm = 100*tick + moment(rng.Int64N(int64(900*tick)))
	}
	return p
}

const jobLimit = 8000 * tick

// TestJob runs whole jobs through mishaps of all kinds. Each must end, with every
// sample trained once and nothing of any delta lost or doubled.
func TestJob(t *testing.T) {
	for seed := range uint64(*jobs) {
		if faults := newWorld(seed, planOf(seed)).run(jobLimit); faults != nil {
			t.Errorf("seed %d: %s", seed, strings.Join(faults, "\n\t"))
		}
	}
}

func TestOne(t *testing.T) {
	w := newWorld(uint64(*one), planOf(uint64(*one)))
	w.trace = func(p *proc, ev Event, acts []Action) {
		if _, ok := ev.(Tick); ok && len(acts) == 0 {
			return
		}
		fmt.Printf("%7.2f %-6s %T%+v\n", float64(w.now)/float64(tick), p.id, ev, ev)
		for _, a := range acts {
			fmt.Printf("                 -> %T%+v\n", a, a)
		}
	}
	fmt.Printf("%+v\n", w.plan)
	fmt.Println(w.run(jobLimit))
}

var one = flag.Int("one", 0, "")

