package sim

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"halos/optim"
	"halos/roles"
)

// Algo is a method of training.
type Algo string

// HALoS, and what it is compared with.
const (
	HALoS     Algo = "halos"      // arXiv 2506.04531
	Async     Algo = "async"      // Async-Local-SGD, one server with delayed Nesterov (arXiv 2401.09135)
	DiLoCo    Algo = "diloco"     // all wait for all after H local steps (arXiv 2311.08105)
	DiLoCoDyn Algo = "diloco-dyn" // the same, with H in proportion to each worker's speed
	DDP       Algo = "ddp"        // synchronous data parallelism: gradients averaged at each step
	Ideal     Algo = "ideal"      // the steps of DDP on the same processors at one site, without a network
)

// Algos lists all.
func Algos() []Algo { return []Algo{HALoS, Async, DiLoCo, DiLoCoDyn, DDP, Ideal} }

// ParseAlgos reads a list such as "halos,diloco".
func ParseAlgos(list string) ([]Algo, error) {
	var algos []Algo
	for name := range strings.SplitSeq(list, ",") {
		a := Algo(strings.TrimSpace(name))
		switch {
		case !slices.Contains(Algos(), a):
			return nil, fmt.Errorf("unknown algorithm %q: there are %v", a, Algos())
		case slices.Contains(algos, a):
			return nil, fmt.Errorf("algorithm %q twice", a)
		}
		algos = append(algos, a)
	}
	return algos, nil
}

// localSteps is how many local steps a worker takes in a round, with speed its share of
// the fastest's.
func (a Algo) localSteps(h int, speed float64, rescale bool) int {
	switch {
	case a == DDP || a == Ideal:
		return 1
	case a == DiLoCo:
		return h
	case a == DiLoCoDyn || rescale:
		return roles.LocalSteps(h, speed, 1)
	}
	return h
}

// PaperH is how many local steps the HALoS paper gives a round of the method.
func (a Algo) PaperH() int {
	switch a {
	case HALoS:
		return 8
	case DDP, Ideal:
		return 1
	}
	return 32
}

// PaperOuter is the server's optimizer that the HALoS paper gives a baseline; zero for
// those that have none of their own.
func (a Algo) PaperOuter() optim.NesterovConfig {
	switch a {
	case Async:
		return optim.NesterovConfig{LR: 0.05 * 32, Beta: 0.9, N: 32}
	case DiLoCo, DiLoCoDyn:
		return optim.NesterovConfig{LR: 0.7, Beta: 0.9, N: 1}
	}
	return optim.NesterovConfig{}
}

// Config is one run: a method, where it runs, and for how long.
type Config struct {
	Algo  Algo
	Env   Env
	Cost  Cost
	Roles roles.Config         // all of it for HALoS; H, Batch, GlobalBatch and Rescale for others
	Outer optim.NesterovConfig // the server of async; LR and Beta that of diloco
	LR    optim.Schedule       // of the local steps, as the learner has it; for ddp
	Inner *optim.AdamW         // of ddp, without any step yet; others have it in the learner

	Steps         uint64  // local steps in all, at least
	TokensPerStep int     // that a local step predicts
	Evaluations   int     // of the global model, evenly over the steps; 0 = none
	Until         float64 // end when the held-out loss is at most this; 0 = never
	Jobs          int     // rounds trained at once
	Faults        Faults  // of halos
	Seed          uint64  // of the moments and victims of faults

	Progress func(share float64) // told now and then which share of the steps is done; nil if nobody asks
}

// Bounds of a run.
const (
	maxSteps       = 1 << 40
	maxRound       = 1 << 20 // local steps
	maxEvaluations = 1 << 20
)

// Validate joins all faults of c.
func (c Config) Validate() error {
	faults := []error{c.Env.Validate(), c.Cost.Validate(), c.Roles.Validate(), c.Faults.Validate()}
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(!slices.Contains(Algos(), c.Algo), "unknown algorithm %q", c.Algo)
	fault(c.Steps < 1 || c.Steps > maxSteps, "%d local steps, want 1 to %d", c.Steps, maxSteps)
	fault(c.Faults.EveryMS > 0 && c.Algo != HALoS, "kills: only halos is simulated with them")
	procs := c.Env.processes()
	fault(c.Faults.EveryMS > 0 && c.Faults.AwayMS >= c.Faults.EveryMS*float64(procs),
		"kills every %v ms, for %v ms each, leave none of %d processes up: kill less often", c.Faults.EveryMS, c.Faults.AwayMS, procs)
	fault(c.Jobs < 1, "%d jobs, want at least 1", c.Jobs)
	fault(c.Evaluations < 0 || c.Evaluations > maxEvaluations, "%d evaluations, want 0 to %d", c.Evaluations, maxEvaluations)
	fault(c.Roles.H > maxRound, "H: %d, a round takes at most %d steps", c.Roles.H, maxRound)
	fault(c.Until != 0 && c.Evaluations == 0, "a run that ends at a loss needs evaluations")
	fault(!(c.Until >= 0) || math.IsInf(c.Until, 0), "a loss of %v to end at, want one above 0", c.Until)
	fault((c.Algo == DDP || c.Algo == Ideal) && c.Inner == nil, "%s needs an optimizer", c.Algo)
	if c.Algo.PaperOuter().N > 0 {
		if err := c.Outer.Validate(); err != nil {
			faults = append(faults, fmt.Errorf("outer: %w", err))
		}
	}
	return errors.Join(faults...)
}
