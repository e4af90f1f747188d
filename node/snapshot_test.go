package node

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"halos/checkpoint"
	"halos/roles"
)

// bareServer is a node that is nothing but an LPS with a model, and its disk.
func bareServer(t *testing.T) *Node {
	j := smallJob(t, 1000)
	n := &Node{
		cfg: Config{Region: "eu"}, log: quiet, self: "l", job: j, params: j.Model.NumParams(),
		events: make(chan event, eventQueue), stopped: make(chan struct{}), group: &errgroup.Group{},
		dir: &directory{path: t.TempDir()},
	}
	l := roles.NewLPS(j.Config, "eu", "l", roles.Term{Counter: 1, Leader: "l"}, n.params, 4)
	l.Step(roles.Connected{})
	l.Step(roles.Welcome{Client: "eu", Session: 1})
	l.Step(roles.Model{Client: "eu", Params: make([]float32, n.params)})
	n.machines[lps] = l
	return n
}

// TestSnapshotWaitsForRecords holds the records up, in a pipe that nobody reads for a while, and sees that the
// snapshot of what they tell waits for them.
func TestSnapshotWaitsForRecords(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	n := bareServer(t)
	n.report = &report{journal: newJournal(w, quiet)}
	n.report.append(Record{Event: EventRefused, Reason: strings.Repeat("r", maxRecordBytes/2)}) // more than a pipe holds
	n.snapshot(lps, 1)
	wait(t.Context(), 200*time.Millisecond) // a snapshot of this size takes a tenth of that
	if _, path, err := checkpoint.Load(n.snapshotDir(lps)); err == nil {
		t.Errorf("snapshot %s came before the records", path)
	}
	go io.Copy(io.Discard, r)
	if done := (<-n.events).ev.(roles.SnapshotDone); done.ID != 1 || done.Failed || done.Ticks < 1 {
		t.Errorf("%+v", done)
	}
	if s, _, err := checkpoint.Load(n.snapshotDir(lps)); err != nil || s.Version != 1 {
		t.Errorf("version %d, %v", s.Version, err)
	}
	if err := n.report.close(); err != nil {
		t.Error(err)
	}
}

// TestSnapshotWithoutRecords sees that a journal that cannot be written keeps no state from the disk.
func TestSnapshotWithoutRecords(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	n := bareServer(t)
	n.report = &report{journal: newJournal(w, quiet)}
	n.report.append(Record{Event: EventBytes})
	n.snapshot(lps, 1)
	if done := (<-n.events).ev.(roles.SnapshotDone); done.Failed {
		t.Error("a journal that fails fails the snapshot")
	}
	if _, err := os.Stat(filepath.Join(n.snapshotDir(lps))); err != nil {
		t.Error(err)
	}
}

func TestTicksIn(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want int
	}{{0, 0}, {1, 1}, {250 * time.Millisecond, 1}, {251 * time.Millisecond, 2}, {3 * time.Second, 12}} {
		if got := ticksIn(c.d); got != c.want {
			t.Errorf("%v: %d ticks, want %d", c.d, got, c.want)
		}
	}
}
