package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"halos/sim"
)

func killFlag() urfave.Flag {
	return &urfave.DurationFlag{Name: "kill", DefaultText: "never", Usage: "kill a worker, an LPS or the GPS of halos every `TIME` on average, at random moments"}
}

func awayFlag() urfave.Flag {
	return &urfave.DurationFlag{Name: "away", Value: 10 * time.Second, Usage: "start what was killed again after `TIME`, by default about what a supervisor's pause and loading a snapshot take"}
}

// kills refuses faults that are none, and methods that are not simulated with them.
func kills(c *urfave.Context, algos []sim.Algo) error {
	if !c.IsSet("kill") {
		if c.IsSet("away") {
			return errors.New("flag --away: nothing is killed without --kill")
		}
		return nil
	}
	if every := c.Duration("kill"); every <= 0 {
		return fmt.Errorf("flag --kill: %v, want a time above 0s", every)
	}
	if away := c.Duration("away"); away < 0 {
		return fmt.Errorf("flag --away: %v, want a time from 0s on", away)
	}
	if slices.ContainsFunc(algos, func(a sim.Algo) bool { return a != sim.HALoS }) {
		return fmt.Errorf("flag --kill: of %v only halos is simulated with it: add --algo halos", algos)
	}
	return nil
}

func faults(c *urfave.Context) sim.Faults {
	if !c.IsSet("kill") {
		return sim.Faults{}
	}
	return sim.Faults{EveryMS: inMS(c, "kill"), AwayMS: inMS(c, "away")}
}

func inMS(c *urfave.Context, flag string) float64 {
	return float64(c.Duration(flag)) / float64(time.Millisecond)
}

// tollLines say what kills have cost each method.
func tollLines(methods []sim.Method) string {
	var b strings.Builder
	for _, m := range methods {
		if t := m.Toll; t != nil {
			fmt.Fprintf(&b, "\n%s: %d kills of workers, %d of LPSs, %d of the GPS; %d rounds lost; %d updates undone; %d deltas and pushes sent again; %d refused\n",
				m.Name, t.Workers, t.LPSs, t.GPS, t.Rounds, t.Undone, t.Resent, t.Refused)
		}
	}
	return b.String()
}
