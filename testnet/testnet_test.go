package testnet

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"halos/node"
	"halos/wan"
)

// fakeConfig runs two regions of one worker with pretended nodes; what is shown
// goes to the buffer.
func fakeConfig(t *testing.T, mode string) (Config, *bytes.Buffer) {
	t.Helper()
	t.Setenv(fakeMode, mode)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var shown bytes.Buffer
	return Config{
		Binary: program, Manifest: []byte("preset: tiny\n"), Regions: 2, Workers: 1, Duration: time.Second,
		Dir: filepath.Join(t.TempDir(), "net"), Log: &shown,
		startLimit: 30 * time.Second, drainLimit: 10 * time.Second,
		oneHost: !hasRegionHosts(2),
	}, &shown
}

// records reads all that one process wrote.
func records(t *testing.T, c Config, name string) []node.Record {
	t.Helper()
	tail := node.Tail{Path: filepath.Join(c.Dir, name, node.MetricsFile)}
	all, err := tail.Read()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// stopped returns when and why a process said that it ends.
func stopped(t *testing.T, c Config, name string) (time.Time, string) {
	t.Helper()
	all := records(t, c, name)
	if len(all) == 0 || all[len(all)-1].Event != node.EventStop {
		return time.Time{}, ""
	}
	return all[len(all)-1].Time, all[len(all)-1].Reason
}

// arguments returns what one process was started with.
func arguments(t *testing.T, c Config, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.Dir, name, logFile))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.Fields(line)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func has(t *testing.T, shown *bytes.Buffer, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("%q is not in what was shown:\n%s", want, shown)
		}
	}
}

func TestRunToItsDuration(t *testing.T) {
	c, shown := fakeConfig(t, fakeWell)
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if r.Schema != Schema || r.Job != "0123456789abcdef" || r.Regions != 2 || r.Workers != 2 || r.Checkpoint != filepath.Join(c.Dir, "gps", "v1") {
		t.Errorf("result %+v", r)
	}
	d := r.Deltas
	if d.Sent < 10 || d.Applied != d.Sent || d.Lost+d.Duplicated+d.InOutbox+d.Refused != 0 {
		t.Errorf("deltas %+v, want all of at least 10 applied", d)
	}
	if r.Tokens == 0 || r.Blocked != 0.25 || r.Bytes.WAN == 0 || r.FirstLossSeconds == nil || r.ValLoss == nil || *r.ValLoss >= *r.ValLossStart {
		t.Errorf("result %+v", r)
	}
	if r.WallSeconds < 1 || r.WallSeconds > 10 {
		t.Errorf("%v s for a duration of 1 s", r.WallSeconds)
	}
	has(t, shown, "2 regions with 1 workers each", c.Dir, "job 0123456789abcdef: 2 workers in 2 regions", "0 lost, 0 duplicated")

	var latest time.Time
	for _, tier := range [][]string{{"eu-w1", "us-w1"}, {"eu-lps", "us-lps"}, {"gps"}} {
		before := latest
		for _, name := range tier {
			at, why := stopped(t, c, name)
			if why != "drain" || at.Before(before) {
				t.Errorf("%s stopped at %v for %q, want drain after %v", name, at, why, before)
			}
			latest = later(latest, at)
		}
	}
	for name, at := range map[string]string{"eu-lps": "gps", "us-lps": "gps", "us-w1": "us-lps"} {
		if got := arguments(t, c, name); !strings.HasSuffix(got[len(got)-1], "/tcp/4001/p2p/id-"+at) {
			t.Errorf("%s was started with %q, want it to join at %s", name, got, at)
		}
	}
	if text, err := os.ReadFile(filepath.Join(c.Dir, manifestFile)); err != nil || string(text) != "preset: tiny\n" {
		t.Errorf("job.yaml holds %q, %v", text, err)
	}

	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "holds a former testnet") {
		t.Errorf("second run in the same directory: %v", err)
	}
}

func TestRunTellsRegionsApartByPort(t *testing.T) {
	c, _ := fakeConfig(t, fakeWell)
	c.oneHost, c.Duration = true, 300*time.Millisecond
	if _, err := Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	ports, err := ReadPorts(filepath.Join(c.Dir, "ports"))
	if err != nil || len(ports) != 5 {
		t.Fatalf("table %v, %v, want 5 ports", ports, err)
	}
	args := arguments(t, c, "us-lps")
	d, err := NewDialer(flag(args, "listen"), wan.Links{}, ports)
	if err != nil || d.region != 2 || flag(args, "link-ports") != filepath.Join(c.Dir, "ports") {
		t.Errorf("us-lps was started with %q", args)
	}
}

func TestInterruptDrains(t *testing.T) {
	c, shown := fakeConfig(t, fakeWell)
	c.Duration = 0
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	r, err := Run(ctx, c)
	if err != nil || r.Tokens == 0 {
		t.Errorf("got %+v, %v, want the result so far", r, err)
	}
	if _, why := stopped(t, c, "gps"); why != "drain" {
		t.Errorf("gps stopped for %q, want drain", why)
	}
	has(t, shown, "checkpoint")
}

