package roles

import (
	"math"
	"testing"

	"halos/data"
)

// Dynamic local updates (HALoS, section 3): max(1, ceil(H * speed / fastest)).
func TestLocalSteps(t *testing.T) {
	for _, c := range []struct {
		h              int
		speed, fastest float64
		want           int
	}{
		{8, 1, 1, 8}, {8, 0.907, 0.907, 8}, {8, 0.232, 0.907, 3}, {8, 0.107, 0.907, 1}, {32, 0.347, 0.907, 13},
		{1, 0.01, 1, 1}, {8, 1e-300, 1, 1}, {8, 7.01, 8, 8}, {8, 7, 8, 7},
	} {
		if got := LocalSteps(c.h, c.speed, c.fastest); got != c.want {
			t.Errorf("H=%d at %v of %v: %d local steps, want %d", c.h, c.speed, c.fastest, got, c.want)
		}
	}
}

// A worker's tasks are as long as its speed beside that of the job's fastest says.
func TestTasksFollowTheSpeed(t *testing.T) {
	cfg := scriptCfg
	cfg.H, cfg.Rescale = 8, true
	steps := func(acts []Action, worker string) int {
		t.Helper()
		for _, a := range acts {
			if g, ok := a.(Grant); ok && g.Client == worker {
				return g.Tasks[0].Steps
			}
		}
		t.Fatalf("no grant for %s in %s", worker, trace(acts))
		return 0
	}
	l := newLPS(cfg, 64, 0, "w1", "w2")().(*LPS)
	for _, w := range []string{"w1", "w2"} { // what they asked for before
		l.Step(ClientGone{Client: w, Peer: w})
		l.Step(hi(w, 1, 1, 1))
	}
	l.Step(Grant{Client: "eu", Ranges: data.Intervals{{Start: 0, End: 1024}}})
	if got := steps(l.Step(Ask{Client: "w1"}), "w1"); got != 8 {
		t.Errorf("no speed known: %d local steps, want H", got)
	}
	if got := steps(l.Step(Ask{Client: "w1", Speed: 2}), "w1"); got != 8 {
		t.Errorf("the fastest: %d local steps, want H", got)
	}
	if got := steps(l.Step(Ask{Client: "w2", Speed: 0.5}), "w2"); got != 2 {
		t.Errorf("a quarter of the fastest: %d local steps, want 2", got)
	}
	for _, nonsense := range []float64{math.NaN(), math.Inf(1), -1, 0} {
		if got := steps(l.Step(Ask{Client: "w2", Speed: nonsense}), "w2"); got != 2 {
			t.Errorf("speed %v: %d local steps, want 2 as before", nonsense, got)
		}
	}
	l.Step(Grant{Client: "eu", Fastest: 8})
	if got := steps(l.Step(Ask{Client: "w1", Speed: 2}), "w1"); got != 2 {
		t.Errorf("another region has one four times as fast: %d local steps, want 2", got)
	}
	l.cfg.Rescale = false
	if got := steps(l.Step(Ask{Client: "w1", Speed: 2}), "w1"); got != 8 {
		t.Errorf("no rescaling: %d local steps, want H", got)
	}
}

// A region hears of the others' fastest worker, not of its own as it was.
func TestTheGPSTellsTheFastestElsewhere(t *testing.T) {
	g := newGPS(scriptCfg, 64, "eu", "us")().(*GPS)
	fastest := func(a Ask) float64 {
		t.Helper()
		for _, act := range g.Step(a) {
			if grant, ok := act.(Grant); ok {
				return grant.Fastest
			}
		}
		t.Fatalf("no grant for %+v", a)
		return 0
	}
	for _, c := range []struct {
		ask  Ask
		want float64
	}{
		{Ask{Client: "eu", Samples: 8}, 0},
		{Ask{Client: "eu", Samples: 8, Speed: 3}, 0},
		{Ask{Client: "us", Samples: 8, Speed: 5}, 3},
		{Ask{Client: "eu", Samples: 8, Speed: 2}, 5},
		{Ask{Client: "us", Samples: 8}, 2},
	} {
		if got := fastest(c.ask); got != c.want {
			t.Errorf("%+v: fastest %v, want %v", c.ask, got, c.want)
		}
	}
	g.Step(ClientGone{Client: "us", Peer: "us"})
	if got := fastest(Ask{Client: "eu", Samples: 8, Speed: 2}); got != 0 {
		t.Errorf("the fastest region has gone: %v, want 0", got)
	}
}

// A worker reports a moving average of what its trainer measures.
func TestWorkersReportTheirSpeed(t *testing.T) {
	w := NewWorker("w", 1, 1, 4)
	for _, c := range []struct{ measured, want float64 }{{4, 4}, {8, 5}, {math.NaN(), 5}, {0, 5}, {5, 5}} {
		if w.pace(c.measured); w.speed != c.want {
			t.Errorf("after %v: %v, want %v", c.measured, w.speed, c.want)
		}
	}
}
