package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"halos/sim"
	"halos/testnet"
)

// printReport prints a study as a table.
func (i *invocation) printReport(r sim.Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s in %s, %d tokens, seeds %d to %d, inflight %s\n\nalgorithm\tH\tK\ttime\tto loss %.4g\tratio\tloss\t(from\tto)\tbusy\tWAN GB\tstaleness\t(max)\tunshipped\t\n",
		r.Preset, r.Env, r.Tokens, r.Seed, r.Seed+uint64(r.Seeds)-1, r.InFlight, r.Target)
	for _, m := range r.Algorithms {
		k, to, ratio := "-", "-", "-"
		if m.K > 0 {
			k = strconv.Itoa(m.K)
		}
		if m.ToTarget != nil {
			to = duration(*m.ToTarget)
		}
		if m.RatioToHALoS != nil {
			ratio = fmt.Sprintf("%.2f", *m.RatioToHALoS)
		}
		fmt.Fprintf(&b, "%s\t%d\t%s\t%s\t%s\t%s\t%.4f\t(%.4f\t%.4f)\t%.1f %%\t%.4g\t%.1f\t(%d)\t%.1f %%\t\n",
			m.Algo, m.H, k, duration(m.Seconds), to, ratio, m.Loss, m.LossLeast, m.LossMost, 100*m.Utilisation, m.WANGB, m.StalenessMean, m.StalenessMax, 100*m.Unshipped)
	}
	for _, m := range r.Algorithms {
		if m.Diverged > 0 {
			fmt.Fprintf(&b, "\n%s: %d of %d runs diverged and are left out", m.Algo, m.Diverged, len(m.Runs.Runs))
		}
	}
	return table(i.Out, b.String())
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
	_, _ = fmt.Fprintf(p.w, "\r\x1b[K%s%s %3.0f %%  %s  %s", strings.Repeat("█", full), strings.Repeat("░", barWidth-full), 100*share, what, left)
}

// clear removes the bar.
func (p *progressBar) clear() {
	if p.terminal {
		_, _ = io.WriteString(p.w, "\r\x1b[K")
	}
}

// writePlot draws the losses of a study to a file.
func writePlot(file string, r sim.Report) error {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("flag --plot: %w", err)
	}
	return errors.Join(r.WriteSVG(f), f.Close())
}
