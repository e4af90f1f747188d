package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"halos/roles"
)

func TestAlarmIsToldOnceAMinute(t *testing.T) {
	begin := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	a := alarm{durable: 7}
	told := 0
	for s := 0; s < 180; s += 5 {
		if a.raise(at(s), fmt.Sprint("reason ", s)) {
			told++
		}
	}
	if told != 3 {
		t.Errorf("told %d times in three minutes, want 3", told)
	}
	if got, want := *a.status(at(200)), (AlarmStatus{Reason: "reason 175", Since: 200, Failed: 36, Durable: 7}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if over := a.clear(9); over.failed != 36 || over.since != begin {
		t.Errorf("over: %+v", over)
	}
	if a.status(at(201)) != nil || a.clear(10).failed != 0 || a.durable != 10 {
		t.Errorf("after the end: %+v", a)
	}
	if !a.raise(at(205), "again") {
		t.Error("the next alarm waits for the minute of the last")
	}
}

func TestSnapshotFault(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lps") // not there yet
	full := fmt.Errorf("save: %w", &fs.PathError{Op: "write", Path: "model.safetensors", Err: syscall.ENOSPC})
	free := "bytes are free"
	if _, ok := freeBytes(dir); !ok {
		free = "no space" // all that is known on this system
	}
	for _, c := range []struct {
		name   string
		err    error
		reason []string
		remedy string
	}{
		{"full", full, []string{"no space in " + dir, free, "model.safetensors"}, "free space in " + dir},
		{"no right to write", fs.ErrPermission, []string{"permission denied"}, "write in " + dir},
		{"two faults in one line", errors.Join(fs.ErrPermission, fs.ErrExist), []string{"permission denied; file already exists"}, dir},
	} {
		t.Run(c.name, func(t *testing.T) {
			reason, remedy := snapshotFault(dir, c.err)
			for _, want := range c.reason {
				if !strings.Contains(reason, want) {
					t.Errorf("reason %q, want %q in it", reason, want)
				}
			}
			if !strings.Contains(remedy, c.remedy) {
				t.Errorf("remedy %q, want %q in it", remedy, c.remedy)
			}
		})
	}
}

// A file lies where the snapshots belong: nothing becomes durable, training goes on, and an alarm says why.
// With the file gone all is as it should be, and no delta is lost or counted twice.
func TestBrokenDisk(t *testing.T) {
	for _, broken := range []role{lps, gps} {
		t.Run(broken.String(), func(t *testing.T) {
			ctx := deadline(t)
			dir := filepath.Join(t.TempDir(), "node")
			n := testNode(t, Config{Dir: dir, Job: smallJob(t, 16*2*10_000_000), Region: "home"})
			if err := os.WriteFile(n.snapshotDir(broken), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			group, ctx := errgroup.WithContext(ctx)
			group.Go(func() error { return n.Run(ctx) })

			var steps, window uint64
			until(ctx, t, n, "an alarm while training goes on", func(s Status) bool {
				a := alarmOf(s, broken)
				if a == nil || a.Failed < 2 {
					steps = s.Worker.Steps
					return false
				}
				if !strings.Contains(a.Reason, "snapshot") || a.Durable != 0 || a.Since <= 0 {
					t.Fatalf("alarm %+v", a)
				}
				if broken == lps && s.Worker.Durable > 0 || broken == gps && s.LPS.Durable > 0 {
					t.Fatalf("durable at a server that has no disk: %+v %+v", s.Worker, s.LPS)
				}
				return s.Worker.Steps > steps+100
			})
			if err := n.callOrFail(func() { window = uint64(n.window); checkBounded(t, n, broken, window) }); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(n.snapshotDir(broken)); err != nil {
				t.Fatal(err)
			}
			until(ctx, t, n, "the end of the alarm", func(s Status) bool {
				durable := s.Worker.Durable
				if broken == gps {
					durable = s.LPS.Durable
				}
				return alarmOf(s, broken) == nil && durable > 0
			})
			n.Drain()
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			tallyOf(t, dir).check(t)
			checkAlarmRecords(t, dir, tierAbove(broken))
		})
	}
}

// callOrFail runs f on the loop.
func (n *Node) callOrFail(f func()) error {
	if !n.call(f) {
		return errors.New("the node has ended")
	}
	return nil
}

// until waits for the node's status to be as want says.
func until(ctx context.Context, t *testing.T, n *Node, what string, want func(Status) bool) {
	t.Helper()
	for {
		var s Status
		if err := n.callOrFail(func() { s = n.status() }); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if s.Worker != nil && s.LPS != nil && s.GPS != nil && want(s) {
			return
		}
		if wait(ctx, 20*time.Millisecond); ctx.Err() != nil {
			t.Fatalf("%s: did not come: %+v %+v %+v", what, s.Worker, s.LPS, s.GPS)
		}
	}
}

func alarmOf(s Status, r role) *AlarmStatus {
	if r == lps {
		return s.LPS.Alarm
	}
	return s.GPS.Alarm
}

// checkBounded sees that the clients of a server without a disk hold no more than their windows and one.
func checkBounded(t *testing.T, n *Node, broken role, window uint64) {
	held := 0
	switch broken {
	case lps:
		held = n.machines[worker].(*roles.Worker).Status().Outbox
	case gps:
		_, c := n.machines[lps].(*roles.LPS).Status()
		held = c.Outbox
	}
	if held == 0 || uint64(held) > window+1 {
		t.Errorf("%d deltas in the outbox, want some and at most %d", held, window+1)
	}
}

// checkAlarmRecords sees an alarm of the tier, and a checkpoint that ends it.
func checkAlarmRecords(t *testing.T, dir string, of tier) {
	tail := Tail{Path: filepath.Join(dir, MetricsFile)}
	records, err := tail.Read()
	if err != nil {
		t.Fatal(err)
	}
	var events []string
	for _, r := range records {
		if r.Tier == of.String() && (r.Event == EventAlarm || r.Event == EventCheckpoint) {
			if r.Event == EventAlarm && (r.Reason == "" || r.Version != 0) {
				t.Errorf("record %+v", r)
			}
			events = append(events, r.Event)
		}
	}
	if len(events) < 2 || events[0] != EventAlarm || events[1] != EventCheckpoint {
		t.Errorf("records %v, want one alarm, then checkpoints", events)
	}
}
