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
	latency float64 // ms, of its longest
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
	r := ring{gbit: math.Inf(1)}
	link := func(from, to int) {
		r.gbit = min(r.gbit, e.Gbit[from][to])
		if e.Latency != nil {
			r.latency = max(r.latency, e.Latency[from][to])
		}
	}
	for region, speeds := range e.Speeds {
		r.workers += len(speeds)
		if len(speeds) > 1 {
			link(region, region)
		}
	}
	order := e.order()
	if len(order) > 1 {
		r.wan = len(order)
		for i, from := range order {
			link(from, order[(i+1)%len(order)])
		}
	}
	return r
}

const exactOrders = 12

// order is the circle through all regions that the ring follows.
func (e Env) order() []int {
	if len(e.Gbit) <= exactOrders {
		return e.bestOrder()
	}
	return e.goodOrder()
}

// bestOrder is the circle through all regions whose slowest link is the fastest, found
// over all sets of regions visited (Held and Karp, 1962, with the minimum for the sum).
func (e Env) bestOrder() []int {
	n := len(e.Gbit)
	all := 1<<n - 1
	best := make([]float64, (all+1)*n) // [visited, last] slowest link from region 0
	before := make([]int, (all+1)*n)   // [visited, last] the region before the last
	best[1*n] = math.Inf(1)
	for visited := 1; visited <= all; visited += 2 {
		for last := range n {
			so := best[visited*n+last]
			for left := uint(all &^ visited); so > 0 && left != 0; left &= left - 1 {
				next := bits.TrailingZeros(left)
				at := (visited|1<<next)*n + next
				if gbit := min(so, e.Gbit[last][next]); gbit > best[at] {
					best[at], before[at] = gbit, last
				}
			}
		}
	}
	end, slowest := 0, 0.0
	for last := range n {
		if gbit := min(best[all*n+last], e.Gbit[last][0]); gbit > slowest {
			end, slowest = last, gbit
		}
	}
	order := make([]int, n)
	for i, visited := n-1, all; i >= 0; i-- {
		order[i] = end
		visited, end = visited&^(1<<end), before[visited*n+end]
	}
	return order
}

// goodOrder is the best of the circles that go on to the best region left, one from
// each region.
func (e Env) goodOrder() []int {
	var best []int
	n, fastest := len(e.Gbit), 0.0
	for first := range min(n, 64) {
		order, visited := []int{first}, make([]bool, n)
		visited[first] = true
		slowest := math.Inf(1)
		for len(order) < n {
			at, next := order[len(order)-1], -1
			for to, gbit := range e.Gbit[at] {
				if !visited[to] && (next < 0 || gbit > e.Gbit[at][next]) {
					next = to
				}
			}
			slowest = min(slowest, e.Gbit[at][next])
			order, visited[next] = append(order, next), true
		}
		if slowest = min(slowest, e.Gbit[order[n-1]][first]); slowest > fastest {
			best, fastest = order, slowest
		}
	}
	return best
}
