package sim

import (
	"errors"
	"fmt"
	"math"

	"halos/roles"
)

// Faults are the kills that a run of HALoS lives through. Each strikes one of the
// processes that are up, a worker, an LPS or the GPS, all as likely, at a random moment.
type Faults struct {
	EveryMS float64 `json:"every_ms"` // between two kills, the mean of an exponential distribution; 0 = none
	AwayMS  float64 `json:"away_ms"`  // until the process is there again, with its snapshot loaded
}

// Validate joins all faults of f.
func (f Faults) Validate() error {
	var faults []error
	if !(f.EveryMS >= 0) || math.IsInf(f.EveryMS, 0) {
		faults = append(faults, fmt.Errorf("a kill every %v ms, want a time above 0, or 0 for none", f.EveryMS))
	}
	if !(f.AwayMS >= 0) || math.IsInf(f.AwayMS, 0) {
		faults = append(faults, fmt.Errorf("killed processes are away for %v ms, want a time from 0 on", f.AwayMS))
	}
	return errors.Join(faults...)
}

// Toll is what kills have cost a run.
type Toll struct {
	Workers uint64 `json:"workers"` // killed, and so on
	LPSs    uint64 `json:"lps"`
	GPS     uint64 `json:"gps"`
	Rounds  uint64 `json:"rounds_lost"` // of workers, killed in them or before their LPS had the delta
	Undone  uint64 `json:"undone"`      // deltas and pushes that a server had applied and not made durable
	Resent  uint64 `json:"resent"`      // deltas and pushes that left again under their names
	Refused uint64 `json:"refused"`     // of samples that a server no longer counted as the sender's
}

// Add adds what another run has suffered.
func (t *Toll) Add(u Toll) {
	t.Workers += u.Workers
	t.LPSs += u.LPSs
	t.GPS += u.GPS
	t.Rounds += u.Rounds
	t.Undone += u.Undone
	t.Resent += u.Resent
	t.Refused += u.Refused
}

// forgetter is a Learner that keeps something of each worker's, which dies with it.
type forgetter interface{ Forget(worker int) }

// appoint makes the moment of the next kill.
func (f *fleet) appoint() {
	f.after(f.rng.ExpFloat64()*f.Faults.EveryMS, event{Kind: killed})
}

// kill ends a process that is up at once, as kill -9 does: nothing is left of it but
// what is on its disk, and those that it was connected to notice.
func (f *fleet) kill() error {
	var up []*process
	for _, p := range f.procs {
		if p.role != nil {
			up = append(up, p)
		}
	}
	if len(up) == 0 {
		return nil
	}
	p := up[f.rng.IntN(len(up))]
	f.count(p)
	if p.worker != nil {
		f.abandon(p)
	}
	p.role, p.writing = nil, nil
	f.after(f.Faults.AwayMS, event{Kind: started, Who: p.id})
	if p.up {
		p.up = false
		if err := f.step(p.server, roles.ClientGone{Client: p.name, Peer: p.name}); err != nil {
			return err
		}
	}
	for _, c := range f.procs {
		if c.server != p || !c.up {
			continue
		}
		c.up = false
		if err := f.step(c, roles.ServerGone{}); err != nil {
			return err
		}
		f.dialAfter(c, redialMS)
	}
	return nil
}

// count adds the end of p to the toll.
func (f *fleet) count(p *process) {
	switch role := p.role.(type) {
	case *roles.Worker:
		f.toll.Workers++
		s := role.Status()
		f.toll.Rounds += s.Seq - s.Decided
		if p.training {
			f.toll.Rounds++
		}
		return
	case *roles.LPS:
		f.toll.LPSs++
	case *roles.GPS:
		f.toll.GPS++
	}
	f.toll.Undone += p.role.(server).State().Server.Arrivals
	if p.disk != nil {
		f.toll.Undone -= p.disk.Server.Arrivals
	}
}

// abandon ends the round of a worker that dies, and its optimizer's memory.
func (f *fleet) abandon(p *process) {
	w := p.worker
	if p.training {
		_, _ = w.training.wait() // what came of it, divergence too, dies with the worker
		p.training = false
		f.tally.Busy -= max(0, w.until-f.now)
		w.until = f.now
	}
	if l, ok := f.learner.(forgetter); ok {
		l.Forget(w.id)
	}
}
