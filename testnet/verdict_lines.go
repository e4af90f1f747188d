package testnet

import "fmt"

// lines renders the verdict for people.
func (v Verdict) lines() []string {
	d, s := v.Deltas, v.Samples
	out := []string{
		fmt.Sprintf("job %s: %d workers in %d regions, %.1f s, seed %d", v.Job, v.Workers, v.Regions, v.WallSeconds, v.Seed),
		fmt.Sprintf("  faults           %d kills, %d pauses, %d cuts, %d workers joined late", v.Faults.Kill, v.Faults.Pause, v.Faults.Cut, v.Faults.Join),
		fmt.Sprintf("  deltas           %d sent, %d applied, %d refused, %d died with their sender, %d undecided, %d lost, %d duplicated",
			d.Sent, d.Applied, d.Refused, d.Died, d.Open, d.Lost, d.Duplicated),
		fmt.Sprintf("  samples          %d of %d committed, %d missing, %d duplicated", s.Committed, s.Total, s.Missing, s.Duplicated),
		fmt.Sprintf("  restarts         gps %v, lps %v, workers %v", v.Restarts.GPS, v.Restarts.LPS, v.Restarts.Worker),
		fmt.Sprintf("  workers          blocked %.1f %% of their time; %.1f deltas applied per second", 100*v.Blocked, v.Rate),
	}
	if v.ValLoss != nil {
		out = append(out, fmt.Sprintf("  validation loss  %s nats per token", optional(v.ValLoss, "%.4f")))
	}
	if l := v.Ledger; l != nil {
		out = append(out, fmt.Sprintf("  final model      %d of %d local steps counted once, %d never, %d more often", l.Once, l.Steps, l.Never, l.Often))
	}
	if o := v.Outage; o != nil {
		out = append(out, fmt.Sprintf("  without a GPS    %.1f s: workers blocked %.1f %% of it, %.1f %% before; first merge %s s after its start",
			o.Seconds, 100*o.Blocked, 100*o.BlockedBefore, optional(o.FirstMerge, "%.1f")))
	}
	if v.RateShare != nil {
		out = append(out, fmt.Sprintf("  undisturbed      validation loss %s; %.1f %% of its deltas per second were applied", optional(v.Undisturbed, "%.4f"), 100**v.RateShare))
	}
	if v.Pass {
		return append(out, "PASS: no delta lost, none counted twice")
	}
	for _, why := range v.Reasons {
		out = append(out, "FAIL: "+why)
	}
	return out
}

func (d Downtime) String() string {
	if d.P99 == nil {
		return "none"
	}
	return fmt.Sprintf("%d (p99 %.2f s)", d.Count, *d.P99)
}
