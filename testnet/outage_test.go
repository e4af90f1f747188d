package testnet

import (
	"testing"
	"time"

	"halos/node"
)

func TestOutage(t *testing.T) {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	h := chaos{outage: outage{from: at(100), till: at(160)}}
	round := func(s int, trained, blocked float64) {
		h.record(node.Record{Event: node.EventRound, Time: at(s), Seconds: trained, Blocked: blocked})
	}
	round(30, 1, 9) // longer ago than the outage lasts
	round(50, 9, 1)
	round(100, 8, 2)
	round(120, 8, 12) // waits from the outage's first moment on
	round(175, 5, 30) // begins to wait in it, ends behind it
	if (&outage{}).result(h.waits) != nil {
		t.Error("an outage that was not is reported")
	}
	if r := h.outage.result(h.waits); r.Seconds != 60 || r.BlockedBefore != 0.15 || r.Blocked != 0.8 || r.FirstMerge != nil {
		t.Errorf("%+v, want 60 s, 15 %% blocked before, 80 %% in it, no merge", r)
	}
	for _, s := range []int{90, 160, 164, 163, 170} {
		h.record(node.Record{Event: node.EventMerged, Time: at(s)})
	}
	if r := h.outage.result(h.waits); r.FirstMerge == nil || *r.FirstMerge != 3 {
		t.Errorf("%+v, want the first merge after 3 s", r)
	}
}

func TestDowntime(t *testing.T) {
	var all []time.Duration
	if d := downtime(all); d.Count != 0 || d.P99 != nil || d.String() != "none" {
		t.Errorf("of none: %v", d)
	}
	for i := 200; i > 0; i-- {
		all = append(all, time.Duration(i)*10*time.Millisecond)
	}
	if d := downtime(all); d.Count != 200 || *d.P99 != 1.98 || d.String() != "200 (p99 1.98 s)" {
		t.Errorf("of 0.01 to 2 s: %v", d)
	}
}
