package testnet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"halos/node"
)

func TestDeltasThatNobodyDecided(t *testing.T) {
	l := newLedger()
	for i, r := range []node.Record{
		{Event: node.EventStart, Node: "w", Session: 1},
		{Event: node.EventSent, Tier: "region", Client: "w", Session: 1, Seq: 1}, // killed with its sender
		{Event: node.EventStart, Node: "w", Session: 2},
		{Event: node.EventSent, Tier: "region", Client: "w", Session: 2, Seq: 1}, // its sender ends by itself
		{Event: node.EventSent, Tier: "region", Client: "w", Session: 2, Seq: 2},
		{Event: node.EventRefused, Tier: "region", Client: "w", Session: 2, Seq: 2},
		{Event: node.EventStop},
		{Event: node.EventSent, Tier: "global", Client: "eu", Session: 1, Seq: 1}, // of a region, which lives on
	} {
		if i == 6 && l.open() != 0 {
			t.Errorf("%d open before the sender's end, want none", l.open())
		}
		l.add(0, r)
	}
	if d := l.deltas(); l.open() != 2 || d.InOutbox != 3 || d.Refused != 1 {
		t.Errorf("%d open of %+v, want 2 of 3 that are undecided", l.open(), d)
	}
}

// script writes journals: a line "FILE EVENT ARGUMENTS" becomes one record of FILE.
// Arguments are SEQ[@VERSION] for deltas and VERSION for restored; the client of a
// delta is w, or what stands before a slash, as in us/3; its session is 1, or what
// stands before a dot, as in 2.3; a region's event ends in ^ for tier global.
// "FILE cut" leaves a half-written line, "FILE mend" cuts it off as a restarted
// node does. Between two steps of the script, at "--", the tally reads.
func script(t *testing.T, lines string) *tally {
	t.Helper()
	dir := t.TempDir()
	tl := newTally()
	known := make(map[string]bool)
	for line := range strings.Lines(lines) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if f[0] == "--" {
			tl.read()
			continue
		}
		path := filepath.Join(dir, f[0])
		if !known[path] {
			known[path] = true
			tl.follow(path)
		}
		switch f[1] {
		case "cut":
			appendFile(t, path, `{"time":"2026-11-23T10:00:00Z","event":"applied","tier":"reg`)
		case "mend":
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, path, string(text[:strings.LastIndexByte(string(text), '\n')+1]))
		default:
			for _, arg := range f[2:] {
				appendFile(t, path, deltaRecord(t, f[1], arg)+"\n")
			}
		}
	}
	tl.read()
	return tl
}

// deltaRecord is one line of metrics.jsonl, as a node would write it.
func deltaRecord(t *testing.T, event, arg string) string {
	t.Helper()
	event, global := strings.CutSuffix(event, "^")
	tier := "region"
	if global {
		tier = "global"
	}
	if event == "restored" {
		return fmt.Sprintf(`{"time":"2026-11-23T10:00:00Z","event":"restored","tier":%q,"version":%s}`, tier, arg)
	}
	client, session := "w", "1"
	if before, after, ok := strings.Cut(arg, "/"); ok {
		client, arg = before, after
	}
	if before, after, ok := strings.Cut(arg, "."); ok {
		session, arg = before, after
	}
	seq, version, ok := strings.Cut(arg, "@")
	if ok {
		version = `,"version":` + version
	}
	return fmt.Sprintf(`{"time":"2026-11-23T10:00:00Z","event":%q,"tier":%q,"client":%q,"session":%s,"seq":%s%s}`,
		event, tier, client, session, seq, version)
}

