package sim

import (
	"fmt"
	"math"
	"math/bits"
)

// Cost is what the work of a job costs. It may be that of a larger model than the
// one that is trained.
type Cost struct {
	Up     float64 // bytes of a delta on its way to a server, or of one worker's share of an all-reduce
	Down   float64 // bytes of a model on its way back
	StepMS float64 // a local step of the fastest worker
}

// Pythia70M is the cost of the HALoS paper's experiment: Pythia-70M in float32, and
// the local step of its fastest worker.
func Pythia70M() Cost { return Cost{Up: 281_706_496, Down: 281_706_496, StepMS: 238.391} }

// Validate joins all faults of c.
func (c Cost) Validate() error {
	for _, x := range []float64{c.Up, c.Down, c.StepMS} {
		if !(x > 0) || math.IsInf(x, 0) {
			return fmt.Errorf("cost: %v bytes up, %v bytes down, %v ms for a step: want numbers above 0", c.Up, c.Down, c.StepMS)
		}
	}
	return nil
}

// transfer is how long bytes take from one region to another, in ms.
func (e Env) transfer(from, to int, bytes float64) float64 {
	ms := bytes * 8 / (e.Gbit[from][to] * 1e9) * 1e3
	if e.Latency != nil {
		ms += e.Latency[from][to]
	}
	return ms
}

// ring is the circle of all workers that an all-reduce runs along.
type ring struct {
	workers int
	wan     int     // links of it between regions
	gbit    float64 // of its slowest link
	latency float64 // ms, of that with the longest
}

// allReduce is how long one takes, in ms: each worker sends 2(n-1)/n of the bytes in
// 2(n-1) turns.
func (r ring) allReduce(bytes float64) float64 {
	if r.workers < 2 {
		return 0
	}
	turns := 2 * float64(r.workers-1)
	return turns/float64(r.workers)*bytes*8/(r.gbit*1e9)*1e3 + turns*r.latency
}

// wanBytes is what one all-reduce sends between regions.
func (r ring) wanBytes(bytes float64) float64 {
	if r.workers < 2 {
		return 0
	}
	return float64(r.wan) * 2 * float64(r.workers-1) / float64(r.workers) * bytes
}

// ring returns the one whose slowest link is the fastest: of all orders of the
// regions, up to exactOrders of them, and beyond of those that extend a route by the
// best link from one of the first 64, which may miss the best one.
func (e Env) ring() ring {
	n := len(e.Speeds)
	r := ring{gbit: math.Inf(1)}
	for region, speeds := range e.Speeds {
		r.workers += len(speeds)
		if len(speeds) > 1 {
			r.gbit = min(r.gbit, e.Gbit[region][region])
		}
	}
	if n > 1 {
		r.wan = n
		if n <= exactOrders {
			r.gbit = min(r.gbit, e.bestOrder())
		} else {
			r.gbit = min(r.gbit, e.goodOrder())
		}
	}
	if e.Latency != nil {
		for a := range e.Latency {
			for b, ms := range e.Latency[a] {
				if a != b || len(e.Speeds[a]) > 1 {
					r.latency = max(r.latency, ms)
				}
			}
		}
	}
	return r
}

const exactOrders = 12

// bestOrder is the slowest link of the best circle through all regions, found over
// all sets of regions visited (Held and Karp, 1962, with the maximum for the sum).
func (e Env) bestOrder() float64 {
	n := len(e.Gbit)
	all := 1<<n - 1
	best := make([]float64, (all+1)*n) // [visited, last] from region 0
	best[1*n] = math.Inf(1)
	for visited := 1; visited <= all; visited += 2 {
		for last := range n {
			so := best[visited*n+last]
			for left := uint(all &^ visited); so > 0 && left != 0; left &= left - 1 {
				next := bits.TrailingZeros(left)
				to := &best[(visited|1<<next)*n+next]
				*to = max(*to, min(so, e.Gbit[last][next]))
			}
		}
	}
	slowest := 0.0
	for last := 1; last < n; last++ {
		slowest = max(slowest, min(best[all*n+last], e.Gbit[last][0]))
	}
	return slowest
}

// goodOrder is bestOrder's bound over the routes that go on to the best region left,
// one from each region.
func (e Env) goodOrder() float64 {
	n, slowest := len(e.Gbit), 0.0
	for first := range min(n, 64) {
		visited := make([]bool, n)
		visited[first] = true
		so, at := math.Inf(1), first
		for range n - 1 {
			next := -1
			for to, gbit := range e.Gbit[at] {
				if !visited[to] && (next < 0 || gbit > e.Gbit[at][next]) {
					next = to
				}
			}
			so, at, visited[next] = min(so, e.Gbit[at][next]), next, true
		}
		slowest = max(slowest, min(so, e.Gbit[at][first]))
	}
	return slowest
}
