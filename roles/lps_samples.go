package roles

import (
	"maps"
	"slices"

	"halos/data"
)

// holdings are all the samples the region answers for, but those of the outbox.
func (l *LPS) holdings() data.Intervals {
	held := l.ledger.free.Clone()
	for _, set := range l.ledger.leased {
		held.AddAll(set)
	}
	held.AddAll(l.done.samples)
	return held
}

// welcomed takes the answer to the hello. Samples that the GPS no longer counts as
// the region's are not handed out, and not accepted, any more; those that only the
// GPS counts as the region's are there to be handed out.
func (l *LPS) welcomed(ev Welcome) []Action {
	acts := l.out.welcomed(ev)
	l.ledger.free = intersect(l.ledger.free, ev.Leases)
	for _, name := range slices.Sorted(maps.Keys(l.ledger.leased)) {
		gone := l.ledger.leased[name].Clone()
		gone.RemoveAll(ev.Leases)
		l.ledger.drop(name, gone)
	}
	l.stock(ev.Leases)
	l.flight.refused = l.flight.refused && l.flight.seq <= ev.Decided
	l.asked, l.exhausted, l.aim = false, false, 0
	return append(acts, l.follow()...)
}

// stock adds what the GPS leases to the region to the samples to hand out, but for
// those that a worker has, or whose delta is here and waits for the next push.
func (l *LPS) stock(leased data.Intervals) {
	spare := leased.Clone()
	spare.RemoveAll(l.holdings())
	spare.RemoveAll(l.out.samples(l.out.decided))
	l.ledger.free.AddAll(spare)
}

// granted takes samples into the region. They are made durable soon, so that an LPS
// that starts again knows what its workers bring deltas of.
func (l *LPS) granted(ev Grant) {
	l.stock(ev.Ranges)
	l.committed = max(l.committed, ev.Committed)
	l.elsewhere, l.ahead = ev.Fastest, ev.Ahead
	l.filled = l.ledger.free.Len()
	l.exhausted = ev.Exhausted
	l.asked = ev.Exhausted // the GPS remembers the ask that it could not answer
	if len(ev.Ranges) > 0 {
		l.changes++
		l.snap.again = true
	}
}

// abandoned reports that the region has had no worker for long.
func (l *LPS) abandoned() bool { return l.idle >= reclaimWorker && l.quiet() }

// supply asks the GPS for samples when half of the stock is gone, or when much more is
// wanted than before, and gives them back when nobody is left to train them. Where a
// grant has brought less than was wanted, near the end of the job, half of that little
// counts: the GPS is asked a few times more, but not for each batch.
func (l *LPS) supply() []Action {
	if !l.out.welcome || l.draining || l.ended {
		return nil
	}
	if l.abandoned() {
		if len(l.ledger.free) == 0 {
			return nil
		}
		back := l.ledger.free
		l.ledger.free = nil
		return []Action{Return{Client: l.out.client, Samples: back}}
	}
	if l.asked || l.quiet() {
		return nil
	}
	target, have := l.target(), l.ledger.free.Len()
	if have > target/2 || have > l.filled/2 && target < 2*l.aim {
		return nil
	}
	l.asked, l.aim = true, target
	rate, _ := l.rates()
	return []Action{Ask{Client: l.out.client, Samples: target - have, Speed: l.fastest(""), Rate: rate, Stock: have}}
}

// target is how many samples the region wants in stock: what its workers train in
// twice stockFor, since it asks again at half of that, and tasks for all of them.
func (l *LPS) target() uint64 {
	rate, _ := l.rates()
	tasks := uint64(2*stockFor*rate) / uint64(l.cfg.H)
	return max(tasks, regionTasks, uint64(8*len(l.clients))) * uint64(l.cfg.H*l.cfg.Batch)
}

// handOut gives tasks to the workers that asked, in turns, the longest waiting first.
func (l *LPS) handOut() []Action {
	if l.draining || l.ended {
		return nil
	}
	var acts []Action
	for len(l.waiting) > 0 {
		name := l.waiting[0]
		iv, ok := l.ledger.run(name, uint64(l.steps(l.clients[name])*l.cfg.Batch), l.sure())
		if !ok {
			break
		}
		acts = append(acts, Grant{Client: name, Tasks: []data.Task{l.task(iv)}, Committed: l.committed})
		l.waiting = l.waiting[1:]
		c := l.clients[name]
		if c.asks--; c.asks > 0 {
			l.waiting = append(l.waiting, name)
		}
	}
	return acts
}

// steps is how many local steps a worker is to take in a round: H until its speed is
// known.
func (l *LPS) steps(c *client) int {
	if !l.cfg.Rescale || c.speed == 0 {
		return l.cfg.H
	}
	return LocalSteps(l.cfg.H, c.speed, max(l.fastest(""), l.elsewhere))
}

// task places a run of samples on the learning-rate schedule: by its first index, less
// what other regions have in stock and nobody has trained, or by what the job has
// committed since, if that is more.
func (l *LPS) task(iv data.Interval) data.Task {
	return data.Task{
		Samples: iv,
		Steps:   int(iv.Len()) / l.cfg.Batch,
		First:   max(iv.Start-min(iv.Start, l.ahead), l.committed) / uint64(l.cfg.GlobalBatch),
	}
}
