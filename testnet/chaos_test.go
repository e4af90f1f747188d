package testnet

import (
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
