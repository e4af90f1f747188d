package roles

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
)

var (
	crashes = flag.Int("crashes", 30_000, "crashes of TestCrashes")
	only    = flag.Int64("seed", -1, "seed of the one job that TestCrashes is to run")
)

// crashPlanOf is planOf with short jobs in which something happens all the time.
func crashPlanOf(seed uint64) plan {
	p := planOf(seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	p.tasks = 10 + rng.IntN(60)
	p.chaos = tick + moment(rng.Int64N(int64(12*tick)))
	p.calm = 50*tick + moment(rng.Int64N(int64(400*tick)))
	return p
}

// tally adds up what happened in many worlds, on all processors.
type tally struct {
	mu       sync.Mutex
	seeds    uint64
	happened map[string]int
	faults   []string
}

// next draws the seed of a job, until there have been enough crashes or a fault.
func (c *tally) next(crashes int) (seed uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seeds++
	return c.seeds - 1, c.happened["crashes"] < crashes && len(c.faults) == 0
}

// add counts what happened in w and reports whether a tenth of all crashes is full.
func (c *tally) add(seed uint64, w *world, crashes int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	tenth := c.happened["crashes"] * 10 / crashes
	for kind, n := range w.happened {
		c.happened[kind] += n
	}
	if len(w.checks.faults) > 0 {
		c.faults = append(c.faults, fmt.Sprintf("seed %d: %s\n\tagain: go test ./roles -run 'TestCrashes$' -seed %d",
			seed, strings.Join(w.checks.faults, "\n\t"), seed))
	}
	return c.happened["crashes"]*10/crashes > tenth
}

func (c *tally) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(c.happened)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", c.happened[kind], kind))
	}
	return fmt.Sprintf("%d jobs: %s", c.seeds, strings.Join(kinds, ", "))
}

// raced reports that the race detector slows everything down. Jobs share nothing.
func raced() bool {
	build, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(build.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// TestCrashes crashes processes of all roles, at any moment and between any two
// actions, so many times, amid everything else that can happen: no delta is lost that
// somebody relied on, and none is counted twice.
func TestCrashes(t *testing.T) {
	if *only >= 0 {
		w := newWorld(uint64(*only), crashPlanOf(uint64(*only)))
		if faults := w.run(jobLimit); faults != nil {
			t.Errorf("plan %+v\n%s\n\tuntil then: %v", w.plan, strings.Join(faults, "\n"), w.happened)
		}
		return
	}
	n := *crashes
	if testing.Short() || raced() {
		n /= 10
	}
	all := tally{happened: map[string]int{}}
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for seed, ok := all.next(n); ok; seed, ok = all.next(n) {
				w := newWorld(seed, crashPlanOf(seed))
				w.run(jobLimit)
				if all.add(seed, w, n) {
					t.Log(&all)
				}
			}
		})
	}
	group.Wait()
	for _, f := range all.faults {
		t.Error(f)
	}
}
