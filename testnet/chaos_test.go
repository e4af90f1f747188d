package testnet

import (
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"halos/job"
	"halos/node"
)

// Pretended nodes that repeat their deltas after every start, as real ones must not:
// the verdict must say so, and that no sample reached the GPS.
func TestChaosFindsWhatIsWrong(t *testing.T) {
	c, shown := fakeConfig(t, fakeJobLasts)
	j, err := job.ForLedger(100)
	if err != nil {
		t.Fatal(err)
	}
	trial := Trial{Config: c, Job: j, Faults: Faults{For: 3 * time.Second, Kill: 200 * time.Millisecond, Seed: 3}}
	v, err := trial.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v.Pass || v.Schema != ChaosSchema || v.Deltas.Duplicated == 0 || v.Samples.Missing != 100 || v.Faults.Kill < 2 {
		t.Errorf("%+v", v)
	}
	has(t, shown, "FAIL: ", "deltas applied twice", "100 samples are in no push", " kill ")
	starts, ports := 0, map[string]bool{}
	for _, m := range plan(c.Regions, c.Workers) {
		c.Dir = filepath.Join(trial.Dir, "chaos")
		for _, r := range records(t, c, m.name) {
			if r.Event == node.EventStart {
				starts++
			}
		}
		args := arguments(t, c, m.name)
		at := args[slices.Index(args, "--listen")+1]
		if ports[at] || strings.HasSuffix(at, "/tcp/0") {
			t.Errorf("%s listens on %s, want a port of its own that it keeps", m.name, at)
		}
		ports[at] = true
	}
	if starts < len(plan(c.Regions, c.Workers))+2 {
		t.Errorf("%d starts of %d processes and %d kills", starts, len(plan(c.Regions, c.Workers)), v.Faults.Kill)
	}
}

// A process that has just been killed is not killed once more: it would be started
// twice.
func TestNobodyIsKilledTwice(t *testing.T) {
	h := chaos{network: &network{members: plan(1, 1), display: newDisplay(io.Discard)}, done: map[faultKind]int{}}
	h.processes = []*process{{killed: true}, {ended: true}, nil}
	for i := range h.processes {
		h.begin(fault{kind: faultKill, member: i}, time.Now())
	}
	if len(h.running) > 0 || h.done[faultKill] > 0 {
		t.Errorf("%d kills of processes that are not there: %+v", h.done[faultKill], h.running)
	}
}

// What was asked for and did not come about is no proof.
func TestVerdictWantsTheFaults(t *testing.T) {
	soon, late := 4.9, 5.1
	for _, c := range []struct {
		name    string
		planned map[faultKind]int
		outage  *Outage
		want    string // in the only reason, "" = none
	}{
		{"all came about", map[faultKind]int{faultKill: 3}, nil, ""},
		{"no pause", map[faultKind]int{faultKill: 3, faultPause: 1}, nil, "none of 1 faults of kind pause"},
		{"an outage as it should be", nil, &Outage{Seconds: 59.8, BlockedBefore: 0.1, Blocked: 0.14, FirstMerge: &soon}, ""},
		{"one that was cut short", nil, &Outage{Seconds: 30, FirstMerge: &soon}, "over after 30.0 s"},
		{"a late merge", nil, &Outage{Seconds: 60, FirstMerge: &late}, "5.1 s after"},
		{"no merge", nil, &Outage{Seconds: 60}, "- s after"},
		{"workers that waited", nil, &Outage{Seconds: 60, BlockedBefore: 0.1, Blocked: 0.16, FirstMerge: &soon}, "blocked 16.0 %"},
	} {
		h := chaos{planned: c.planned, done: map[faultKind]int{faultKill: 2}, faults: Faults{Outage: time.Minute}}
		v := Verdict{Outage: c.outage}
		h.checkPlan(&v)
		if c.want == "" && len(v.Reasons) > 0 || c.want != "" && (len(v.Reasons) != 1 || !strings.Contains(v.Reasons[0], c.want)) {
			t.Errorf("%s: %q, want %q", c.name, v.Reasons, c.want)
		}
	}
}

// A process that ends by itself fails the run, whatever the plan does to others.
func TestChaosFailsWithAProcess(t *testing.T) {
	c, _ := fakeConfig(t, fakeDeadWorker)
	j, err := job.ForLedger(100)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Trial{Config: c, Job: j, Faults: Faults{For: 30 * time.Second}}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v.Pass || !slices.ContainsFunc(v.Reasons, func(r string) bool { return strings.Contains(r, "eu-w1 ended with exit status 5") }) {
		t.Errorf("passes %t for %q", v.Pass, v.Reasons)
	}
}
