package roles

import "halos/data"

// ledger knows where every sample is that a server has: free to hand out, leased to
// a client, or committed with a delta. A sample is in one place at a time.
type ledger struct {
	free      data.Intervals
	leased    map[string]data.Intervals
	committed data.Intervals
	handed    uint64 // high-water mark: no sample from it on has ever been leased
}

// run leases to client a run of at most most samples, the lowest that are free, from
// one on.
func (l *ledger) run(client string, most, from uint64) (data.Interval, bool) {
	for _, iv := range l.free {
		if iv.End <= from {
			continue
		}
		iv.Start = max(iv.Start, from)
		iv.End = min(iv.End, iv.Start+most)
		l.free.Remove(iv)
		l.lease(client, data.Intervals{iv})
		return iv, true
	}
	return data.Interval{}, false
}

// take leases to client the lowest n free samples, fewer if fewer are free.
func (l *ledger) take(client string, n uint64) data.Intervals {
	got := l.free.Take(n)
	l.lease(client, got)
	return got
}

func (l *ledger) lease(client string, set data.Intervals) {
	if len(set) == 0 {
		return
	}
	l.handed = max(l.handed, set[len(set)-1].End)
	held := l.leased[client]
	held.AddAll(set)
	if l.leased == nil {
		l.leased = map[string]data.Intervals{}
	}
	l.leased[client] = held
}

// holds reports whether every sample of set is leased to client.
func (l *ledger) holds(client string, set data.Intervals) bool {
	held := l.leased[client]
	for _, iv := range set {
		if !held.Contains(iv) {
			return false
		}
	}
	return true
}

// commit moves set, which client holds, from its lease to the committed samples.
func (l *ledger) commit(client string, set data.Intervals) {
	l.drop(client, set)
	l.committed.AddAll(set)
}

// reclaim takes set back from client; samples it does not hold stay where they are.
func (l *ledger) reclaim(client string, set data.Intervals) {
	back := intersect(l.leased[client], set)
	l.drop(client, back)
	l.free.AddAll(back)
}

// reconcile makes client's lease what it says it holds: what a lost grant gave is
// free again, and what it holds of the free samples (a grant that an older snapshot
// does not know) is leased to it.
func (l *ledger) reconcile(client string, held data.Intervals) {
	stray := l.leased[client].Clone()
	stray.RemoveAll(held)
	l.reclaim(client, stray)
	unknown := intersect(l.free, held)
	l.free.RemoveAll(unknown)
	l.lease(client, unknown)
}

func (l *ledger) drop(client string, set data.Intervals) {
	held := l.leased[client]
	held.RemoveAll(set)
	if len(held) == 0 {
		delete(l.leased, client)
		return
	}
	l.leased[client] = held
}

// outstanding counts the leased samples.
func (l *ledger) outstanding() uint64 {
	var n uint64
	for _, held := range l.leased {
		n += held.Len()
	}
	return n
}

// intersect returns the samples that are in both sets.
func intersect(a, b data.Intervals) data.Intervals {
	var both data.Intervals
	for i, j := 0, 0; i < len(a) && j < len(b); {
		iv := data.Interval{Start: max(a[i].Start, b[j].Start), End: min(a[i].End, b[j].End)}
		if iv.Start < iv.End {
			both = append(both, iv)
		}
		if a[i].End < b[j].End {
			i++
		} else {
			j++
		}
	}
	return both
}

// whole reports that set is well formed and cuts no batch in two. Sets that a peer
// names must be, or a ledger would be left with crumbs that make no local step.
func whole(set data.Intervals, batch int) bool {
	for _, iv := range set {
		if iv.Start%uint64(batch) != 0 || iv.End%uint64(batch) != 0 {
			return false
		}
	}
	return set.Validate() == nil
}
