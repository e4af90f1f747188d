package testnet

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Faults says what a testnet is made to survive. Times between two faults of a kind
// are means, 0 for none of that kind; all else is drawn from the seed.
type Faults struct {
	For    time.Duration // faults begin until so long after the training
	Kill   time.Duration // of any process, as by kill -9 or a loss of power; it is started again
	Pause  time.Duration // of any process, as a machine that swaps or sleeps
	Cut    time.Duration // of the link between two regions
	Outage time.Duration // the GPS is away once, for so long, at a third of For
	Late   bool          // a worker of each region joins later, if it has two
	Seed   uint64
}

// Validate joins all faults of f.
func (f Faults) Validate() error {
	var errs []error
	if f.For <= 0 || f.For > maxChaos {
		errs = append(errs, fmt.Errorf("minutes: faults for %v, want more than 0s and at most %v", f.For, maxChaos))
	}
	for _, t := range []struct {
		name string
		mean time.Duration
	}{{"kill", f.Kill}, {"pause", f.Pause}, {"cut", f.Cut}} {
		switch {
		case t.mean < 0 || t.mean > 0 && t.mean < leastMean:
			errs = append(errs, fmt.Errorf("%s %v: want 0s for none, or at least %v between two", t.name, t.mean, leastMean))
		case t.mean > f.For && f.For > 0:
			errs = append(errs, fmt.Errorf("%s %v: faults come for %v only, so that none would be: give it more minutes, or 0s for none", t.name, t.mean, f.For))
		}
	}
	if f.Outage < 0 || f.Outage > f.For/2 {
		errs = append(errs, fmt.Errorf("outage %v: must be 0s to half of the time of faults, %v", f.Outage, f.For/2))
	}
	if f.Pause > 0 && !canPause {
		errs = append(errs, errors.New("pause: this system cannot stop a process: give --pause 0s"))
	}
	return errors.Join(errs...)
}

const (
	maxChaos  = 24 * time.Hour
	leastMean = 100 * time.Millisecond
)

// faultKind is what happens to a member or a link.
type faultKind uint8

const (
	faultKill faultKind = iota
	faultPause
	faultCut
	faultJoin
	faultOutage
)

func (k faultKind) String() string {
	return [...]string{"kill", "pause", "cut", "join", "outage"}[k]
}

// fault is one thing that goes wrong, and when it is over; times count from the
// beginning of the training.
type fault struct {
	kind     faultKind
	at, till time.Duration
	member   int // of the plan; not for a cut
	regions  [2]int
}

// Faults last from a moment to several times the mean time between two of them, but no
// longer than it takes to outlast the roles' waits for whoever is away. They are drawn
// so that each factor is equally likely: most are short.
const (
	shortest  = 100 * time.Millisecond
	longest   = 25 * time.Second
	spanMeans = 5
)

// draw makes the plan of faults for members in so many regions, by time. A member or
// a link has one fault at a time. The same seed gives the same plan.
func (f Faults) draw(members []member, regions int) []fault {
	var all []fault
	if f.Late {
		all = append(all, f.joins(members)...)
	}
	if f.Outage > 0 {
		all = append(all, fault{kind: faultOutage, at: f.For / 3, till: f.For/3 + f.Outage})
	}
	for _, kind := range []faultKind{faultPause, faultCut, faultKill} { // the rarest first: they find a member that is free
		mean := map[faultKind]time.Duration{faultKill: f.Kill, faultPause: f.Pause, faultCut: f.Cut}[kind]
		if mean == 0 || kind == faultCut && regions < 2 {
			continue
		}
		rng := rand.New(rand.NewPCG(f.Seed, uint64(kind)))
		for at := between(rng, mean/2, mean); at < f.For; at += between(rng, mean/2, 3*mean/2) {
			n := fault{kind: kind, at: at, till: min(at+span(rng, min(spanMeans*mean, longest)), f.For+settle)}
			if kind == faultCut {
				n.regions = pair(rng, regions)
			} else {
				n.member = rng.IntN(len(members))
			}
			for try := 0; try < len(members) && slices.ContainsFunc(all, n.meets); try++ {
				n.member = (n.member + 1) % len(members)
			}
			if !slices.ContainsFunc(all, n.meets) {
				all = append(all, n)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b fault) int { return cmp.Compare(a.at, b.at) })
	return all
}

// settle is how long after the last one has begun all faults are over.
const settle = 2 * time.Second

// joins lets the last worker of each region come later.
func (f Faults) joins(members []member) []fault {
	rng := rand.New(rand.NewPCG(f.Seed, uint64(faultJoin)))
	workers := map[int][]int{}
	for i, m := range members {
		if m.role == roleWorker {
			workers[m.region] = append(workers[m.region], i)
		}
	}
	var all []fault
	for region := 1; region <= len(workers); region++ {
		if w := workers[region]; len(w) > 1 {
			at := between(rng, f.For/10, f.For/2)
			all = append(all, fault{kind: faultJoin, at: at, till: at, member: w[len(w)-1]})
		}
	}
	return all
}

// meets reports that f and g cannot both be: they befall the same member or link at
// the same time, or a member that has not joined.
func (f fault) meets(g fault) bool {
	switch {
	case (f.kind == faultCut) != (g.kind == faultCut):
		return false
	case f.kind == faultCut && f.regions != g.regions, f.kind != faultCut && f.member != g.member:
		return false
	case g.kind == faultJoin:
		return f.at < g.at+apart
	}
	return f.at < g.till+apart && g.at < f.till+apart
}

// apart lies at least between two faults of one member, so that each comes about.
const apart = 100 * time.Millisecond

// between draws a time evenly.
func between(rng *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(rng.Int64N(int64(max(1, high-low))))
}

// span draws how long a fault lasts.
func span(rng *rand.Rand, most time.Duration) time.Duration {
	ratio := float64(most) / float64(shortest)
	return time.Duration(float64(shortest) * math.Pow(ratio, rng.Float64()))
}

// pair draws two regions, the lower first.
func pair(rng *rand.Rand, regions int) [2]int {
	a, b := 1+rng.IntN(regions), 1+rng.IntN(regions-1)
	if b >= a {
		b++
	}
	return [2]int{min(a, b), max(a, b)}
}
