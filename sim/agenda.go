package sim

import "halos/roles"

// event is an appointment: what happens at an instant of virtual time.
type event struct {
	At    float64 // ms
	Order uint64  // of making it: the earlier of two at the same instant comes first
	Kind  kind
	Who   int          // worker, region or process
	Delta *roles.Delta // of arrived
	Model *roles.Model // of answered

	Life    uint64      // under faults: of the process or the connection that it belongs to
	Message roles.Event // of upward, downward and written
}

type kind uint8

const (
	finished kind = iota // worker Who's delta is at its server
	arrived              // region Who's push is at the GPS
	answered             // the GPS's answer is at region Who
	round                // all workers' deltas have been averaged

	// Under faults, where Who is a process.
	ticked   // its clock has
	upward   // a message of its is at its server
	downward // a message of its server's is there
	dialled  // it tries to reach its server
	written  // its snapshot is on disk
	started  // it begins, again
	killed   // one of all is
)

// agenda is the clock: events in order of time, kept as a binary heap.
type agenda struct {
	now   float64 // ms
	made  uint64  // events so far
	queue []event
}

// before is a total order: no two events have the same Order.
func (e *event) before(f *event) bool { return e.At < f.At || e.At == f.At && e.Order < f.Order }

// after appoints an event some ms from now.
func (a *agenda) after(ms float64, e event) {
	a.made++
	e.At, e.Order = a.now+ms, a.made
	a.queue = append(a.queue, e)
	q, i := a.queue, len(a.queue)-1
	for ; i > 0 && e.before(&q[(i-1)/2]); i = (i - 1) / 2 {
		q[i] = q[(i-1)/2]
	}
	q[i] = e
}

// next takes the next event off and moves the clock to it.
func (a *agenda) next() event {
	first, end := a.queue[0], len(a.queue)-1
	last := a.queue[end]
	a.queue[end] = event{}
	a.queue = a.queue[:end]
	if end > 0 {
		a.sink(last)
	}
	a.now = first.At
	return first
}

// sink puts e at the root, whose event is gone, and down to where it belongs.
func (a *agenda) sink(e event) {
	q, i := a.queue, 0
	for {
		child := 2*i + 1
		if child+1 < len(q) && q[child+1].before(&q[child]) {
			child++
		}
		if child >= len(q) || !q[child].before(&e) {
			q[i] = e
			return
		}
		q[i] = q[child]
		i = child
	}
}
