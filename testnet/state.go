package testnet

import "time"

// state is what the display shows at one moment.
type state struct {
	elapsed  time.Duration
	duration time.Duration // 0 if only the job's own end ends the run
	phase    string
	regions  []regionState
	workers  int // per region, as asked for

	firstLoss, loss float64 // validation, nats per token, NaN before the first
	version         uint64  // of the global model
	tokens          uint64
	rate            float64 // tokens per second
	blocked         float64 // share of the workers' time
	deltas          Deltas
}

// state sums up the tally for the display.
func (t *tally) state(regions []string, now time.Time) state {
	s := state{
		version: t.global,
		tokens:  t.tokens(),
		blocked: t.blockedShare(),
		deltas:  t.ledger.deltas(),
	}
	s.firstLoss, s.loss = t.validation()
	for _, name := range regions {
		r := t.region(name, now)
		s.rate += r.rate
		s.regions = append(s.regions, r)
	}
	return s
}

// regionState is one region's line of the display.
type regionState struct {
	name          string
	workers       int // that run
	steps, tokens uint64
	rate          float64 // tokens per second
	loss          float64 // nats per token over the recent rounds, NaN before the first
	version       uint64  // of the regional model
	global        uint64  // version of the global model in it
	staleMean     float64 // versions, of the recent deltas
	staleMax      uint64
	wan, lan      uint64 // bytes sent by its processes
}

// region sums up the processes of a region.
func (t *tally) region(name string, now time.Time) regionState {
	s := regionState{name: name}
	var losses, weights, stale float64
	var decided int
	for _, j := range t.journals {
		if j.region != name {
			continue
		}
		if j.has("worker") && !j.ended {
			s.workers++
		}
		s.steps += j.steps
		s.tokens += j.tokens
		s.rate += j.rate(now)
		for _, r := range j.rounds {
			if r.loss > 0 {
				losses += r.loss * float64(r.tokens)
				weights += float64(r.tokens)
			}
		}
		s.version = max(s.version, j.version)
		s.global = max(s.global, j.merged)
		for _, v := range j.staleness {
			stale += float64(v)
			s.staleMax = max(s.staleMax, v)
		}
		decided += len(j.staleness)
		s.wan += j.sent().wan
		s.lan += j.sent().lan
	}
	s.loss = losses / weights // 0/0 is NaN
	s.staleMean = stale / float64(max(1, decided))
	return s
}
