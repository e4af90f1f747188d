package testnet

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// line is a record so many seconds after noon; fields is the rest of its JSON.
func line(after float64, event, fields string) string {
	at := noon.Add(time.Duration(after * float64(time.Second)))
	if fields != "" {
		fields = "," + fields
	}
	return fmt.Sprintf(`{"time":%q,"event":%q%s}`+"\n", at.Format(time.RFC3339Nano), event, fields)
}

func startLine(after float64, region, role string) string {
	return line(after, "start", fmt.Sprintf(`"region":%q,"roles":[%q],"job":"feedfacefeedfacefeedface"`, region, role))
}

func roundLine(after float64, tokens int, loss, took, blocked float64) string {
	return line(after, "round", fmt.Sprintf(`"steps":4,"tokens":%d,"loss":%v,"seconds":%v,"blocked":%v`, tokens, loss, took, blocked))
}

// tallyOf reads one journal per text.
func tallyOf(t *testing.T, texts ...string) *tally {
	t.Helper()
	tl := newTally()
	for i, text := range texts {
		path := filepath.Join(t.TempDir(), fmt.Sprint(i))
		writeFile(t, path, text)
		tl.follow(path)
	}
	tl.read()
	return tl
}

func TestRegionOfATally(t *testing.T) {
	tl := tallyOf(t,
		startLine(0, "eu", "gps")+
			line(1, "applied", `"tier":"global","client":"eu","seq":1,"version":1`)+
			line(2, "applied", `"tier":"global","client":"us","seq":1,"version":2`)+
			line(3, "bytes", `"wan":1000,"lan":10`),
		startLine(0, "eu", "lps")+
			line(1, "applied", `"tier":"region","client":"a","seq":1,"version":1`)+
			line(2, "applied", `"tier":"region","client":"b","seq":1,"version":2,"staleness":1`)+
			line(3, "applied", `"tier":"region","client":"a","seq":2,"version":3,"staleness":5`)+
			line(4, "merged", `"version":2`)+
			line(5, "bytes", `"wan":200,"lan":20`)+line(6, "bytes", `"wan":300,"lan":30`),
		startLine(0, "eu", "worker")+roundLine(2, 1000, 5, 1, 1)+roundLine(4, 3000, 4, 2, 0),
		startLine(0, "eu", "worker")+roundLine(3, 2000, 3, 3, 0)+line(5, "stop", ""),
		startLine(0, "us", "worker")+roundLine(3, 500, 6, 1, 0),
	)
	got := tl.region("eu", noon.Add(6*time.Second))
	want := regionState{
		name: "eu", workers: 1, steps: 12, tokens: 6000,
		rate:    1000, // 4,000 tokens in 4 s by one worker; the other has stopped
		loss:    (5*1000 + 4*3000 + 3*2000) / 6000.0,
		version: 3, global: 2, staleMean: 2, staleMax: 5, wan: 1300, lan: 40,
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if us := tl.region("us", noon.Add(6*time.Second)); us.workers != 1 || us.loss != 6 || us.wan != 0 {
		t.Errorf("us: %+v", us)
	}
	if ap := tl.region("ap", noon); !math.IsNaN(ap.loss) || ap.workers != 0 || ap.staleMean != 0 {
		t.Errorf("a region without processes: %+v", ap)
	}
}

func TestRecentRounds(t *testing.T) {
	for _, c := range []struct {
		name string
		text string
		now  float64 // seconds after noon
		rate float64
		loss float64
	}{
		{"one round", roundLine(10, 100, 3, 2, 0), 11, 50, 3},
		{"waiting slows down", roundLine(10, 100, 3, 1, 1), 11, 50, 3},
		{"old rounds do not count", roundLine(10, 100, 9, 1, 0) + roundLine(100, 400, 2, 2, 0), 101, 200, 2},
		{"a slow worker's last round counts", roundLine(100, 4000, 2, 40, 0), 180, 100, 2},
		{"silent for much longer than a round", roundLine(100, 4000, 2, 4, 0), 116, 0, 2},
		{"dead", roundLine(10, 100, 3, 2, 0) + line(11, "stop", ""), 11, 0, 3},
		{"restarted", roundLine(10, 100, 3, 2, 0) + line(11, "stop", "") + startLine(12, "eu", "worker"), 12, 50, 3},
		{"a loss that was not finite", roundLine(10, 100, 0, 2, 0) + roundLine(12, 100, 3, 2, 0), 13, 50, 3},
		{"a round without a duration", roundLine(10, 100, 3, 0, 0), 11, 0, 3},
	} {
		tl := tallyOf(t, startLine(0, "eu", "worker")+c.text)
		s := tl.region("eu", noon.Add(time.Duration(c.now*float64(time.Second))))
		if s.rate != c.rate || s.loss != c.loss {
			t.Errorf("%s: %v tokens/s, loss %v, want %v, %v", c.name, s.rate, s.loss, c.rate, c.loss)
		}
	}
}

func TestStalenessIsThatOfTheRecentDeltas(t *testing.T) {
	text := startLine(0, "eu", "lps") + line(1, "applied", `"tier":"region","seq":1,"version":1,"staleness":1000`)
	for i := range recentApplied {
		text += line(2, "applied", fmt.Sprintf(`"tier":"region","seq":%d,"version":%d,"staleness":%d`, i+2, i+2, 1+i%2))
	}
	if s := tallyOf(t, text).region("eu", noon); s.staleMean != 1.5 || s.staleMax != 2 {
		t.Errorf("staleness %v max %d, want 1.5 max 2", s.staleMean, s.staleMax)
	}
}

func TestResultOfATally(t *testing.T) {
	tl := tallyOf(t,
		startLine(0, "eu", "gps")+
			line(1, "eval", `"loss":5.54872,"version":0`)+
			line(30, "eval", `"loss":3.2,"version":10`)+
			line(58, "eval", `"loss":2.5512349,"version":31`)+
			line(40, "applied", `"tier":"global","client":"eu","session":1,"seq":1,"version":30`)+
			line(57, "applied", `"tier":"global","client":"eu","session":1,"seq":2,"version":31`)+
			line(20, "checkpoint", `"tier":"global","version":10,"path":"/net/gps/v10"`)+
			line(59, "checkpoint", `"tier":"global","version":31,"path":"/net/gps/v31"`)+
			line(59, "bytes", `"wan":1,"lan":2,"topic":3,"local":4`),
		startLine(0, "eu", "lps")+
			line(59, "eval", `"loss":9.9,"version":31`)+
			line(59, "checkpoint", `"tier":"region","version":77,"path":"/net/eu-lps/v77"`)+
			line(20, "bytes", `"wan":10,"lan":20,"topic":30`)+
			startLine(30, "eu", "lps")+ // restarted: its counters begin anew
			line(59, "bytes", `"wan":100,"lan":200,"topic":300,"local":400`),
		startLine(0, "eu", "worker")+roundLine(4.5, 1000, 5, 1.5, 0.5)+roundLine(6, 2000, 4, 1.4, 0.1),
		startLine(0, "eu", "worker")+roundLine(3.25, 3000, 5, 2.1, 0.4),
	)
	r := tl.result(1, 2, noon, noon.Add(60*time.Second))
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schema":"halos.testnet/1","job":"feedfacefeedface","regions":1,"workers":2,"wall_seconds":60,` +
		`"first_loss_seconds":3.25,"tokens":6000,"tokens_per_second":100,"val_loss_start":5.5487,"val_loss":2.5512,"global_version":31,` +
		`"deltas":{"sent":2,"applied":2,"refused":0,"in_outbox":0,"lost":0,"duplicated":0},"applied_per_second":0.037,` +
		`"bytes":{"wan":111,"lan":222,"topic":333,"local":404},"blocked":0.1667,"checkpoint":"/net/gps/v31"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestResultOfNothing(t *testing.T) {
	r := newTally().result(2, 4, noon, noon.Add(time.Second))
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"job":""`, `"first_loss_seconds":null`, `"val_loss_start":null`, `"val_loss":null`, `"blocked":0`, `"checkpoint":""`} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
}

func TestTallyReportsWhatItCouldNotRead(t *testing.T) {
	tl := tallyOf(t, startLine(0, "eu", "worker")+"garbage\n"+roundLine(1, 100, 3, 1, 0))
	if tl.fault == nil || tl.tokens() != 100 {
		t.Errorf("fault %v, %d tokens, want one fault and the lines around it", tl.fault, tl.tokens())
	}
}

func TestTallyReadsOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "late", "metrics.jsonl")
	tl := newTally()
	j := tl.follow(path)
	tl.read() // there is no file yet
	whole := startLine(0, "eu", "worker") + roundLine(1, 100, 3, 1, 0)
	writeFile(t, path, whole[:len(whole)-20])
	tl.read()
	if j.starts != 1 || tl.tokens() != 0 {
		t.Errorf("%d starts, %d tokens of a half-written line", j.starts, tl.tokens())
	}
	appendFile(t, path, whole[len(whole)-20:]+roundLine(2, 50, 3, 1, 0))
	tl.read()
	tl.read()
	if j.starts != 1 || tl.tokens() != 150 || tl.fault != nil {
		t.Errorf("%d starts, %d tokens, %v, want 1, 150", j.starts, tl.tokens(), tl.fault)
	}
}
