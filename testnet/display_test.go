package testnet

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func someState() state {
	return state{
		elapsed: 31 * time.Second, duration: time.Minute, phase: "training", workers: 2,
		firstLoss: 5.5484, loss: 2.9814, version: 14, tokens: 1234567, rate: 41203.4, blocked: 0.0214,
		deltas: Deltas{Sent: 246, Applied: 240, InOutbox: 6},
		regions: []regionState{
			{"eu", 2, 1240, 640000, 20611.7, 2.9811, 64, 13, 0.94, 3, 12_100_000, 88_000_000},
			{"us", 1, 1180, 594567, 20591.7, math.NaN(), 61, 12, 12.55, 30, 999, 1_234_567_890},
		},
	}
}

func TestBlockOnATerminal(t *testing.T) {
	want := `[####################....................] 31s of 1m0s  training
val loss 5.548 -> 2.981, global v14, 1,234,567 tokens, 41,203/s, blocked 2.1 %
region workers   steps tokens/s   loss  local global staleness      WAN      LAN
eu         2/2    1240   20,612  2.981    v64    v13   0.9 (3)  12.1 MB  88.0 MB
us         1/2    1180   20,592      -    v61    v12 12.6 (30)    999 B  1.23 GB
deltas 246 sent, 240 applied, 6 in outbox, 0 refused, 0 lost, 0 duplicated
`
	if got := strings.Join(someState().lines(80, 24), "\n") + "\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestPlainLines(t *testing.T) {
	want := `[  31s] training: val loss 5.548 -> 2.981, global v14, 1,234,567 tokens, 41,203/s, blocked 2.1 %; deltas 246 sent, 240 applied, 6 in outbox, 0 refused, 0 lost, 0 duplicated
[  31s] eu: 2/2 workers, 1240 steps, 20,612 tokens/s, loss 2.981, v64, global v13, staleness 0.9 max 3, wan 12.1 MB, lan 88.0 MB
[  31s] us: 1/2 workers, 1180 steps, 20,592 tokens/s, loss -, v61, global v12, staleness 12.6 max 30, wan 999 B, lan 1.23 GB
`
	if got := strings.Join(someState().plain(), "\n") + "\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestBlockFitsTheScreen(t *testing.T) {
	s := someState()
	for i := range 50 {
		s.regions = append(s.regions, regionState{name: fmt.Sprint("r", i)})
	}
	for _, screen := range [][2]int{{80, 24}, {20, 10}, {1, 5}, {200, 3}, {40, 1}, {80, 60}} {
		lines := s.lines(screen[0], screen[1])
		if len(lines) > max(1, screen[1]-1) {
			t.Errorf("screen %v: %d lines", screen, len(lines))
		}
		for _, line := range lines {
			if len(line) > screen[0] {
				t.Errorf("screen %v: line of %d columns: %s", screen, len(line), line)
			}
		}
	}
	lines := s.lines(80, 24)
	if got := lines[len(lines)-2]; got != "and 34 more regions" {
		t.Errorf("got %q, want the number of regions left out", got)
	}
	if got := len(s.lines(80, 60)); got != 56 {
		t.Errorf("%d lines on a high screen, want all 52 regions and 4 more", got)
	}
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		elapsed, duration time.Duration
		width             int
		want              string
	}{
		{0, time.Minute, 80, "[........................................] 0s of 1m0s  training"},
		{15 * time.Second, time.Minute, 80, "[##########..............................] 15s of 1m0s  training"},
		{90 * time.Second, time.Minute, 80, "[########################################] 1m30s of 1m0s  training"},
		{30 * time.Second, time.Minute, 36, "[######......] 30s of 1m0s  training"},
		{30 * time.Second, time.Minute, 26, "30s of 1m0s  training"},
		{30 * time.Second, 0, 80, "30s  training"},
	} {
		s := state{elapsed: c.elapsed, duration: c.duration, phase: "training"}
		if got := s.bar(c.width); got != c.want {
			t.Errorf("%v of %v in %d columns:\ngot  %s\nwant %s", c.elapsed, c.duration, c.width, got, c.want)
		}
	}
}

func TestSummary(t *testing.T) {
	first, last, seconds := 5.5484, 2.5512, 3.25
	r := Result{
		Job: "0123456789abcdef", Regions: 2, Workers: 4, WallSeconds: 63.412, FirstLossSeconds: &seconds,
		Tokens: 2_345_678, TokensPerSecond: 36991.1, ValLossStart: &first, ValLoss: &last, GlobalVersion: 31,
		Deltas: Deltas{Sent: 301, Applied: 298, InOutbox: 3}, Bytes: Bytes{48_100_000, 166_000_000, 150_000_000, 0},
		Blocked: 0.0312, Checkpoint: "/net/gps/v000000000031",
	}
	want := `job 0123456789abcdef: 4 workers in 2 regions, 63.4 s
  validation loss  5.548 -> 2.551 nats per token
  first loss       3.2 s after the start
  tokens           2,345,678, 36,991/s, workers blocked 3.1 % of their time
  global version   31
  deltas           301 sent, 298 applied, 3 in outbox, 0 refused, 0 lost, 0 duplicated
  bytes            wan 48.1 MB, lan 166 MB; deltas over topics 150 MB, inside processes 0 B
  checkpoint       /net/gps/v000000000031
  try              halos generate --checkpoint /net/gps/v000000000031 -p "It is a truth" -n 200
`
	if got := strings.Join(r.lines(), "\n") + "\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1.00 kB", 9994: "9.99 kB", 9996: "10.0 kB", 99_949: "99.9 kB", 99_960: "100 kB",
		999_499: "999 kB", 999_500: "1.00 MB", 12_345_678: "12.3 MB", math.MaxUint64: "18447 PB",
	} {
		if got := size(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

// screenDisplay draws on a terminal of that size.
func screenDisplay(w *bytes.Buffer, width, height int) *display {
	return &display{w: w, screen: func() (int, int, bool) { return width, height, true }}
}

func TestBlockIsRedrawnInPlace(t *testing.T) {
	var out bytes.Buffer
	d := screenDisplay(&out, 30, 24)
	small := func() state { return state{phase: "starting", firstLoss: math.NaN(), loss: math.NaN()} }
	const block = "\x1b[K0s  starting\n" +
		"\x1b[Kval loss -, global v0, 0 token\n" +
		"\x1b[Kregion workers   steps tokens/\n" +
		"\x1b[Kdeltas 0 sent, 0 applied, 0 in\n\x1b[J"
	d.progress(noon, small)
	d.progress(noon.Add(redrawEvery/2), small) // too soon
	d.progress(noon.Add(redrawEvery), small)
	d.note("eu-w1 ended\n  with a reason")
	d.progress(noon.Add(redrawEvery+1), small) // at once after a note
	d.summary(Result{Job: "j"})
	got := out.String()
	want := block + "\x1b[4A\r" + block + "\x1b[4A\r\x1b[Jeu-w1 ended\n  with a reason\n" + block + "job j: 0 workers"
	if !strings.HasPrefix(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestPlainProgressComesEveryFewSeconds(t *testing.T) {
	var out bytes.Buffer
	d := newDisplay(&out) // a buffer is no terminal
	for i := range 31 {
		d.progress(noon.Add(time.Duration(i)*time.Second), someState)
	}
	if got, want := strings.Count(out.String(), "[  31s] eu:"), 6; got != want {
		t.Errorf("%d times in 30 s, want %d", got, want)
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("control sequences outside a terminal: %q", out.String())
	}
}
