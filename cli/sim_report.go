package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"halos/sim"
	"halos/testnet"
)

// printReport prints a study as a table.
func (i *invocation) printReport(r sim.Report) error {
	var b strings.Builder
	inflight := ""
	if r.InFlight != "" {
		inflight = ", inflight " + r.InFlight
	}
	fmt.Fprintf(&b, "%s%s\n\nalgorithm\tH\tK\ttokens\ttime\tto loss %.4g\tratio\tloss\t(from\tto)\tbusy\tWAN GB\tstaleness\t(max)\tunshipped\t\n",
		r.Study(), inflight, r.Target)
	for _, m := range r.Algorithms {
		k, to, ratio := "-", "-", "-"
		if m.Loss == nil {
			fmt.Fprintf(&b, "%s\t%d\t%s\n", m.Name, m.H, strings.Repeat("-\t", 13))
			continue
		}
		if m.K > 0 {
			k = strconv.Itoa(m.K)
		}
		if m.ToTarget != nil {
			to = duration(*m.ToTarget)
		}
		if m.RatioToHALoS != nil {
			ratio = fmt.Sprintf("%.2f", *m.RatioToHALoS)
		}
		fmt.Fprintf(&b, "%s\t%d\t%s\t%.4g\t%s\t%s\t%s\t%.4f\t(%.4f\t%.4f)\t%.1f %%\t%.4g\t%.1f\t(%d)\t%.1f %%\t\n",
			m.Name, m.H, k, m.Tokens, duration(m.Seconds), to, ratio, *m.Loss, *m.LossLeast, *m.LossMost, 100*m.Utilisation, m.WANGB, m.StalenessMean, m.StalenessMax, 100*m.Unshipped)
	}
	for _, m := range r.Algorithms {
		if m.Diverged > 0 {
			fmt.Fprintf(&b, "\n%s: %d of %d runs diverged and are left out\n", m.Name, m.Diverged, len(m.Runs.Runs))
		}
	}
	return table(i.Out, b.String()+tollLines(r.Algorithms))
}

// progressBar shows on a terminal how far a long computation is, and how long it will
// still take at the pace so far.
type progressBar struct {
	w        io.Writer
	terminal bool
	began    time.Time
	first    float64 // share that was done when it began
	next     time.Time
}

const barWidth = 30

func newProgressBar(w io.Writer) *progressBar {
	_, _, terminal := testnet.Screen(w)
	return &progressBar{w: w, terminal: terminal, first: -1}
}

// show draws the bar if it is time. What w fails to take is not worth ending anything.
func (p *progressBar) show(what string, share float64) {
	now := time.Now()
	if p.first < 0 {
		p.began, p.first = now, share
	}
	if !p.terminal || now.Before(p.next) {
		return
	}
	p.next = now.Add(200 * time.Millisecond)
	left := ""
	if done := share - p.first; done > 0.002 {
		rest := time.Duration(float64(now.Sub(p.began)) / done * (1 - share))
		left = rest.Round(time.Second).String() + " left"
	}
	full := int(share * barWidth)
	// A screen that is gone ends no run.
	_, _ = fmt.Fprintf(p.w, "\r\x1b[K%s%s %3.0f %%  %s  %s", strings.Repeat("█", full), strings.Repeat("░", barWidth-full), 100*share, what, left)
}

// clear removes the bar.
func (p *progressBar) clear() {
	if p.terminal {
		_, _ = io.WriteString(p.w, "\r\x1b[K")
	}
}

func plotFlag() urfave.Flag {
	return &urfave.StringFlag{Name: "plot", Usage: "draw the losses over time and over tokens to the SVG `FILE`"}
}

// canPlot says why the file that --plot names cannot be written, if so.
func canPlot(c *urfave.Context) error {
	file := c.String("plot")
	if file == "" {
		return nil
	}
	_, err := os.Stat(file)
	missing := errors.Is(err, fs.ErrNotExist)
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return together(c, fmt.Errorf("flag --plot: %w", err))
	}
	if err := f.Close(); err != nil || !missing {
		return err
	}
	return os.Remove(file)
}

// show prints a report, and draws it where --plot says.
func (i *invocation) show(c *urfave.Context, r sim.Report) error {
	put := i.printReport
	if c.Bool("json") {
		put = func(r sim.Report) error { return printJSON(i.Out, r) }
	}
	err := put(r)
	if file := c.String("plot"); file != "" {
		err = errors.Join(err, writePlot(file, r))
	}
	return err
}

// writePlot draws the losses of a report to a file.
func writePlot(file string, r sim.Report) error {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("flag --plot: %w", err)
	}
	return errors.Join(r.WriteSVG(f), f.Close())
}
