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
		Usage:     "measure how fast this machine trains",
		UsageText: "halos bench train|kernels [flags]",
		Description: `Nothing is kept and no network is used. Each result stands beside the bound that
was measured on the same threads just before: multiply-adds on registers for
arithmetic, a STREAM triad for memory. What else runs on the machine lowers both.

    halos bench train --preset small     a whole training step
    halos bench kernels                  the loops that it is made of`,
		Subcommands:     []*urfave.Command{i.benchTrainCommand(), i.benchKernelsCommand()},
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

// seconds measures f: the median of some runs, each of so many calls that a clock
// can tell them apart.
func seconds(f func()) float64 {
	const run, runs = 10 * time.Millisecond, 7
	calls := 0
	start := time.Now()
	for ; calls < 2 || time.Since(start) < settle; calls++ {
		f()
	}
	took := time.Since(start) / time.Duration(calls)
	n := runs
	if took > 50*run {
		n = 3
	}
	calls = 1 + int(run/max(took, time.Nanosecond))
	each := make([]float64, n)
	for i := range each {
		start := time.Now()
		for range calls {
			f()
		}
		each[i] = time.Since(start).Seconds() / float64(calls)
	}
	return median(each)
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
