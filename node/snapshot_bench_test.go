package node

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"halos/data"
	"halos/job"
	"halos/roles"
)

// benchWorkers is how many workers' deltas the benchmarks apply in turn.
const benchWorkers = 4

// BenchmarkSnapshot applies deltas at full speed to the LPS of a job of 70 million parameters, whose state
// is 1.1 GB, and compares a time with a snapshot with the same time without. The two alternate, so that what
// else the machine does meets both; b.N is the number of pairs, and metrics are medians over them.
//
//	go test -run '^$' -bench Snapshot -benchtime 5x -timeout 1h ./node
//
// The subtests differ in the time: from a snapshot's begin to its end ("one"); from its begin to the next
// that the role asks for by time ("cadence"), which is the share of a server's throughput that snapshots
// cost; and the same with a window so small that a worker has used half of it after two deltas ("windows").
func BenchmarkSnapshot(b *testing.B) {
	for _, c := range []struct {
		name   string
		window int
		with   func(*rig) period
	}{
		{"one", 1 << 20, (*rig).oneSnapshot},
		{"cadence", 1 << 20, (*rig).oneCycle},
		{"windows", 4, (*rig).oneCycle},
	} {
		b.Run(c.name, func(b *testing.B) {
			g := newRig(b, c.window)
			g.oneSnapshot() // the first one makes the memory that the others use
			var lost, seconds, copying, saving, all []float64
			b.ResetTimer()
			for range b.N {
				with := c.with(g)
				begin := time.Now()
				without := g.until(begin, func() bool { return time.Since(begin) >= with.took })
				share := 1 - with.rate()/without.rate()
				lost = append(lost, 100*share)
				seconds = append(seconds, share*with.took.Seconds())
				copying = append(copying, with.copying.Seconds())
				saving = append(saving, with.saving.Seconds())
				all = append(all, with.took.Seconds())
				b.Logf("%.2f s with: %d applies, copy %.3f s, save %.2f s; without: %d applies; lost %.2f %%",
					with.took.Seconds(), with.applies, with.copying.Seconds(), with.saving.Seconds(), without.applies, 100*share)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(lost), "%lost")
			b.ReportMetric(median(seconds), "s-lost")
			b.ReportMetric(median(copying), "s-copy")
			b.ReportMetric(median(saving), "s-save")
			b.ReportMetric(median(all), "s-each")
		})
	}
}

// rig is a node that is nothing but an LPS and its disk.
type rig struct {
	b     *testing.B
	n     *Node
	tick  *time.Ticker
	next  [benchWorkers]uint64 // seq
	turn  uint64               // applies, which is also which samples come next
	delta []float32            // [n]

	hold    bool          // a snapshot that the role asks for is held, else it is done at once, without the disk
	held    uint64        // its id, 0: none
	busy    bool          // one is being written
	began   time.Time     // the last one on disk
	copying time.Duration // that the loop stood still for it
	saving  time.Duration // from its begin to SnapshotDone
}

// period is what happened in some time.
type period struct {
	applies               int
	took, copying, saving time.Duration
}

func (p period) rate() float64 { return float64(p.applies) / p.took.Seconds() }

