package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"halos/job"
)

// smallJob is a job of a toy model that ends after the given number of tokens.
func smallJob(t *testing.T, tokens uint64) *job.Job {
	t.Helper()
	j, err := job.Preset("tiny")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		"model.hidden_size=16", "model.num_hidden_layers=1", "model.num_attention_heads=2", "model.intermediate_size=32",
		"model.max_position_embeddings=16", "batch=2", "global_batch=4", "H=2", "K=2", "optimizer.warmup=2",
	} {
		if err := j.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	j.Tokens = tokens
	if err := j.Validate(); err != nil {
		t.Fatal(err)
	}
	return j
}

// testNode makes a node on loopback that logs to the test.
func testNode(t *testing.T, c Config) *Node {
	t.Helper()
	if c.Dir == "" {
		c.Dir = filepath.Join(t.TempDir(), "node")
	}
	c.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	c.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	n, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// deadline bounds a test of real nodes, the race detector on a busy machine included, and ends its nodes with it.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// tallies counts the named deltas of some nodes' records.
type tallies struct {
	sent, applied map[nameKey]int
	rounds        int
	steps         uint64
	evals         []float64
}

type nameKey struct {
	tier, client string
	session, seq uint64
}

func tallyOf(t *testing.T, dirs ...string) tallies {
	t.Helper()
	out := tallies{sent: map[nameKey]int{}, applied: map[nameKey]int{}}
	for _, dir := range dirs {
		tail := Tail{Path: filepath.Join(dir, MetricsFile)}
		records, err := tail.Read()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			key := nameKey{r.Tier, r.Client, r.Session, r.Seq}
			switch r.Event {
			case "sent":
				out.sent[key]++
			case "applied":
				out.applied[key]++
			case "round":
				out.rounds++
				out.steps += r.Steps
			case "eval":
				out.evals = append(out.evals, r.Loss)
			}
		}
	}
	return out
}

func (s tallies) check(t *testing.T) {
	t.Helper()
	for key, times := range s.applied {
		if times != 1 || s.sent[key] != 1 {
			t.Errorf("delta %v applied %d times, sent %d times", key, times, s.sent[key])
		}
	}
	for key := range s.sent {
		if s.applied[key] == 0 {
			t.Errorf("delta %v never applied", key)
		}
	}
}

func TestOneNodeFinishesItsJob(t *testing.T) {
	ctx := deadline(t)
	dir := filepath.Join(t.TempDir(), "alone")
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	n := testNode(t, Config{Dir: dir, Job: smallJob(t, 16*2*100), Region: "home", Threads: 2, Recompute: true})
	if err := n.Run(ctx); err != nil {
		t.Fatal(err)
	}
	stacks := make([]byte, 1<<20)
	if stacks = stacks[:runtime.Stack(stacks, true)]; bytes.Contains(stacks, []byte("tensor.(*Pool).serve")) {
		t.Errorf("a thread of the pool goes on after the end of the node: %s", stacks)
	}
	s := tallyOf(t, dir)
	s.check(t)
	if s.rounds != 50 {
		t.Errorf("%d rounds, want 100 steps of 2", s.rounds)
	}
	if len(s.evals) < 2 || s.evals[len(s.evals)-1] >= s.evals[0] {
		t.Errorf("validation losses %v, want them to fall", s.evals)
	}
}

