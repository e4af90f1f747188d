package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"halos/sim"
)

// maxReportBytes bounds a report that is read.
const maxReportBytes = 1 << 28

func (i *invocation) compareCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "compare",
		Usage:     "set the results of several simulations side by side",
		UsageText: "halos sim compare [flags] [NAME=]FILE...",
		Description: `Reads what "halos sim --json" printed, and prints and draws all methods together: so
each can have settings of its own.

    halos sim --algo halos --H 4 --json > halos.json
    halos sim --algo ddp --set optimizer.lr=4e-3 --json > ddp.json
    halos sim compare --target 2.1 --plot out.svg halos.json ddp.json

NAME is what its methods are called instead of what they are.`,
		Flags: []urfave.Flag{
			&urfave.Float64Flag{Name: "target", DefaultText: "the lowest that all have reached", Usage: "compare when the held-out loss is at most `X` nats per token"},
			plotFlag(), jsonFlag(),
		},
		Action: i.compare,
	}
}

func (i *invocation) compare(c *urfave.Context) error {
	files, err := i.arguments(c, math.MaxInt, "")
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return together(c, errors.New("no file: name what halos sim --json has printed to"))
	}
	if err := together(c, notBelow(c, "target")); err != nil {
		return err
	}
	var reports []sim.Report
	for _, arg := range files {
		r, err := readReport(arg)
		if err != nil {
			return err
		}
		reports = append(reports, r)
	}
	joint, err := sim.Compare(reports, c.Float64("target"))
	if err != nil {
		return err
	}
	if err := canPlot(c); err != nil {
		return err
	}
	return i.show(c, joint)
}

// readReport reads the report of [NAME=]FILE.
func readReport(arg string) (sim.Report, error) {
	name, file := splitNamed(arg)
	var r sim.Report
	text, err := readAtMost(file, maxReportBytes)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%s: %w: want what halos sim --json prints", file, err)
	}
	if err := r.Validate(); err != nil {
		return r, fmt.Errorf("%s: %w: want what halos sim --json prints", file, err)
	}
	for k := range r.Algorithms {
		if m := &r.Algorithms[k]; name != "" {
			m.Name = name
		} else if m.Name == "" {
			m.Name = string(m.Algo)
		}
	}
	return r, nil
}

// splitNamed parts [NAME=]FILE, of which FILE may have a = too if it exists.
func splitNamed(arg string) (name, file string) {
	if _, err := os.Stat(arg); err == nil {
		return "", arg
	}
	if at := strings.LastIndex(arg, "="); at > 0 {
		return arg[:at], arg[at+1:]
	}
	return "", arg
}
