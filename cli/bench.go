package cli

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"
)

func (i *invocation) benchCommand() *urfave.Command {
	command := &urfave.Command{
		Name:      "bench",
		Usage:     "measure how fast this machine trains and writes, and what a link carries",
		UsageText: "halos bench train|generate|kernels|wan [flags]",
		Description: `Nothing is kept. Each result stands beside the bound that was measured in turn with
it: multiply-adds on registers for arithmetic, a STREAM triad for memory, plain
libp2p streams for transfers. What else runs on the machine lowers both.

    halos bench train --preset small     a whole training step
    halos bench generate --preset small  a text
    halos bench kernels                  the loops that both are made of
    halos bench wan                      deltas and models between two processes`,
		Subcommands:     []*urfave.Command{i.benchTrainCommand(), i.benchGenerateCommand(), i.benchKernelsCommand(), i.benchWANCommand()},
		HideHelpCommand: true,
		Action: func(c *urfave.Context) error {
			if !c.Args().Present() {
				return urfave.ShowSubcommandHelp(c)
			}
			return unknownCommand(c)
		},
	}
	for _, c := range command.Subcommands {
		c.OnUsageError = i.badFlag
	}
	return command
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	if len(x)%2 == 0 {
		return (x[len(x)/2-1] + x[len(x)/2]) / 2
	}
	return x[len(x)/2]
}

// settle is how long something runs before it is measured: a thread that slept may
// wake on the processor of another and stay there for a while.
const settle = 50 * time.Millisecond

// timed is how long something took and, of a bound that was measured beside it, how
// long that took: in seconds, run by run.
type timed struct{ took, bound []float64 }

// seconds is the median over the runs.
func (t timed) seconds() float64 { return median(t.took) }

// boundSeconds is the median over the runs of the bound.
func (t timed) boundSeconds() float64 { return median(t.bound) }

// share is the median over the runs of how many times as long the bound took: pair
// by pair, so that it holds where the speed of the machine drifts.
func (t timed) share() float64 {
	ratios := make([]float64, len(t.took))
	for i, took := range t.took {
		ratios[i] = t.bound[i] / took
	}
	return median(ratios)
}

// inTurn measures f and its bound, one after the other: in several runs, each of so
// many calls that a clock can tell them apart.
func inTurn(f, bound func()) timed {
	const run, runs, few = 10 * time.Millisecond, 9, 5
	var t timed
	ofF, n := callsIn(run, f), runs
	ofBound := callsIn(run/4, bound)
	if ofF == 1 {
		n = few // long enough to be left alone with what disturbs it
	}
	for range n {
		t.took = append(t.took, each(ofF, f))
		t.bound = append(t.bound, each(ofBound, bound))
	}
	return t
}

// callsIn returns how many calls of f take as long as run, at least one. It warms up.
func callsIn(run time.Duration, f func()) int {
	calls, start := 0, time.Now()
	for ; calls < 2 || time.Since(start) < settle; calls++ {
		f()
	}
	took := time.Since(start) / time.Duration(calls)
	return 1 + int(run/max(took, time.Nanosecond))
}

// each returns how many seconds one of some calls of f takes.
func each(calls int, f func()) float64 {
	start := time.Now()
	for range calls {
		f()
	}
	return time.Since(start).Seconds() / float64(calls)
}

// peakMemory returns the most bytes that the process has held at once; where the
// system does not say, what the Go runtime has asked it for.
func peakMemory() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok && err == nil {
			if kib, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64); err == nil {
				return kib << 10
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys
}
