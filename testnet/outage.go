package testnet

import (
	"time"

	"halos/node"
)

// Outage is what a time without a GPS did to a job.
type Outage struct {
	Seconds       float64  `json:"seconds"`
	BlockedBefore float64  `json:"blocked_before"`      // share of the workers' time in as long a time before
	Blocked       float64  `json:"blocked"`             // and in it
	FirstMerge    *float64 `json:"first_merge_seconds"` // from the start of the GPS until an LPS had merged its model; null if none did
}

// outage follows a time without a GPS.
type outage struct {
	from, till time.Time
	merged     time.Time // first merge behind it
}

// wait is the time of a worker up to the end of a round.
type wait struct {
	at               time.Time
	trained, blocked float64 // seconds
}

// record keeps what a verdict needs beyond the tally.
func (h *chaos) record(r node.Record) {
	switch r.Event {
	case node.EventRound:
		h.waits = append(h.waits, wait{r.Time, r.Seconds, r.Blocked})
	case node.EventMerged:
		o := &h.outage
		if !o.till.IsZero() && r.Time.After(o.till) && (o.merged.IsZero() || r.Time.Before(o.merged)) {
			o.merged = r.Time
		}
	}
}

// result sums up an outage, nil if there was none.
func (o outage) result(waits []wait) *Outage {
	if o.till.IsZero() {
		return nil
	}
	length := o.till.Sub(o.from)
	r := &Outage{
		Seconds:       rounded(length.Seconds(), 10),
		BlockedBefore: blockedShare(waits, o.from.Add(-length), o.from),
		Blocked:       blockedShare(waits, o.from, o.till),
	}
	if !o.merged.IsZero() {
		took := rounded(o.merged.Sub(o.till).Seconds(), 1e3)
		r.FirstMerge = &took
	}
	return r
}

// blockedShare is the part of the workers' time between two moments that they waited,
// as far as it lies in rounds that they have ended since.
func blockedShare(waits []wait, from, till time.Time) float64 {
	within := func(begin, end time.Time) float64 {
		if begin.Before(from) {
			begin = from
		}
		if end.After(till) {
			end = till
		}
		return max(0, end.Sub(begin).Seconds())
	}
	var trained, blocked float64
	for _, w := range waits {
		began := w.at.Add(-seconds64(w.trained))
		trained += within(began, w.at)
		blocked += within(began.Add(-seconds64(w.blocked)), began)
	}
	if trained+blocked == 0 {
		return 0
	}
	return rounded(blocked/(trained+blocked), 1e4)
}

func seconds64(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
