package testnet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"halos/job"
)

const (
	phaseCalm = "calm"

	chaosPoll = 50 * time.Millisecond // how often a chaos run looks what to do
	// calmShare is how much of the job is committed when no further fault begins, so
	// that all of it comes to an end that can be judged.
	calmShare = 0.9
	// patience is how long the job may take to end once all faults are over.
	patience = 3 * time.Minute
	// reviveAfter is when a process that found nobody to join is started again.
	reviveAfter = time.Second
	// unreachable is the exit code of such a process.
	unreachable = 3
)

// disturb runs a whole job while the plan of faults befalls its processes and links,
// lets it end in peace and judges it by what all its processes recorded. It ends all
// processes as Run does. An error says that there is nothing to judge; a verdict that
// does not pass is none.
func disturb(ctx context.Context, c Config, f Faults, j *job.Job) (_ Verdict, err error) {
	n, err := newNetwork(c)
	if err != nil {
		return Verdict{}, err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	if n.members[0].listen.Port() == 0 {
		if err := fixPorts(n.members); err != nil {
			return Verdict{}, err
		}
	}
	h := newChaos(n, f, j)
	n.display.note("chaos in %d regions with %d workers each, %d faults in %v by seed %d, in %s",
		c.Regions, c.Workers, len(h.plan), f.For, f.Seed, n.env.dir)
	if err := n.describeLinks(); err != nil {
		return Verdict{}, err
	}
	n.started = time.Now()
	cause := h.run(ctx)
	if cause == nil {
		err = n.end(context.WithoutCancel(ctx), nil)
	} else { // members may be stopped, cut off or away: none of them could drain
		left := n.running("")
		for _, p := range left {
			p.killed = true
		}
		err = errors.Join(cause, n.kill(context.WithoutCancel(ctx), left))
	}
	n.tally.read()
	if ctx.Err() != nil || errors.Is(err, ErrAborted) || n.tally.firstRound.IsZero() {
		return Verdict{}, errors.Join(err, ctx.Err())
	}
	return h.judge(err), nil
}

// chaos carries out a plan of faults.
type chaos struct {
	*network
	job     *job.Job
	faults  Faults
	plan    []fault // that have not begun
	running []fault // that have begun and are not over
	planned map[faultKind]int
	done    map[faultKind]int
	began   time.Time         // of the training
	revive  map[int]time.Time // members that found nobody, and when they are started again

	starts   []restart                  // under way
	restarts map[string][]time.Duration // by role: until a member that had died had its state and listened again
	waits    []wait                     // of the workers
	outage   outage
}

// restart is a start of a member that had died.
type restart struct {
	process *process
	at      time.Time
}

func newChaos(n *network, f Faults, j *job.Job) *chaos {
	h := &chaos{
		network: n, job: j, faults: f, plan: f.draw(n.members, n.config.Regions),
		planned: map[faultKind]int{}, done: map[faultKind]int{}, revive: map[int]time.Time{}, restarts: map[string][]time.Duration{},
	}
	for _, p := range h.plan {
		h.planned[p.kind]++
		if p.kind == faultJoin {
			n.members[p.member].late = true
		}
	}
	n.poll = chaosPoll
	n.tally.watch = h.record
	return h
}

// run starts the processes and lets the plan loose until the job has ended by itself.
func (h *chaos) run(ctx context.Context) error {
	if err := h.until(ctx, h.advance); err != nil {
		return err
	}
	h.phase = phaseTraining
	h.began = time.Now()
	return h.until(ctx, h.step)
}

// step does what is due and reports whether the job has ended.
func (h *chaos) step() (bool, error) {
	now := time.Now()
	if err := h.checkProcesses(now); err != nil {
		return false, err
	}
	committed, all := h.tally.ledger.committed(), h.job.Samples()
	if h.phase == phaseTraining && float64(committed) >= calmShare*float64(all) {
		h.calm(now)
	}
	for len(h.plan) > 0 && now.Sub(h.began) >= h.plan[0].at {
		next := h.plan[0]
		h.plan = h.plan[1:]
		h.begin(next, now)
	}
	if err := h.endDue(now); err != nil {
		return false, err
	}
	if limit := 3*h.faults.For + patience; now.Sub(h.began) > limit {
		return false, fmt.Errorf("the job has not ended after %v: %d of %d samples are committed", limit, committed, all)
	}
	gps := h.processes[0]
	return gps.ended && !gps.killed, nil
}

// calm ends all faults: what is left of the job is to come to its end.
func (h *chaos) calm(now time.Time) {
	h.phase = phaseCalm
	h.display.note("%.0f %% of the job is committed: no further faults", 100*calmShare)
	h.plan = nil
	for i := range h.running {
		h.running[i].till = now.Sub(h.began)
	}
}
