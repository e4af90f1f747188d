package roles

import (
	"flag"
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
	rarely(4, func() { p.cfg.Rescale = true })
	rarely(3, func() { p.late = 0.02 })
	rarely(3, func() { p.twice = 0.1 })
	rarely(4, func() { p.poison = 0.03 })
	rarely(2, func() { p.rot = 0.3 })
	p.chaos = 2*tick + moment(rng.Int64N(int64(60*tick)))
	p.calm = 100*tick + moment(rng.Int64N(int64(900*tick)))
	return p
}

// mildPlanOf is planOf without mishaps that take something away for good or for long.
func mildPlanOf(seed uint64) plan {
	p := planOf(seed)
	p.mild, p.lossy, p.badRound, p.badDisk, p.poison, p.rot = true, 0, 0, 0, 0, 0
	p.disk = min(p.disk, 4*tick)
	p.cfg.Guard.MaxStaleness = 0
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

// TestJobKeepsWork runs jobs in which processes crash and come back soon: hardly any
// push is refused for samples that have been given to somebody else meanwhile.
func TestJobKeepsWork(t *testing.T) {
	refused, applied := 0, 0
	for seed := range uint64(*jobs / 2) {
		w := newWorld(seed, mildPlanOf(seed))
		if faults := w.run(jobLimit); faults != nil {
			t.Errorf("seed %d: %s", seed, strings.Join(faults, "\n\t"))
		}
		refused += w.checks.refused["gps"]
		applied += len(w.checks.past["gps"].applied)
	}
	if refused > applied/1000 {
		t.Errorf("the GPS has refused %d pushes and applied %d, want at most one in a thousand refused", refused, applied)
	}
}

// TestJobWithoutMishaps runs jobs in which nothing happens: no delta is refused.
func TestJobWithoutMishaps(t *testing.T) {
	for seed := range uint64(*jobs / 4) {
		p := mildPlanOf(seed)
		p.chaos = 0
		w := newWorld(seed, p)
		if faults := w.run(jobLimit); faults != nil {
			t.Errorf("seed %d: %s", seed, strings.Join(faults, "\n\t"))
		}
		if len(w.checks.refused) > 0 {
			t.Errorf("seed %d: refused %v", seed, w.checks.refused)
		}
	}
}

// TestJobSwitchedOff switches one mechanism off at a time. The checks must notice what
// follows from that.
func TestJobSwitchedOff(t *testing.T) {
	for _, c := range []struct {
		off  mechanism
		want string // part of the fault
	}{
		{keepTillServed, "which was durable"},
		{keepTillSaved, "which was durable"},
		{durableMark, "which was durable"},
		{outputCommit, "its state is older than what it has sent"},
		{resend, "the job has not ended"},
		{dedup, "twice"},
		{refusalAdvances, "again, which it has refused"},
		{reclaimCheck, "gps applies samples"},
		{oneSnapshot, "durable"},
		{olderSlot, "which was durable"},
		{atLeastK, "no push is on its way"},
		{giveBack, "the job has not ended"},
		{reclaim, "the job has not ended"},
		{farewell, "nobody"},
	} {
		t.Run(string(c.off), func(t *testing.T) {
			for seed := range uint64(500) {
				p := planOf(seed)
				p.off = c.off
				if faults := newWorld(seed, p).run(jobLimit); faults != nil && strings.Contains(faults[0], c.want) {
					t.Logf("seed %d: %s", seed, faults[0])
					return
				}
			}
			t.Errorf("500 jobs without it, and no fault says %q", c.want)
		})
	}
}
