package roles

import "testing"

// A server that applies deltas all the time leaves snapshotRest times what a snapshot took between two.
func TestSnapshotsByTimeRest(t *testing.T) {
	for _, c := range []struct {
		name string
		took int // ticks
		want int // ticks from one snapshot to the next
	}{
		{"a small state", 1, snapshotEvery},
		{"a large one", 8, 8 * snapshotRest},
		{"a disk that stalled", 10_000, snapshotLate},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGPS(scriptCfg, 1000, "eu")().(*GPS)
			g.Step(sub("eu", 1, 0, 1))
			waitFor := func() (ticks int) {
				for range 2 * snapshotLate {
					ticks++
					for _, a := range g.Step(Tick{}) {
						if s, ok := a.(Snapshot); ok {
							g.Step(SnapshotDone{ID: s.ID, Ticks: c.took})
							return ticks
						}
					}
				}
				return 0
			}
			waitFor()
			g.Step(sub("eu", 2, 4, 1))
			if got := waitFor(); got != c.want {
				t.Errorf("%d ticks, want %d", got, c.want)
			}
			g.Step(sub("eu", 3, 8, 1))
			acts := g.Step(Drain{})
			if len(acts) == 0 || !isSnapshot(acts[0]) {
				t.Errorf("draining waits for the time: %v", acts)
			}
		})
	}
}

func isSnapshot(a Action) bool { _, ok := a.(Snapshot); return ok }