func newRig(b *testing.B, window int) *rig {
	j, err := job.Preset("pythia-70m")
	if err != nil {
		b.Fatal(err)
	}
	j.K = math.MaxInt32      // no push: each asks for a snapshot of its own
	j.Guard.MaxStaleness = 0 // all deltas are made from the first model
	n := &Node{
		cfg: Config{Region: "eu"}, log: quiet, self: "l", job: j, params: j.Model.NumParams(),
		events: make(chan event, eventQueue), stopped: make(chan struct{}), group: &errgroup.Group{},
	}
	n.dir = &directory{path: b.TempDir()}
	if at := os.Getenv("HALOS_BENCH_DIR"); at != "" {
		n.dir.path = filepath.Join(at, "node")
	}
	if n.report, err = newReport(n); err != nil {
		b.Fatal(err)
	}
	n.machines[lps] = roles.NewLPS(j.Config, "eu", "l", roles.Term{Counter: 1, Leader: "l"}, n.params, window)
	g := &rig{b: b, n: n, tick: time.NewTicker(time.Second / roles.TicksPerSecond), delta: make([]float32, n.params)}
	b.Cleanup(func() {
		g.tick.Stop()
		close(n.stopped)
		if err := n.group.Wait(); err != nil {
			b.Error(err)
		}
		if err := n.report.close(); err != nil {
			b.Error(err)
		}
	})
	for i := range g.delta {
		g.delta[i] = 1e-6 * float32(i%7-3)
	}
	g.step(roles.Connected{})
	g.step(roles.Welcome{Client: "eu", Session: 1})
	for w := range benchWorkers {
		g.step(roles.Hello{Client: name(w), Peer: name(w), Session: 1, Next: 1, Oldest: 1})
	}
	g.step(roles.Grant{Client: "eu", Ranges: data.Intervals{{End: 1 << 40}}})
	g.step(roles.Model{Client: "eu", Params: make([]float32, n.params)})
	return g
}

func name(w int) string { return string(rune('a' + w)) }

// step advances the LPS and does what it wants, but for snapshots.
func (g *rig) step(ev roles.Event) {
	for _, a := range g.n.machines[lps].Step(ev) {
		if r, ok := a.(roles.Refused); ok {
			g.b.Fatalf("delta %d refused: %s", r.Seq, r.Reason)
		}
		s, ok := a.(roles.Snapshot)
		switch {
		case ok && g.hold:
			g.held = s.ID
		case ok:
			g.n.post(event{to: lps, ev: roles.SnapshotDone{ID: s.ID}})
		default:
			g.n.perform(lps, []roles.Action{a}, nil)
		}
	}
}

func (g *rig) snapshot(id uint64) {
	g.busy, g.began = true, time.Now()
	g.n.snapshot(lps, id)
	g.copying = time.Since(g.began)
}

// oneSnapshot applies deltas while one snapshot is taken.
func (g *rig) oneSnapshot() period {
	begin := time.Now()
	g.snapshot(0)
	return g.until(begin, func() bool { return !g.busy })
}

// oneCycle applies deltas from one snapshot that the role asks for to the next, which the disk is spared.
func (g *rig) oneCycle() period {
	asks := func() bool { return g.held != 0 && !g.busy }
	g.hold = true
	g.until(time.Now(), asks)
	begin, id := time.Now(), g.held
	g.held = 0
	g.snapshot(id)
	p := g.until(begin, asks)
	g.n.post(event{to: lps, ev: roles.SnapshotDone{ID: g.held}})
	g.hold, g.held = false, 0
	return p
}

// until applies deltas until over says so, and counts them.
func (g *rig) until(begin time.Time, over func() bool) (p period) {
	for p.applies == 0 || !over() {
		select {
		case e := <-g.n.events:
			if g.busy && e.ev.(roles.SnapshotDone).Ticks > 0 {
				g.busy, g.saving = false, time.Since(g.began)
			}
			g.step(e.ev)
			continue
		case <-g.tick.C:
			g.step(roles.Tick{})
			continue
		default:
		}
		g.apply()
		p.applies++
	}
	p.took, p.copying, p.saving = time.Since(begin), g.copying, g.saving
	return p
}

// apply brings the next worker's delta of its next task.
func (g *rig) apply() {
	w := g.turn % benchWorkers
	round := uint64(g.n.job.H * g.n.job.Batch)
	samples := data.Intervals{{Start: g.turn * round, End: (g.turn + 1) * round}}
	g.turn++
	g.next[w]++
	g.step(roles.Ask{Client: name(int(w))})
	g.step(roles.Delta{
		Name:  roles.Name{Client: name(int(w)), Session: 1, Seq: g.next[w]},
		Steps: uint64(g.n.job.H), Samples: samples, Norm: 1e-3, Values: g.delta,
	})
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}
