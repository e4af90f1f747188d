package sim

import (
	"context"

	"halos/roles"
)

// Plan is what Forecast is asked about: a method's clock without its learning.
type Plan struct {
	Algo     Algo
	Env      Env
	Cost     Cost
	H, K     int
	Rescale  bool
	InFlight roles.InFlight
	Steps    uint64 // local steps in all, at least
}

// Forecast says when a run of p would end, what it would send and how stale its
// updates would be. It appoints the same events at the same instants as Run, so its
// figures are Run's, without any vector. It fails only when ctx ends.
func Forecast(ctx context.Context, p Plan) (Result, error) {
	c := &clock{Plan: p}
	regions, speeds := p.Env.workers()
	for i, region := range regions {
		steps := p.Algo.localSteps(p.H, speeds[i], p.Rescale)
		c.workers = append(c.workers, pace{region: region, steps: steps, ms: float64(steps) * p.Cost.StepMS / speeds[i], speed: speeds[i]})
	}
	switch p.Algo {
	case HALoS:
		c.halos(ctx)
	case Async:
		c.async(ctx)
	default:
		c.rounds()
	}
	return c.result(), ctx.Err()
}

// clock is a run that is only timed.
type clock struct {
	Plan
	workers []pace
	agenda
	trained uint64
	tally   tally
	regions []regionClock
}

// pace is a worker's round.
type pace struct {
	region, steps int
	ms, speed     float64 // of computation; of the fastest
	version       uint64  // of the model it started from
	until         float64 // ms, when it has computed
}

// regionClock is an LPS without its vectors.
type regionClock struct {
	version, updates uint64
	steps            uint64  // since the last push
	flying           bool    // a push has left and its answer is not merged
	local, up, down  float64 // ms of a worker's transfers, of a push and of its answer
	flight           uint64  // steps of the push on its way
}

// goOn looks now and then whether ctx has ended.
func (c *clock) goOn(ctx context.Context) bool {
	return c.tally.Events%(1<<16) != 0 || ctx.Err() == nil
}

// begin starts a worker's round and returns how long it computes.
func (c *clock) begin(w *pace) float64 {
	c.tally.Busy += w.ms
	w.until = c.now + w.ms
	return w.ms
}

func (c *clock) halos(ctx context.Context) {
	c.regions = make([]regionClock, len(c.Env.Speeds))
	for r := range c.regions {
		c.regions[r] = regionClock{
			version: 1, // the first model
			local:   c.Env.transfer(r, r, c.Cost.Up) + c.Env.transfer(r, r, c.Cost.Down),
			up:      c.Env.transfer(r, 0, c.Cost.Up), down: c.Env.transfer(0, r, c.Cost.Down),
		}
	}
	for i := range c.workers {
		w := &c.workers[i]
		w.version = 1
		c.after(c.regions[w.region].local+c.begin(w)+float64(i)*tie, event{Kind: finished, Who: i})
	}
	for c.trained < c.Steps && c.goOn(ctx) {
		e := c.next()
		c.tally.Events++
		switch e.Kind {
		case finished:
			w := &c.workers[e.Who]
			c.delta(w)
			c.after(c.regions[w.region].local+c.begin(w)+float64(e.Who)*tie, event{Kind: finished, Who: e.Who})
		case arrived:
			r := &c.regions[e.Who]
			c.trained += r.flight
			c.crossing(e.Who, c.Cost.Down)
			c.after(r.down, event{Kind: answered, Who: e.Who})
		case answered:
			c.merge(e.Who)
		}
	}
}

// delta is a worker's at its LPS.
func (c *clock) delta(w *pace) {
	r := &c.regions[w.region]
	c.tally.applied(r.version - w.version)
	if r.flying && c.InFlight == roles.Paper {
		c.tally.Unshipped++
	}
	r.version++
	r.updates++
	r.steps += uint64(w.steps)
	w.version = r.version
	c.push(w.region)
}

func (c *clock) push(region int) {
	r := &c.regions[region]
	if r.flying || r.updates < uint64(c.K) {
		return
	}
	r.flying, r.flight, r.steps = true, r.steps, 0
	if c.InFlight == roles.Carry {
		r.updates = 0
	}
	c.crossing(region, c.Cost.Up)
	c.after(r.up, event{Kind: arrived, Who: region})
}

// merge is the GPS's answer at an LPS.
func (c *clock) merge(region int) {
	r := &c.regions[region]
	r.flying = false
	r.version++
	if c.InFlight == roles.Paper {
		r.updates = 0
	}
	c.push(region)
}

// crossing counts bytes between a region and the GPS's.
func (c *clock) crossing(region int, bytes float64) {
	if region != 0 {
		c.tally.WAN += bytes
	}
}

func (c *clock) async(ctx context.Context) {
	var version uint64
	round := func(i int) float64 {
		w := &c.workers[i]
		w.version = version
		c.crossing(w.region, c.Cost.Down)
		c.crossing(w.region, c.Cost.Up)
		return c.Env.transfer(0, w.region, c.Cost.Down) + c.Env.transfer(w.region, 0, c.Cost.Up) + c.begin(w) + float64(i)*tie
	}
	for i := range c.workers {
		c.after(round(i), event{Kind: finished, Who: i})
	}
	for c.goOn(ctx) {
		e := c.next()
		c.tally.Events++
		w := &c.workers[e.Who]
		c.tally.applied(version - w.version)
		version++
		if c.trained += uint64(w.steps); c.trained >= c.Steps {
			return
		}
		c.after(round(e.Who), event{Kind: finished, Who: e.Who})
	}
}

// rounds are those of the methods in which all wait for all: each like the first.
func (c *clock) rounds() {
	slowest, steps, speed := 0.0, uint64(0), 0.0
	for _, w := range c.workers {
		slowest, steps, speed = max(slowest, w.ms), steps+uint64(w.steps), speed+w.speed
	}
	n := (c.Steps + steps - 1) / steps
	ring := c.Env.ring()
	ms, wan := slowest+ring.allReduce(c.Cost.Up), ring.wanBytes(c.Cost.Up)
	if c.Algo == Ideal {
		ms, wan = float64(steps)*c.Cost.StepMS/speed, 0
	}
	c.tally.Events, c.trained = n, n*steps
	c.tally.Updates = n * uint64(len(c.workers))
	c.tally.WAN = float64(n) * wan
	c.now = float64(n) * ms
	for _, w := range c.workers {
		c.tally.Busy += float64(n) * w.ms
	}
	if c.Algo == Ideal {
		c.tally.Busy = c.now * float64(len(c.workers))
	}
}

func (c *clock) result() Result {
	busy := c.tally.Busy
	for _, w := range c.workers {
		busy -= max(0, w.until-c.now)
	}
	return c.tally.result(c.Algo, c.now, busy, len(c.workers), c.trained)
}