func appendFile(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestDeltasByName(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         Deltas
	}{
		{"nothing", ``, Deltas{}},
		{"on its way", `w sent 1`, Deltas{Sent: 1, InOutbox: 1}},
		{"applied", `
			w sent 1 2
			s applied 1@1 2@2`, Deltas{Sent: 2, Applied: 2}},
		{"applied and released", `
			w sent 1
			s applied 1@1
			w released 1`, Deltas{Sent: 1, Applied: 1}},
		{"refused, which releases", `
			w sent 1
			s refused 1
			w released 1`, Deltas{Sent: 1, Refused: 1}},
		{"released and never decided", `
			w sent 1 2
			s applied 1@1
			w released 1 2`, Deltas{Sent: 2, Applied: 1, Lost: 1}},
		{"given up by the server", `
			w sent 1 2
			s lost 1
			s applied 2@1`, Deltas{Sent: 2, Applied: 1, Lost: 1}},
		{"given up, then it came", `
			w sent 1
			s lost 1
			s applied 1@1`, Deltas{Sent: 1, Applied: 1}},
		{"applied twice", `
			w sent 1 2
			s applied 1@1 2@2 1@3`, Deltas{Sent: 2, Applied: 2, Duplicated: 1}},
		{"applied three times is one duplicate", `
			w sent 1
			s applied 1@1 1@2 1@3`, Deltas{Sent: 1, Applied: 1, Duplicated: 1}},
		{"applied by two servers", `
			w sent 1
			s applied 1@1
			z applied 1@7`, Deltas{Sent: 1, Applied: 1, Duplicated: 1}},
		{"same seq of other clients, sessions and tiers", `
			w sent 1 2.1 v/1
			w sent^ 1
			s applied 1@1 2.1@2 v/1@3
			s applied^ 1@1`, Deltas{Sent: 4, Applied: 4}},
		{"the server's file is read first", `
			s applied 1@1 2@2
			--
			w sent 1 2 3
			w released 1`, Deltas{Sent: 3, Applied: 2, InOutbox: 1}},
		{"applied again after a restart that forgot it", `
			w sent 1 2 3
			s applied 1@1 2@2 3@3
			--
			s restored 1
			s applied 2@2 3@3`, Deltas{Sent: 3, Applied: 3}},
		{"applied again although the snapshot had it", `
			w sent 1 2
			s applied 1@1 2@2
			s restored 2
			s applied 2@3`, Deltas{Sent: 2, Applied: 2, Duplicated: 1}},
		{"released too early: the restart forgot it", `
			w sent 1 2
			s applied 1@1 2@2
			w released 1 2
			s restored 1`, Deltas{Sent: 2, Applied: 1, Lost: 1}},
		{"forgotten and still in the outbox", `
			w sent 1 2
			s applied 1@1 2@2
			w released 1
			s restored 1`, Deltas{Sent: 2, Applied: 1, InOutbox: 1}},
		{"two restarts", `
			w sent 1 2 3
			s applied 1@1 2@2 3@3
			s restored 2
			s applied 3@3
			s restored 1
			s applied 2@2 3@3`, Deltas{Sent: 3, Applied: 3}},
		{"versions count anew after a restart", `
			w sent 1 2 3
			s applied 1@1 2@2
			s restored 1
			s applied 3@2
			s restored 2
			s applied 2@3`, Deltas{Sent: 3, Applied: 3}},
		{"another server's restart voids nothing", `
			w sent 1
			s applied 1@5
			z restored 1`, Deltas{Sent: 1, Applied: 1}},
		{"the other tier's restart voids nothing", `
			w sent 1
			s applied 1@5
			s restored^ 1`, Deltas{Sent: 1, Applied: 1}},
		{"restart without any snapshot", `
			w sent 1
			s applied 1@1
			s restored 0`, Deltas{Sent: 1, InOutbox: 1}},
		{"refused after it was forgotten", `
			w sent 1
			s applied 1@1
			s restored 0
			s refused 1`, Deltas{Sent: 1, Refused: 1}},
		{"a killed server's last line is half-written", `
			w sent 1 2
			s applied 1@1
			s cut
			--
			s mend
			s restored 1
			--
			s applied 2@2`, Deltas{Sent: 2, Applied: 2}},
		{"a half-written line is no verdict", `
			w sent 1 2
			s applied 1@1
			s cut`, Deltas{Sent: 2, Applied: 1, InOutbox: 1}},
		{"a killed sender's own line is missing", `
			w sent 1
			w cut
			s applied 1@1 2@2`, Deltas{Sent: 2, Applied: 2}},
		{"pushes count like deltas", `
			w sent 1
			l applied 1@1
			l sent^ eu/1 eu/2 eu/3
			g applied^ eu/1@1 eu/1@2
			g refused^ eu/2
			l released^ eu/1 eu/2 eu/3`, Deltas{Sent: 4, Applied: 2, Refused: 1, Lost: 1, Duplicated: 1}},
	} {
		tl := script(t, c.script)
		if got := tl.ledger.deltas(); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
		if tl.fault != nil {
			t.Errorf("%s: %v", c.name, tl.fault)
		}
	}
}
