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

// planOf draws the plan of a seed. In three of four the servers add deltas up as they
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
		p.exact = false
		p.cfg.Alpha = 0.25
		p.cfg.LPS = optim.NesterovConfig{LR: 0.7, Beta: 0.9, N: 4}
		p.cfg.GPS = optim.NesterovConfig{LR: 0.5, Beta: 0.5, C: 0.1, N: 2}
		p.cfg.Guard = Guard{NormPerStep: 100, MaxStaleness: 60}
		if rng.IntN(2) == 0 {
			p.cfg.InFlight = Paper
		}
	}
	rarely := func(one int, f func()) {
		if rng.IntN(one) == 0 {
			f()
		}
	}
	rarely(4, func() { p.disk *= 20 })
	rarely(3, func() { p.badDisk = 0.2 })
	rarely(3, func() { p.lossy = 0.1 })
	rarely(4, func() { p.badRound = 0.05 })
	p.chaos = 2*tick + moment(rng.Int64N(int64(60*tick)))
	p.calm = 100*tick + moment(rng.Int64N(int64(900*tick)))
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

func TestStats(t *testing.T) {
	reasons := map[string]int{}
	all := 0
	for seed := range uint64(*jobs) {
		p := planOf(seed)
		p.mild = *mild
		w := newWorld(seed, p)
		w.trace = func(p *proc, ev Event, acts []Action) {
			for _, a := range acts {
				switch a := a.(type) {
				case Refused:
					reasons[fmt.Sprint(a.Reason, p == w.gps)]++
					if *mild {
						fmt.Println(seed, w.now/tick, a)
					}
				case Applied:
					reasons[fmt.Sprint("applied", p == w.gps)]++
				case Lost:
					reasons["lost"]++
				}
			}
		}
		w.run(jobLimit)
		all++
	}
	for k, v := range reasons {
		fmt.Println(v, k)
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

var mild = flag.Bool("mild", false, "")
var one = flag.Int("one", 0, "")
