package roles

import (
	"math"
	"testing"
)

var oneToThree = [][]float64{{0.5, 0.5}, {1, 1.5, 0.5}}

// Ten minutes without a GPS, from any moment on, leave no worker without samples.
func TestTenMinutesWithoutAGPS(t *testing.T) {
	const outage = 10 * 60 * second
	for from := 60 * second; from < 45*60*second; from += 97 * second {
		d := newDepot(2*3600, oneToThree...)
		d.run(from)
		before := d.waited()
		d.outage(true)
		d.run(from + outage)
		for _, s := range d.sites {
			for _, h := range s.hands {
				if !h.busy {
					t.Errorf("outage at %d s: %s has nothing to do", from/second, h.name)
				}
			}
		}
		if waited := d.waited(); waited != before {
			t.Errorf("outage at %d s: a worker waited for %d s", from/second, (waited-before)/second)
		}
		d.outage(false)
		done := d.committed
		d.run(from + outage + 2*second)
		if d.committed == done {
			t.Errorf("outage at %d s: nothing was committed in the two seconds after it", from/second)
		}
	}
}

// Regions of unequal speed run out of samples at about the same time, without asking
// for every batch, however long the job.
func TestRegionsEndTogether(t *testing.T) {
	for _, c := range []struct {
		seconds float64 // of work for all
		speeds  [][]float64
	}{
		{120, oneToThree}, {600, oneToThree}, {3600, oneToThree}, {4 * 3600, oneToThree},
		{120, [][]float64{{1}, {1}}}, {600, [][]float64{{1, 1}}}, {600, [][]float64{{0.5}, {1}, {2}, {4}}},
		{3600, [][]float64{{0.25}, {4, 4}}}, // for less the slow one's first tasks are too many
	} {
		d := newDepot(c.seconds, c.speeds...)
		d.run(moment(2*c.seconds) * second)
		asks := 0
		round := moment(0) // of the slowest worker
		for _, s := range d.sites {
			asks += s.asks
			for _, h := range s.hands {
				round = max(round, moment(float64(supplyCfg.H)/h.speed*float64(second)))
			}
		}
		last, spread := d.last()
		t.Logf("%v s of %v: ended after %d s, %d s apart, %d asks", c.seconds, c.speeds, last/second, spread/second, asks)
		if !d.over {
			t.Errorf("%v s of %v: the job has not ended", c.seconds, c.speeds)
		}
		if spread > 2*round || d.waited() > round {
			t.Errorf("%v s of %v: workers ended %d s apart, and one waited for %d s before", c.seconds, c.speeds, spread/second, d.waited()/second)
		}
		if most := len(c.speeds) * (30 + int(c.seconds/stockFor)); asks > most {
			t.Errorf("%v s of %v: %d asks, want at most %d", c.seconds, c.speeds, asks, most)
		}
	}
}

// However many samples lie in stock, a task's place on the schedule is about what the
// job has handed to workers.
func TestStocksDoNotHurryTheSchedule(t *testing.T) {
	d := newDepot(3600, oneToThree...)
	d.run(2 * 3600 * second)
	perRound := int64(supplyCfg.H * supplyCfg.Batch)
	const rounds = regionTasks // what was in stock before rates were known
	t.Logf("places are %d to %d samples beside the truth, of %d", d.stray[0], d.stray[1], d.handed)
	if d.stray[0] < -rounds*perRound || d.stray[1] > rounds*perRound {
		t.Errorf("places are %d to %d samples beside the truth, want at most %d", d.stray[0], d.stray[1], rounds*perRound)
	}
}

// What a region claims is bounded: grants are whole batches, at most what it asked for,
// and leave something for the others.
func TestClaimsAreBounded(t *testing.T) {
	for _, claim := range []Ask{
		{Rate: math.NaN()}, {Rate: math.Inf(1)}, {Rate: math.Inf(-1)}, {Rate: -1}, {Rate: math.MaxFloat64},
		{Rate: math.SmallestNonzeroFloat64}, {Stock: math.MaxUint64}, {Rate: 1, Stock: math.MaxUint64}, {},
	} {
		g := newGPS(scriptCfg, 64, "eu", "us")().(*GPS)
		granted := func(a Ask) uint64 {
			for _, act := range g.Step(a) {
				if grant, ok := act.(Grant); ok {
					return grant.Ranges.Len()
				}
			}
			return 0
		}
		g.Step(Ask{Client: "us", Rate: 1})
		claim.Client = "eu"
		left := g.ledger.free.Len()
		for _, claim.Samples = range []uint64{1, 3, 1 << 20, math.MaxUint64} {
			n := granted(claim)
			if n%uint64(scriptCfg.Batch) != 0 || n == 0 || n > max(claim.Samples, 2) || n > left/2 {
				t.Errorf("%+v: granted %d of %d", claim, n, left)
			}
			left -= n
		}
		if n := granted(Ask{Client: "us", Samples: 64, Rate: 1}); n == 0 || n > left {
			t.Errorf("%+v: the other region is granted %d of %d", claim, n, left)
		}
	}
}

// An LPS tells how fast its workers are together, and wants what they train in a time;
// what a worker claims is bounded.
func TestStockFollowsTheRate(t *testing.T) {
	tasks := uint64(regionTasks * scriptCfg.H * scriptCfg.Batch)
	for _, c := range []struct {
		name       string
		speeds     []float64
		rate, want float64 // samples
	}{
		{"none known", []float64{0, 0}, 0, float64(tasks)},
		{"slow", []float64{0.01, 0.01}, 0.02, float64(tasks)},
		{"two", []float64{3, 1}, 4, 4 * 2 * stockFor * 2},
		{"one not known", []float64{3, 0}, 6, 6 * 2 * stockFor * 2},
		{"nonsense", []float64{3, math.NaN()}, 6, 6 * 2 * stockFor * 2},
		{"a liar", []float64{math.MaxFloat64, 1}, maxRate + 1, (maxRate + 1) * 2 * stockFor * 2},
	} {
		l := newLPS(scriptCfg, 8, 0, "w1", "w2")().(*LPS)
		for i, w := range []string{"w1", "w2"} {
			l.paced(w, c.speeds[i], c.speeds[i])
		}
		rate, _ := l.rates()
		if target := l.target(); rate != c.rate || float64(target) != c.want {
			t.Errorf("%s: rate %v, want %v; stock of %d, want %v", c.name, rate, c.rate, target, c.want)
		}
	}
}
