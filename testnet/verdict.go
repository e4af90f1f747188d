package testnet

import (
	"fmt"
	"slices"
	"time"

	"halos/job"
	"halos/node"
)

// ChaosSchema names the form of a Verdict as JSON.
const ChaosSchema = "halos.chaos/1"

// Verdict is what a chaos run has come to, as its one JSON object. All of it is
// recomputed from what the processes recorded; their own counters are not believed.
type Verdict struct {
	Schema      string      `json:"schema"`
	Pass        bool        `json:"pass"`
	Faults      FaultCounts `json:"faults"`
	Deltas      ChaosDeltas `json:"deltas"`
	Samples     Samples     `json:"samples"`
	Ledger      *Counts     `json:"ledger,omitempty"` // of the ledger workload
	Takeovers   Downtime    `json:"takeovers"`        // of a server's part by another machine: none can yet
	Restarts    Restarts    `json:"restarts"`
	Outage      *Outage     `json:"outage,omitempty"` // where one was asked for
	Blocked     float64     `json:"blocked"`          // share of the workers' time, 0 to 1
	ValLoss     *float64    `json:"val_loss"`         // nats per token; null for the ledger
	Undisturbed *float64    `json:"val_loss_undisturbed"`
	Rate        float64     `json:"applied_per_second"` // deltas of workers and regions, while the job lasted
	RateShare   *float64    `json:"applied_share"`      // of the undisturbed run's rate; null without one
	Job         string      `json:"job"`                // first 16 hex digits of its id
	Regions     int         `json:"regions"`
	Workers     int         `json:"workers"` // of all regions
	Seed        uint64      `json:"seed"`    // of the plan
	WallSeconds float64     `json:"wall_seconds"`
	Reasons     []string    `json:"reasons"` // why it does not pass
}

// FaultCounts are the faults that came about.
type FaultCounts struct {
	Kill  int `json:"kill"`
	Pause int `json:"pause"`
	Cut   int `json:"cut"`
	Join  int `json:"join"` // workers that joined late
}

// ChaosDeltas are Deltas without a sender that could still deliver them.
type ChaosDeltas struct {
	Sent       int `json:"sent"`
	Applied    int `json:"applied"`
	Refused    int `json:"refused"`
	Died       int `json:"died"` // killed with their sender before they were durable; their samples were trained again
	Open       int `json:"open"` // not decided, though their sender lived
	Lost       int `json:"lost"`
	Duplicated int `json:"duplicated"`
}

// Downtime says how often something was away and for how long.
type Downtime struct {
	Count int      `json:"count"`
	P99   *float64 `json:"p99_seconds"` // null if Count is 0
}

// Restarts are those of processes that had died: the time from the start of the
// process until it had loaded its state and listened.
type Restarts struct {
	GPS    Downtime `json:"gps"`
	LPS    Downtime `json:"lps"`
	Worker Downtime `json:"worker"`
}

func downtime(all []time.Duration) Downtime {
	d := Downtime{Count: len(all)}
	if len(all) > 0 {
		slices.Sort(all)
		p99 := rounded(all[(len(all)*99+99)/100-1].Seconds(), 1e3)
		d.P99 = &p99
	}
	return d
}