func TestJobEndsByItself(t *testing.T) {
	c, _ := fakeConfig(t, fakeJobEnds)
	c.Duration = time.Minute
	r, err := Run(t.Context(), c)
	if err != nil || r.WallSeconds > 30 || r.Tokens == 0 {
		t.Errorf("got %+v, %v, want an end long before the minute", r, err)
	}
}

func TestFailedStartSaysWhichAndWhy(t *testing.T) {
	for _, c := range []struct {
		mode   string
		binary string
		limit  time.Duration
		wants  []string
	}{
		{fakeBusyPort, "", 0, []string{"us-lps ended with exit status 1: listen on /ip4/127.0.", "the port is in use", filepath.Join("us-lps", "log")}},
		{fakeMute, "", 300 * ms, []string{"us-lps does not listen after 300ms", `"looking for peers"`, filepath.Join("us-lps", "log")}},
		{fakeWell, "no/such/halos", 0, []string{"start gps", "no/such/halos"}},
	} {
		config, _ := fakeConfig(t, c.mode)
		config.Duration = time.Minute
		if c.binary != "" {
			config.Binary = c.binary
		}
		if c.limit != 0 {
			config.startLimit = c.limit
		}
		start := time.Now()
		_, err := Run(t.Context(), config)
		if err == nil {
			t.Errorf("%s: no error", c.mode)
			continue
		}
		for _, want := range c.wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in: %v", c.mode, want, err)
			}
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: the error came after %v", c.mode, took)
		}
	}
}

func TestDeadWorkerIsReportedAndTheJobGoesOn(t *testing.T) {
	c, shown := fakeConfig(t, fakeDeadWorker)
	r, err := Run(t.Context(), c)
	if err != nil || r.WallSeconds < 1 {
		t.Errorf("got %+v, %v, want a whole run", r, err)
	}
	has(t, shown, "eu-w1 ended with exit status 5: loss is not finite", filepath.Join(c.Dir, "eu-w1", "log"))
}

func TestRunEndsWhenTheJobCannotGoOn(t *testing.T) {
	for _, c := range []struct{ mode, process, want string }{
		{fakeDeadRegion, "us-w1", "no region has both its lps and a worker left"},
		{fakeDeadGPS, "gps", "gps ended with exit status 1: disk full"},
	} {
		config, _ := fakeConfig(t, c.mode)
		config.Duration = time.Minute
		r, err := Run(t.Context(), config)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.mode, err, c.want)
		}
		var exit *ExitError
		if !errors.As(err, &exit) {
			t.Errorf("%s: %v names no process that ended", c.mode, err)
		}
		if r.Tokens == 0 || r.WallSeconds > 30 {
			t.Errorf("%s: result %+v, want what was trained until then", c.mode, r)
		}
	}
}

func TestProcessThatDoesNotDrainIsKilled(t *testing.T) {
	c, shown := fakeConfig(t, fakeStubborn)
	c.drainLimit = time.Second
	r, err := Run(t.Context(), c)
	if err != nil || r.Tokens == 0 {
		t.Errorf("got %+v, %v", r, err)
	}
	has(t, shown, "still running 1s after the request to drain: us-w1; killed")
	if _, why := stopped(t, c, "gps"); why != "drain" {
		t.Errorf("gps stopped for %q, want drain", why)
	}
}

func TestAbortKillsAtOnce(t *testing.T) {
	c, _ := fakeConfig(t, fakeStubborn)
	c.drainLimit = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 800*ms)
	defer cancel()
	abort := make(chan struct{})
	timer := time.AfterFunc(1200*ms, func() { close(abort) })
	defer timer.Stop()
	c.Abort = abort
	start := time.Now()
	_, err := Run(ctx, c)
	if !errors.Is(err, ErrAborted) {
		t.Errorf("got %v, want ErrAborted", err)
	}
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("killed after %v", took)
	}
	if at, _ := stopped(t, c, "gps"); !at.IsZero() {
		t.Errorf("gps drained, want it killed")
	}
}

// The parent is killed without a chance to say anything; its processes must notice.
func TestProcessesDieWithTheirParent(t *testing.T) {
	c, _ := fakeConfig(t, fakeParent)
	parent := exec.Command(c.Binary, c.Dir)
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = parent.Process.Kill(); _ = parent.Wait() }()
	names := []string{"gps", "eu-lps", "eu-w1"}
	eventually(t, "all processes are up", func() bool {
		return len(records(t, c, "eu-w1")) > 3
	})
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		eventually(t, name+" ends", func() bool {
			_, why := stopped(t, c, name)
			return why == "parent is gone"
		})
	}
}

// eventually polls until ok, for at most 30 s.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * ms)
	defer tick.Stop()
	for limit := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(limit) {
			t.Fatalf("not seen within 30 s: %s", what)
		}
	}
}
