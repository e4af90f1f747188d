package cli

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"halos/job"
	"halos/testnet"
)

// errChaos says that a verdict does not pass; the verdict has been shown.
var errChaos = errors.New("the exchange broke a promise under these faults")

func (i *invocation) chaosCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "chaos",
		Usage:     "train under faults and see that no delta is lost and none counted twice",
		UsageText: "halos testnet chaos [flags]",
		Description: `Runs a job twice on this machine: undisturbed, then while its processes are killed
(as by kill -9) and started again, stopped and continued, and the links between its
regions cut. All faults follow from the seed. The job then ends by itself, and a
verdict is made of what all processes recorded: exit code 0 if every delta that its
sender lived to deliver was applied exactly once and every sample of the job was
committed exactly once, 1 if not.

    halos testnet chaos --minutes 10 --kill 2s --pause 20s --cut 30s --seed 7

Count instead of training: each local step adds 1 to a parameter of its own, so that
the final model must be 1 everywhere.

    halos testnet chaos --minutes 1 --kill 1s --workload ledger

Let the kernel's own TCP meet the cuts, and packets that are lost (Linux, root):

    sudo halos testnet chaos --netns --link eu-us=50mbit/120ms/1% --workload ledger

See what ten minutes without a GPS do:

    halos testnet chaos --minutes 33 --kill 0s --pause 0s --cut 0s --outage 10m --late=false --workload ledger`,
		Flags: append(networkFlags(),
			&urfave.Float64Flag{Name: "minutes", Value: 3, Usage: "let faults come for `N` minutes; the job is as long"},
			&urfave.DurationFlag{Name: "kill", Value: 5 * time.Second, Usage: "kill a process every `TIME` on average and start it again, 0s = none"},
			&urfave.DurationFlag{Name: "pause", Value: 20 * time.Second, Usage: "stop a process every `TIME` on average and let it go on, 0s = none"},
			&urfave.DurationFlag{Name: "cut", Value: 30 * time.Second, Usage: "cut the link between two regions every `TIME` on average, 0s = none"},
			&urfave.DurationFlag{Name: "outage", Usage: "take the GPS away once, for `TIME`"},
			&urfave.BoolFlag{Name: "late", Value: true, Usage: "let a worker of each region join later"},
			&urfave.BoolFlag{Name: "undisturbed", Value: true, Usage: "run the job without faults first, to compare with"},
			&urfave.StringFlag{Name: "workload", Value: string(job.Train), Usage: "train, or count the local steps: ledger, as `NAME`"},
			&urfave.Uint64Flag{Name: "seed", Value: 1, Usage: "draw the faults by `SEED`"},
			&urfave.BoolFlag{Name: "json", DisableDefaultText: true, Usage: "print the verdict as one JSON object on stdout, the progress on stderr"},
		),
		Action: i.chaos,
	}
}

func (i *invocation) chaos(c *urfave.Context) error {
	if _, err := i.arguments(c, 0, ""); err != nil {
		return err
	}
	t, err := i.trial(c)
	if err != nil {
		return err
	}
	v, err := t.Run(c.Context)
	if err != nil {
		if c.Context.Err() != nil {
			return errInterrupted
		}
		return err
	}
	if c.Bool("json") {
		if err := printJSON(i.Out, v); err != nil {
			return err
		}
	}
	if !v.Pass {
		return errChaos
	}
	return nil
}

// trial checks the flags.
func (i *invocation) trial(c *urfave.Context) (testnet.Trial, error) {
	cfg, err := i.networkConfig(c)
	if err != nil {
		return testnet.Trial{}, err
	}
	minutes := c.Float64("minutes")
	if !(minutes > 0 && minutes <= 24*60) {
		return testnet.Trial{}, together(c, fmt.Errorf("minutes %v: want more than 0 and at most %d", minutes, 24*60))
	}
	t := testnet.Trial{
		Config: cfg,
		Faults: testnet.Faults{
			For:  time.Duration(math.Round(minutes * float64(time.Minute))),
			Kill: c.Duration("kill"), Pause: c.Duration("pause"), Cut: c.Duration("cut"), Outage: c.Duration("outage"),
			Late: c.Bool("late"), Seed: c.Uint64("seed"),
		},
		Compare: c.Bool("undisturbed"),
	}
	if err := together(c, t.Validate()); err != nil {
		return t, err
	}
	switch w := job.Workload(c.String("workload")); w {
	case job.Train:
		t.Job, err = newJob(c, "")
		t.Fit = !setsTokens(c)
	case job.Ledger:
		if c.IsSet("preset") || c.IsSet("set") {
			return t, together(c, errors.New("--workload ledger makes a job of its own: leave out --preset and --set"))
		}
		t.Job, err = job.ForLedger(job.LedgerSteps(cfg.Regions*cfg.Workers, t.Faults.For))
	default:
		err = together(c, fmt.Errorf("workload %q: there are %s and %s", w, job.Train, job.Ledger))
	}
	return t, err
}

// setsTokens reports whether the user has said how long the job is.
func setsTokens(c *urfave.Context) bool {
	for _, s := range c.StringSlice("set") {
		if key, _, _ := strings.Cut(s, "="); strings.TrimSpace(key) == "tokens" {
			return true
		}
	}
	return false
}
