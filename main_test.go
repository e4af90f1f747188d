package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"halos/node"
	"halos/testnet"
)

// program builds the binary once for the tests of this package that need processes.
func program(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "halos")
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", name, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return name
}

// toy makes a job of a model so small that a round takes milliseconds.
var toy = []string{
	"--preset", "tiny", "--set", "model.hidden_size=16", "--set", "model.num_hidden_layers=1",
	"--set", "model.num_attention_heads=2", "--set", "model.intermediate_size=32",
	"--set", "model.max_position_embeddings=16", "--set", "batch=2", "--set", "global_batch=4",
	"--set", "H=2", "--set", "K=2", "--set", "optimizer.warmup=2",
}

// child is a running process of the program.
type child struct {
	*exec.Cmd
	dir  string
	join string // the address by which others join
}

// start runs the program until it takes part in its job.
func start(ctx context.Context, t *testing.T, binary, name string, args ...string) *child {
	t.Helper()
	return startIn(ctx, t, binary, filepath.Join(t.TempDir(), name), args...)
}

// startIn is start in a given directory.
func startIn(ctx context.Context, t *testing.T, binary, dir string, args ...string) *child {
	t.Helper()
	command, rest := args[0], args[1:]
	args = append([]string{command, "--dir", dir, "--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns"}, rest...)
	c := &child{Cmd: exec.CommandContext(ctx, binary, args...), dir: dir}
	c.Stderr = t.Output()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	c.until(ctx, t, filepath.Base(dir)+" starts", func(r node.Record) bool {
		if r.Event == node.EventStart {
			c.join = r.Addrs[0]
		}
		return r.Event == node.EventStart
	})
	return c
}

// records reads all that a process has recorded.
func (c *child) records(t *testing.T) []node.Record {
	t.Helper()
	tail := node.Tail{Path: filepath.Join(c.dir, node.MetricsFile)}
	records, err := tail.Read()
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// kill ends the process at once and sees that it had not ended by itself.
func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err == nil {
		t.Fatalf("%s had ended before it was killed", filepath.Base(c.dir))
	}
}

// until waits for a record of the process that ok accepts.
func (c *child) until(ctx context.Context, t *testing.T, what string, ok func(node.Record) bool) {
	t.Helper()
	tail := node.Tail{Path: filepath.Join(c.dir, node.MetricsFile)}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		records, err := tail.Read()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if ok(r) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, ctx.Err())
		}
	}
}

// A job in two regions, each machine a process, one of whose workers is killed in the
// middle, still commits every sample: the others train what the dead one had.
func TestJobSurvivesAKilledWorker(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	binary := program(t)
	const samples = 60_000
	gps := start(ctx, t, binary, "gps", append([]string{
		"run", "--role", "gps", "--region", "eu", "--set", fmt.Sprintf("tokens=%d", samples*16),
	}, toy...)...)
	eu := start(ctx, t, binary, "eu", "join", "--region", "eu", gps.join)
	us := start(ctx, t, binary, "us", "join", "--region", "us", gps.join)
	victim := start(ctx, t, binary, "victim", "join", "--region", "us", us.join)

	victim.until(ctx, t, "the victim's first durable delta", func(r node.Record) bool { return r.Event == node.EventReleased })
	victim.kill(t)

	for _, c := range []*child{gps, eu, us} {
		if err := c.Wait(); err != nil {
			t.Errorf("%s: %v, want exit code 0 at the end of the job", filepath.Base(c.dir), err)
		}
	}
	all := map[string][]node.Record{}
	for _, c := range []*child{gps, eu, us, victim} {
		all[filepath.Base(c.dir)] = c.records(t)
	}
	checkNames(t, all)
	checkSamples(t, all, samples)
}

// checkNames fails on deltas that were applied twice, or released and never decided.
func checkNames(t *testing.T, all map[string][]node.Record) {
	t.Helper()
	type name struct {
		tier, client string
		session, seq uint64
	}
	applied, released := map[name]int{}, map[name]bool{}
	for _, records := range all {
		for _, r := range records {
			key := name{r.Tier, r.Client, r.Session, r.Seq}
			switch r.Event {
			case node.EventApplied:
				applied[key]++
			case node.EventReleased:
				released[key] = true
			case node.EventRefused:
				t.Errorf("delta %v refused: %s", key, r.Reason)
			}
		}
	}
	for key, times := range applied {
		if times != 1 {
			t.Errorf("delta %v applied %d times", key, times)
		}
	}
	for key := range released {
		if applied[key] == 0 {
			t.Errorf("delta %v released and never applied", key)
		}
	}
	if len(applied) == 0 {
		t.Error("no delta was applied")
	}
}

// checkSamples fails unless the pushes that were applied name each sample of the job
// exactly once.
func checkSamples(t *testing.T, all map[string][]node.Record, samples int) {
	t.Helper()
	times := make([]int, samples)
	for _, records := range all {
		for _, r := range records {
			if r.Event != node.EventSent || r.Tier != "global" {
				continue
			}
			for _, iv := range r.Samples {
				for i := iv[0]; i < iv[1]; i++ {
					times[i]++
				}
			}
		}
	}
	for i, n := range times {
		if n != 1 {
			t.Fatalf("sample %d is in %d pushes, want 1", i, n)
		}
	}
}

// A counting job whose processes are killed, stopped and cut off counts each of its
// local steps exactly once.
func TestChaosPasses(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	args := []string{"testnet", "chaos", "--workload", "ledger", "--minutes", "0.15", "--kill", "1s", "--cut", "4s", "--seed", "11",
		"--undisturbed=false", "--json", "--dir", filepath.Join(t.TempDir(), "net")}
	if runtime.GOOS == "windows" {
		args = append(args, "--pause", "0s")
	} else {
		args = append(args, "--pause", "3s")
	}
	cmd := exec.CommandContext(ctx, program(t), args...)
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	var v testnet.Verdict
	if failed := json.Unmarshal(out, &v); failed != nil {
		t.Fatalf("%v, %v: %s", err, failed, out)
	}
	if err != nil || !v.Pass || v.Ledger == nil || v.Ledger.Once != v.Ledger.Steps || v.Ledger.Steps == 0 || v.Faults.Kill < 3 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestJoinOnAClosedPortSaysSo(t *testing.T) {
	binary := program(t)
	const nobody = "/ip4/127.0.0.1/tcp/9/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
	cmd := exec.CommandContext(t.Context(), binary, "join", "--region", "us", "--dir", filepath.Join(t.TempDir(), "n"), nobody)
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 3 {
		t.Errorf("exit code %d (%v), want 3: %s", code, err, out)
	}
	if strings.Contains(string(out), "goroutine ") {
		t.Errorf("a stack trace: %s", out)
	}
	if _, err := os.Stat("halos-us"); err == nil {
		t.Error("a directory was made beside the tests")
	}
}

// The command that started a job continues it after its process was killed.
func TestTheSameCommandContinues(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	binary := program(t)
	dir := filepath.Join(t.TempDir(), "again")
	args := append([]string{"run", "--set", "tokens=800000000"}, toy...)
	for _, event := range []string{node.EventCheckpoint, node.EventRestored} {
		c := startIn(ctx, t, binary, dir, args...)
		c.until(ctx, t, event, func(r node.Record) bool {
			return r.Event == event && (event != node.EventRestored || r.Version > 0) // it began from nothing first
		})
		c.kill(t)
	}
}
