package testnet

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"halos/job"
)

// rehearsal is how long a job runs to learn how fast this machine trains it.
const rehearsal = 15 * time.Second

// Trial is a job that is run undisturbed and then under faults.
type Trial struct {
	Config           // without Manifest and Duration
	Job     *job.Job // sound
	Faults  Faults
	Fit     bool // give the job as many tokens as this machine trains while faults come
	Compare bool // run it undisturbed first
}

// Validate joins all faults of t.
func (t Trial) Validate() error { return errors.Join(t.Config.Validate(), t.Faults.Validate()) }

// Run runs the trial, in folders of its directory. An error says that there is
// nothing to judge; a verdict that does not pass is none.
func (t Trial) Run(ctx context.Context) (Verdict, error) {
	if err := t.Validate(); err != nil {
		return Verdict{}, err
	}
	dir, err := makeDir(t.Dir)
	if err != nil {
		return Verdict{}, err
	}
	if t.Fit {
		if err := t.fit(ctx, filepath.Join(dir, "rehearsal")); err != nil {
			return Verdict{}, fmt.Errorf("rehearsal: %w", err)
		}
	}
	var calm Result
	if t.Compare {
		if calm, err = Run(ctx, t.in(filepath.Join(dir, "undisturbed"))); err != nil || ctx.Err() != nil {
			return Verdict{}, errors.Join(err, ctx.Err())
		}
	}
	v, err := disturb(ctx, t.in(filepath.Join(dir, "chaos")), t.Faults, t.Job)
	if err != nil {
		return Verdict{}, err
	}
	if t.Compare {
		v.compare(calm)
	}
	newDisplay(t.Log).print(v.lines())
	return v, nil
}

// in is the configuration of a run of the job in a directory of its own.
func (t Trial) in(dir string) Config {
	c := t.Config
	c.Dir, c.Manifest, c.Duration = dir, t.Job.YAML(), 0
	return c
}

// fit sets the job's tokens by the speed at which a run without an end trains.
func (t Trial) fit(ctx context.Context, dir string) error {
	endless := *t.Job
	endless.Tokens = max(t.Job.Tokens, 1<<40)
	c := t.in(dir)
	c.Manifest, c.Duration = endless.YAML(), rehearsal
	r, err := Run(ctx, c)
	if err != nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	t.Job.Tokens = uint64(r.TokensPerSecond * t.Faults.For.Seconds())
	if err := t.Job.Validate(); err != nil {
		return fmt.Errorf("%.0f tokens are trained in %v, which make no job: give it more time: %w", r.TokensPerSecond*t.Faults.For.Seconds(), t.Faults.For, err)
	}
	return nil
}
