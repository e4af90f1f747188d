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
// the region's are not handed out, and not accepted, any more.
func (l *LPS) welcomed(ev Welcome) []Action {
	acts := l.out.welcomed(ev)
	l.ledger.free = intersect(l.ledger.free, ev.Leases)
	for _, name := range slices.Sorted(maps.Keys(l.ledger.leased)) {
		gone := l.ledger.leased[name].Clone()
		gone.RemoveAll(ev.Leases)
		l.ledger.drop(name, gone)
	}
	l.asked, l.exhausted = false, false
	return append(acts, l.follow()...)
}

func (l *LPS) rejected(ev Reject) []Action {
	if ev.Reason == ReasonEnded {
		return l.end()
	}
	return nil // the node decides what becomes of an LPS that is not wanted
}

// marked takes the verdicts of the GPS. The samples of a push that was refused are
// the GPS's again.
func (l *LPS) marked(ev Marks) []Action {
	for _, r := range ev.Refused {
		if r.Seq == l.flight.seq && ev.Session == l.out.session {
			l.flight.refused = true
		}
	}
	return l.out.marks(ev)
}

func (l *LPS) granted(ev Grant) {
	l.ledger.free.AddAll(ev.Ranges)
	l.committed = max(l.committed, ev.Committed)
	l.exhausted = ev.Exhausted
	l.asked = ev.Exhausted // the GPS remembers the ask that it could not answer
	l.changes++
}

// ask asks the GPS for samples well before the last one is handed out.
func (l *LPS) ask() []Action {
	round := uint64(l.cfg.H * l.cfg.Batch)
	target := max(regionTasks, uint64(8*len(l.clients))) * round
	have := l.ledger.free.Len()
	if !l.out.welcome || l.asked || l.draining || l.ended || have > target/2 {
		return nil
	}
	l.asked = true
	return []Action{Ask{Client: l.out.client, Samples: target - have}}
}

// handOut gives tasks to the workers that asked, the longest waiting first.
func (l *LPS) handOut() []Action {
	if l.draining || l.ended {
		return nil
	}
	var acts []Action
	for len(l.waiting) > 0 {
		name := l.waiting[0]
		iv, ok := l.ledger.run(name, uint64(l.cfg.H*l.cfg.Batch))
		if !ok {
			break
		}
		acts = append(acts, Grant{Client: name, Tasks: []data.Task{l.task(iv)}, Committed: l.committed})
		c := l.clients[name]
		if c.asks--; c.asks == 0 {
			l.waiting = l.waiting[1:]
		}
	}
	return acts
}

// task places a run of samples on the learning-rate schedule: by its first index, or
// by what the job has committed since, if that is more.
func (l *LPS) task(iv data.Interval) data.Task {
	return data.Task{
		Samples: iv,
		Steps:   int(iv.Len()) / l.cfg.Batch,
		First:   max(iv.Start, l.committed) / uint64(l.cfg.GlobalBatch),
	}
}
