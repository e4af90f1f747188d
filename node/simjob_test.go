package node

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"halos/job"
)

// simPatience is when a simulated job counts as stuck.
const simPatience = 15 * time.Minute

// simJob is a counting job (train.Ledger) of real nodes on a simulated network. Its GPS is in a region of its own.
type simJob struct {
	t     *testing.T
	ctx   context.Context
	net   *simNet
	job   *job.Job
	began time.Time
	gps   *simNode
	nodes []*simNode // all of them
	names []string   // of the regions, by their number on the network
}

// simNode is a running node of a simulated job.
type simNode struct {
	*Node
	ip    netip.Addr
	dir   string
	log   *simLog
	ended chan struct{} // closed when err is set
	err   error         // of Run
}

// simLedger is a counting job that keeps so many workers busy for so long.
func simLedger(t *testing.T, workers int, d time.Duration) *job.Job {
	t.Helper()
	j, err := job.ForLedger(job.LedgerSteps(workers, d))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// newSimJob starts the GPS of a job.
func newSimJob(t *testing.T, n *simNet, j *job.Job) *simJob {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), simPatience)
	t.Cleanup(cancel)
	s := &simJob{t: t, ctx: ctx, net: n, job: j, began: time.Now()}
	s.gps = s.start(Config{Job: j, Region: "hub", Roles: []string{gps.String()}})
	return s
}

// start runs a node on a new host of its region until it ends or the test does.
func (s *simJob) start(c Config) *simNode {
	s.t.Helper()
	region := slices.Index(s.names, c.Region)
	if region < 0 {
		region, s.names = len(s.names), append(s.names, c.Region)
	}
	n := &simNode{ip: s.net.host(byte(region)), dir: filepath.Join(s.t.TempDir(), "node"), log: &simLog{}, ended: make(chan struct{})}
	c.Dir, c.simulated = n.dir, s.net.options(n.ip)
	c.Log = slog.New(slog.NewTextHandler(io.MultiWriter(n.log, s.t.Output()), &slog.HandlerOptions{Level: slog.LevelDebug}))
	if s.gps != nil {
		c.Seeds = s.gps.JoinAddrs()
	}
	var err error
	if n.Node, err = New(s.ctx, c); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(n.ended)
		n.err = n.Run(s.ctx)
	}()
	s.t.Cleanup(func() { <-n.ended }) // the network lasts longer
	s.nodes = append(s.nodes, n)
	return n
}

// region starts an LPS and its workers.
func (s *simJob) region(name string, workers int) (server *simNode, works []*simNode) {
	s.t.Helper()
	server = s.start(Config{Region: name, Roles: []string{lps.String()}})
	for range workers {
		works = append(works, s.start(Config{Region: name, Roles: []string{worker.String()}}))
	}
	return server, works
}

// wait lets virtual time pass.
func (s *simJob) wait(d time.Duration) {
	s.t.Helper()
	if wait(s.ctx, d); s.ctx.Err() != nil {
		s.t.Fatalf("after %v: %v", time.Since(s.began), s.ctx.Err())
	}
}

// await lets virtual time pass until a node has written a record that ok accepts, within a moment.
func (s *simJob) await(n *simNode, ok func(Record) bool) {
	s.t.Helper()
	tail := Tail{Path: filepath.Join(n.dir, MetricsFile)}
	for began := time.Now(); ; s.wait(time.Millisecond) {
		all, err := tail.Read()
		if err != nil {
			s.t.Fatal(err)
		}
		if slices.ContainsFunc(all, func(r Record) bool { return !r.Time.Before(began) && ok(r) }) {
			return
		}
	}
}

// finish waits until all nodes have ended by themselves, without a fault, and the model says that each local step of
// the job has reached it once.
func (s *simJob) finish() {
	s.t.Helper()
	for _, n := range s.nodes {
		if <-n.ended; n.err != nil {
			s.t.Errorf("%v in region %s: %v", n.roleNames(), n.cfg.Region, n.err)
		}
	}
	params, err := FinalModel(s.gps.dir, s.job)
	if err != nil {
		s.t.Fatal(err)
	}
	steps, wrong := s.job.Samples()/uint64(s.job.Batch), 0
	for i, got := range params {
		want := float32(1)
		if uint64(i) >= steps {
			want = 0
		}
		if got != want {
			if wrong++; wrong == 1 {
				s.t.Errorf("parameter %d is %v, want %v: the job has %d steps", i, got, want, steps)
			}
		}
	}
	if wrong > 1 {
		s.t.Errorf("%d parameters are wrong", wrong)
	}
}

// finishWhole is finish, and no delta was refused, lost or applied twice on the way.
func (s *simJob) finishWhole() {
	s.t.Helper()
	s.finish()
	s.tally().check(s.t)
	for _, n := range s.nodes {
		bad := func(r Record) bool { return r.Event == EventRefused || r.Event == EventLost }
		for _, r := range s.records(n, s.began, time.Now(), bad) {
			s.t.Errorf("delta %d of %s %s %s", r.Seq, r.Client, r.Event, r.Reason)
		}
	}
}

// tally counts the deltas of all nodes.
func (s *simJob) tally() tallies {
	s.t.Helper()
	var dirs []string
	for _, n := range s.nodes {
		dirs = append(dirs, n.dir)
	}
	return tallyOf(s.t, dirs...)
}

// records are those of a node that were written between two moments of the job and that ok accepts.
func (s *simJob) records(n *simNode, from, to time.Time, ok func(Record) bool) []Record {
	s.t.Helper()
	tail := Tail{Path: filepath.Join(n.dir, MetricsFile)}
	all, err := tail.Read()
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(r Record) bool { return r.Time.Before(from) || r.Time.After(to) || !ok(r) })
}

// linked reports that a node has a connection to another one.
func (n *simNode) linked(to *simNode) bool {
	return n.host.Network().Connectedness(to.host.ID()) == network.Connected
}

// simLog keeps what a node logs.
type simLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends p.
func (l *simLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// mark is a place in the log, since one the lines from there on.
func (l *simLog) mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Len()
}

// since returns the lines from a mark on that hold all of words.
func (l *simLog) since(mark int, words ...string) (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()[mark:]) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			lines = append(lines, line)
		}
	}
	return lines
}