// judge makes the verdict on a run that ended with cause, nil if the job did by
// itself.
func (h *chaos) judge(cause error) Verdict {
	r := h.tally.result(h.config.Regions, h.config.Regions*h.config.Workers, h.started, time.Now())
	deltas, open := r.Deltas, h.tally.ledger.open()
	v := Verdict{
		Schema: ChaosSchema, Seed: h.faults.Seed, Reasons: []string{},
		Faults: FaultCounts{
			Kill: h.done[faultKill] + h.done[faultOutage], Pause: h.done[faultPause],
			Cut: h.done[faultCut], Join: h.done[faultJoin],
		},
		Deltas: ChaosDeltas{
			Sent: deltas.Sent, Applied: deltas.Applied, Refused: deltas.Refused, Died: deltas.InOutbox - open, Open: open,
			Lost: deltas.Lost, Duplicated: deltas.Duplicated,
		},
		Samples: h.tally.ledger.audit(h.job.Samples()),
		Restarts: Restarts{
			GPS: downtime(h.restarts[roleGPS]), LPS: downtime(h.restarts[roleLPS]), Worker: downtime(h.restarts[roleWorker]),
		},
		Outage:  h.outage.result(h.waits),
		Blocked: r.Blocked, ValLoss: r.ValLoss,
		Rate: r.AppliedPerSecond,
		Job:  r.Job, Regions: r.Regions, Workers: r.Workers, WallSeconds: r.WallSeconds,
	}
	v.Ledger = h.counts(cause)
	v.fail(cause != nil, "%v", cause)
	v.fail(h.tally.fault != nil, "what the processes recorded cannot be read: %v", h.tally.fault)
	v.fail(v.Deltas.Lost > 0, "%d deltas lost", v.Deltas.Lost)
	v.fail(v.Deltas.Open > 0, "%d deltas were never decided though their senders lived", v.Deltas.Open)
	v.fail(v.Deltas.Duplicated > 0, "%d deltas applied twice", v.Deltas.Duplicated)
	v.fail(v.Samples.Missing > 0, "%d samples are in no push that the GPS applied", v.Samples.Missing)
	v.fail(v.Samples.Duplicated > 0, "%d samples were committed more than once", v.Samples.Duplicated)
	v.fail(v.Samples.Stray > 0, "%d samples that are none of the job's are in pushes", v.Samples.Stray)
	v.fail(v.Ledger != nil && v.Ledger.wrong(), "the final model counts %+v", v.Ledger)
	h.checkPlan(&v)
	v.Pass = len(v.Reasons) == 0
	return v
}

// mergeLimit is how soon after the GPS has come back a region must have merged its
// model, and blockedMore how much more of their time workers may have waited without
// it, which is what they vary by.
const (
	mergeLimit  = 5 * time.Second
	blockedMore = 0.05
)

// checkPlan fails a verdict on faults that did not come about, and on an outage that
// kept workers or regions waiting.
func (h *chaos) checkPlan(v *Verdict) {
	for _, kind := range []faultKind{faultKill, faultPause, faultCut, faultJoin, faultOutage} {
		v.fail(h.planned[kind] > 0 && h.done[kind] == 0, "none of %d faults of kind %v came about: give it more minutes", h.planned[kind], kind)
	}
	o := v.Outage
	if o == nil {
		return
	}
	v.fail(o.Seconds < h.faults.Outage.Seconds()-1, "the outage was over after %.1f s of %v: the job was nearly done, give it more minutes", o.Seconds, h.faults.Outage)
	v.fail(o.FirstMerge == nil || *o.FirstMerge > mergeLimit.Seconds(), "the first merge came %s s after the GPS, want %v at most", optional(o.FirstMerge, "%.1f"), mergeLimit)
	v.fail(o.Blocked > o.BlockedBefore+blockedMore, "workers were blocked %.1f %% of their time without a GPS, %.1f %% before", 100*o.Blocked, 100*o.BlockedBefore)
}

// fail adds a reason why a run does not pass.
func (v *Verdict) fail(wrong bool, format string, args ...any) {
	if wrong {
		v.Reasons = append(v.Reasons, fmt.Sprintf(format, args...))
	}
}

// compare takes in how the same job went undisturbed.
func (v *Verdict) compare(calm Result) {
	v.Undisturbed = calm.ValLoss
	if calm.AppliedPerSecond > 0 {
		share := rounded(v.Rate/calm.AppliedPerSecond, 1e3)
		v.RateShare = &share
	}
}

// Counts is what the final model of the ledger workload says of the job's local steps.
type Counts struct {
	Steps uint64 `json:"steps"` // of the job
	Once  uint64 `json:"once"`  // have reached the model exactly once
	Never uint64 `json:"never"`
	Often uint64 `json:"often"` // more than once
	Other uint64 `json:"other"` // parameters that count no step, or hold no whole number, and are not 0
}

func (c Counts) wrong() bool { return c.Once != c.Steps || c.Other > 0 }

// counts reads the final model of the ledger workload, nil for any other.
func (h *chaos) counts(cause error) *Counts {
	if h.job.Workload != job.Ledger || cause != nil {
		return nil
	}
	c := Counts{Steps: h.job.Samples() / uint64(h.job.Batch)}
	params, err := node.FinalModel(h.processes[0].dir, h.job)
	if err != nil {
		h.display.note("%v", err)
		c.Never = c.Steps
		return &c
	}
	for i, x := range params {
		switch {
		case uint64(i) >= c.Steps && x != 0, x != float32(int32(x)), x < 0:
			c.Other++
		case uint64(i) >= c.Steps:
		case x == 0:
			c.Never++
		case x == 1:
			c.Once++
		default:
			c.Often++
		}
	}
	return &c
}
