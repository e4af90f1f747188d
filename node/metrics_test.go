package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// quiet discards logs.
var quiet = slog.New(slog.DiscardHandler)

// TestRecordSchema pins the field names of metrics.jsonl, which other programs read.
func TestRecordSchema(t *testing.T) {
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	tests := []struct {
		name string
		r    Record
		want string
	}{
		{"start", Record{Event: EventStart, Node: "p", Region: "eu", Roles: []string{"lps"}, Addrs: []string{"/a"}, Job: "ab", Session: 1},
			`"event":"start","node":"p","region":"eu","roles":["lps"],"addrs":["/a"],"job":"ab","session":1`},
		{"round", Record{Event: EventRound, Client: "p", Steps: 8, Tokens: 64, Loss: 2.5, Seconds: 1.5, Blocked: 0.25, Version: 3},
			`"event":"round","client":"p","steps":8,"tokens":64,"loss":2.5,"seconds":1.5,"blocked":0.25,"version":3`},
		{"sent", Record{Event: EventSent, Tier: TierRegion, Client: "p", Session: 1, Seq: 2, Steps: 8, Samples: [][2]uint64{{0, 8}, {9, 10}}, Via: ViaTopic},
			`"event":"sent","tier":"region","client":"p","session":1,"seq":2,"steps":8,"samples":[[0,8],[9,10]],"via":"topic"`},
		{"applied", Record{Event: EventApplied, Tier: TierGlobal, Client: "eu", Session: 1, Seq: 2, Version: 3, Staleness: 4, Steps: 5},
			`"event":"applied","tier":"global","client":"eu","session":1,"seq":2,"steps":5,"version":3,"staleness":4`},
		{"refused", Record{Event: EventRefused, Tier: TierGlobal, Client: "eu", Seq: 2, Reason: "NaN"},
			`"event":"refused","tier":"global","client":"eu","seq":2,"reason":"NaN"`},
		{"checkpoint", Record{Event: EventCheckpoint, Tier: TierGlobal, Version: 3, Path: "d"},
			`"event":"checkpoint","tier":"global","version":3,"path":"d"`},
		{"alarm", Record{Event: EventAlarm, Tier: TierRegion, Version: 3, Reason: "full"},
			`"event":"alarm","tier":"region","version":3,"reason":"full"`},
		{"bytes", Record{Event: EventBytes, WAN: 1, LAN: 2, Topic: 3, Local: 4, Dropped: 5},
			`"event":"bytes","wan":1,"lan":2,"topic":3,"local":4,"dropped":5`},
		{"no form for NaN", Record{Event: EventRound, Loss: math.NaN(), Seconds: math.Inf(1)}, `"event":"round"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.r.Time = at
			tt.r.finite()
			got, err := json.Marshal(tt.r)
			want := `{"time":"2026-11-23T09:00:00Z",` + tt.want + `}`
			if err != nil || string(got) != want {
				t.Errorf("got %s, %v\nwant %s", got, err, want)
			}
		})
	}
}

func TestJournalIsReadBack(t *testing.T) {
	dir := t.TempDir()
	for start := range 2 { // the second start appends
		j, err := openJournal(dir, quiet)
		if err != nil {
			t.Fatal(err)
		}
		var writers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() {
				for i := range 100 {
					j.append(Record{Event: EventSent, Client: fmt.Sprint(start, w), Seq: uint64(i + 1)})
				}
			})
		}
		writers.Wait()
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j.append(Record{Event: EventStop}) // too late, and no panic
	}
	tail := Tail{Path: filepath.Join(dir, MetricsFile)}
	got, err := tail.Read()
	if err != nil {
		t.Fatal(err)
	}
	next := map[string]uint64{}
	for _, r := range got {
		if next[r.Client]++; r.Seq != next[r.Client] {
			t.Fatalf("record %d of %s follows %d", r.Seq, r.Client, next[r.Client]-1)
		}
		if time.Since(r.Time) > time.Minute {
			t.Fatalf("record %d of %s has time %v", r.Seq, r.Client, r.Time)
		}
	}
	if len(got) != 800 {
		t.Errorf("%d records, want 800", len(got))
	}
	stat, err := os.Stat(tail.Path)
	if err != nil || stat.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", stat.Mode(), err)
	}
}

func TestJournalCutsHalfLine(t *testing.T) {
	tests := []struct{ name, before, want string }{
		{"new", "", ""},
		{"whole", "{}\n{}\n", "{}\n{}\n"},
		{"half", "{}\n{\"ev", "{}\n"},
		{"only half", "{\"ev", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, MetricsFile)
			if err := os.WriteFile(path, []byte(tt.before), 0o600); err != nil {
				t.Fatal(err)
			}
			j, err := openJournal(dir, quiet)
			if err != nil {
				t.Fatal(err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(path); string(got) != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	dir := t.TempDir()
	foreign := bytes.Repeat([]byte{'x'}, maxRecordBytes+1)
	if err := os.WriteFile(filepath.Join(dir, MetricsFile), foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openJournal(dir, quiet); err == nil {
		t.Error("opened a file that has no lines")
	}
}

// TestJournalSlowDisk writes into a pipe that nobody reads for a while.
func TestJournalSlowDisk(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	j := newJournal(w, quiet)
	const n = 10_000 // over a megabyte, more than any pipe holds
	for i := range n {
		j.append(Record{Event: EventSent, Client: strings.Repeat("c", 64), Seq: uint64(i + 1)})
	}
	lines := make(chan int)
	go func() {
		seen := 0
		dec := json.NewDecoder(r)
		for {
			var rec Record
			if dec.Decode(&rec) != nil || rec.Seq != uint64(seen+1) {
				lines <- seen
				return
			}
			seen++
		}
	}()
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if got := <-lines; got != n {
		t.Errorf("%d records in order, want %d", got, n)
	}
}

// TestJournalFlush sees that what was appended is in the file, with the journal still open.
func TestJournalFlush(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	tail := Tail{Path: filepath.Join(dir, MetricsFile)}
	for round := range 50 {
		for i := range round {
			j.append(Record{Event: EventSent, Seq: uint64(i + 1)})
		}
		if !j.flush(time.Minute) {
			t.Fatal("not flushed")
		}
		if got, err := tail.Read(); err != nil || len(got) != round {
			t.Fatalf("%d records after the flush, %v, want %d", len(got), err, round)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j.flush(time.Minute) {
		t.Error("flushed a journal that is closed")
	}
}

// TestJournalFlushGivesUp flushes to disks that take nothing.
func TestJournalFlushGivesUp(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	j := newJournal(w, quiet)
	long := Record{Event: EventRefused, Reason: strings.Repeat("r", maxRecordBytes/2)} // more than a pipe holds
	j.append(long)
	if j.flush(10 * time.Millisecond) {
		t.Error("flushed to a disk that is stuck")
	}
	r.Close() // from now on it is broken
	for range 3 {
		if j.flush(time.Minute) {
			t.Error("flushed to a disk that is broken")
		}
		j.append(long)
	}
	if err := j.Close(); err == nil {
		t.Error("Close hides that nothing was written")
	}
}

func TestJournalFailsOnce(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	var log bytes.Buffer
	j := newJournal(w, slog.New(slog.NewTextHandler(&log, nil)))
	for range 100 {
		j.append(Record{Event: EventBytes})
	}
	if err := j.Close(); err == nil {
		t.Error("Close hides that nothing was written")
	}
	if got := strings.Count(log.String(), "level=ERROR"); got != 1 {
		t.Errorf("%d errors logged, want 1:\n%s", got, log.String())
	}
}

func TestJournalBacklogIsBounded(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	j := newJournal(w, quiet)
	long := Record{Event: EventRefused, Reason: strings.Repeat("r", maxRecordBytes/2)}
	for range 2*maxJournalBytes/len(long.Reason) + 4 {
		j.append(long)
	}
	j.append(Record{Event: EventRefused, Reason: strings.Repeat("r", maxRecordBytes)})
	j.mu.Lock()
	if len(j.pending) > maxJournalBytes || j.dropped < 2 {
		t.Errorf("%d bytes wait, %d records dropped", len(j.pending), j.dropped)
	}
	j.mu.Unlock()
	r.Close()
	if err := j.Close(); err == nil || !strings.Contains(err.Error(), "dropped") {
		t.Errorf("Close: %v", err)
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), MetricsFile)
	tail := Tail{Path: path}
	steps := []struct {
		name, write, want string
		wantErr           string
	}{
		{"not there yet", "", "", ""},
		{"two lines and a half", `{"event":"a"}` + "\n" + `{"event":"b"}` + "\n" + `{"eve`, "a b", ""},
		{"nothing new", "", "", ""},
		{"the other half", `nt":"c"}` + "\n", "c", ""},
		{"a line that is no record", "no\n" + `{"event":"d"}` + "\n", "d", "at byte 42"},
		{"after it", `{"event":"e"}` + "\n", "e", ""},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			if step.write != "" {
				file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
				if err != nil {
					t.Fatal(err)
				}
				file.WriteString(step.write)
				file.Close()
			}
			records, err := tail.Read()
			var got []string
			for _, r := range records {
				got = append(got, r.Event)
			}
			if !reflect.DeepEqual(got, strings.Fields(step.want)) && len(got)+len(step.want) > 0 {
				t.Errorf("got %q, want %q", got, step.want)
			}
			checkErr(t, err, step.wantErr)
		})
	}
	if err := os.Truncate(path, 3); err != nil {
		t.Fatal(err)
	}
	_, err := tail.Read()
	checkErr(t, err, "it was replaced")
}

// checkErr fails the test unless err contains want, or is nil where want is empty.
func checkErr(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("error %v, want %q", err, want)
	}
}