func TestTwoRegionsFinishTheirJob(t *testing.T) {
	ctx := deadline(t)
	dirs := make([]string, 5)
	for i, name := range []string{"gps", "eu", "us", "eu-w", "us-w"} {
		dirs[i] = filepath.Join(t.TempDir(), name)
	}
	group, ctx := errgroup.WithContext(ctx)
	run := func(n *Node) { group.Go(func() error { return n.Run(ctx) }) }
	gps := testNode(t, Config{Dir: dirs[0], Job: smallJob(t, 16*2*2000), Region: "eu", Roles: []string{"gps"}})
	run(gps)
	seeds := gps.JoinAddrs()[:1]
	eu := testNode(t, Config{Dir: dirs[1], Seeds: seeds, Region: "eu", Roles: []string{"lps"}})
	run(eu)
	us := testNode(t, Config{Dir: dirs[2], Seeds: seeds, Region: "us", Roles: []string{"lps"}})
	run(us)
	// Whoever they ask, the workers find the server of their region.
	first := testNode(t, Config{Dir: dirs[3], Seeds: us.JoinAddrs()[:1], Region: "eu", Roles: []string{"worker"}})
	second := testNode(t, Config{Dir: dirs[4], Seeds: seeds, Region: "us", Roles: []string{"worker"}})
	run(first)
	run(second)
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	s := tallyOf(t, dirs...)
	s.check(t)
	if s.steps != 2000 {
		t.Errorf("%d steps, want those of 4000 samples in batches of 2", s.steps)
	}
	for _, dir := range dirs[3:] {
		if tallyOf(t, dir).rounds == 0 {
			t.Errorf("%s trained nothing", dir)
		}
	}
}

func TestDrainAndContinue(t *testing.T) {
	ctx := deadline(t)
	dir := filepath.Join(t.TempDir(), "node")
	first := testNode(t, Config{Dir: dir, Job: smallJob(t, 16*2*4000), Region: "home"})
	time.AfterFunc(time.Second, first.Drain)
	if err := first.Run(ctx); err != nil {
		t.Fatal(err)
	}
	stopped := tallyOf(t, dir)
	stopped.check(t)
	second := testNode(t, Config{Dir: dir})
	if err := second.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	ended := tallyOf(t, dir)
	ended.check(t)
	if stopped.steps == 0 || ended.steps != 4000 {
		t.Errorf("%d steps at the stop, %d at the end, want some and 4000", stopped.steps, ended.steps)
	}
}

func TestJoinOnTheLAN(t *testing.T) {
	needMulticast(t)
	ctx := deadline(t)
	dir := filepath.Join(t.TempDir(), "second")
	first := testNode(t, Config{Job: smallJob(t, 16*2*10_000_000), Region: "eu", MDNS: true})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return first.Run(ctx) })
	second := testNode(t, Config{Dir: dir, JobID: first.JobID()[:16], Region: "us", MDNS: true})
	group.Go(func() error {
		defer first.Drain() // it is the other's server
		return second.Run(ctx)
	})
	for released := false; !released; {
		if wait(ctx, 20*time.Millisecond); ctx.Err() != nil {
			t.Fatal("the second node contributed nothing")
		}
		if !second.call(func() {
			s := second.status()
			released = s.LPS != nil && s.LPS.Durable > 0
		}) {
			t.Fatal(group.Wait())
		}
	}
	second.Drain()
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// Two nodes join a region that has nobody, at once: both want to serve it, one does,
// and the other works for that one.
func TestTwoJoinersOfOneRegion(t *testing.T) {
	ctx := deadline(t)
	dirs := []string{filepath.Join(t.TempDir(), "gps")}
	gps := testNode(t, Config{Dir: dirs[0], Job: smallJob(t, 16*2*4000), Region: "eu", Roles: []string{"gps"}})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return gps.Run(ctx) })
	seeds := gps.JoinAddrs()[:1]
	var both []*Node
	for range 2 {
		dirs = append(dirs, filepath.Join(t.TempDir(), "joiner"))
		both = append(both, testNode(t, Config{Dir: dirs[len(dirs)-1], Seeds: seeds, Region: "us"}))
	}
	for _, n := range both {
		if !n.has(lps) {
			t.Fatal("a joiner did not want to serve the region")
		}
		group.Go(func() error { return n.Run(ctx) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs[1:] {
		if s := tallyOf(t, dir); s.rounds == 0 {
			t.Errorf("%s trained nothing", dir)
		}
	}
	tallyOf(t, dirs...).check(t)
}
