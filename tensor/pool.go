package tensor

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Task is work in parts that may be done at the same time and in any order.
type Task interface {
	Part(i int)
}

// Pool is a fixed number of threads, the caller's among them, that do one task at a
// time. Which thread does which part is left to chance, so a task whose parts do not
// add to each other's results gives the same bits with any number of threads.
//
// A nil Pool works: the caller does everything. So it is for a call made while the
// pool is at another, from a part of a task for example.
type Pool struct {
	threads int
	busy    sync.Mutex // held by the call that the threads work for

	task   Task
	parts  int64         // of the task
	gate   atomic.Uint64 // odd: open, threads may enter; one more at each turn
	inside atomic.Int64  // threads that did enter, or are about to find the gate shut
	next   atomic.Int64  // part

	wake     chan struct{} // one for each thread that is asleep and needed
	sleeping atomic.Int64
	ended    atomic.Bool
	done     sync.WaitGroup

	product product // the task of Gemm, kept here so that it costs no allocation
}

// spins is how often an idle thread looks at the gate before it sleeps, some 50 µs:
// longer than what lies between the tasks of a training step.
const spins = 20_000

// NewPool returns a pool of the given number of threads, at least one. Close ends
// them.
func NewPool(threads int) *Pool {
	p := &Pool{threads: max(1, threads), wake: make(chan struct{}, max(1, threads))}
	for range p.threads - 1 {
		p.done.Go(p.serve)
	}
	return p
}

// Threads returns how many parts of a task are done at once at most.
func (p *Pool) Threads() int {
	if p == nil {
		return 1
	}
	return p.threads
}

// Close ends the threads, when a task is under way after that. The pool works on as
// a nil one does.
func (p *Pool) Close() {
	if p == nil {
		return
	}
	p.busy.Lock()
	defer p.busy.Unlock()
	if p.ended.Swap(true) {
		return
	}
	close(p.wake)
	p.done.Wait()
}

// Run does parts 0..parts-1 of the task and returns when all are done.
func (p *Pool) Run(parts int, task Task) {
	if parts < 2 || !p.enter() {
		for i := range parts {
			task.Part(i)
		}
		return
	}
	p.run(parts, task)
	p.busy.Unlock()
}

// enter takes the pool if it has more than one thread and is not at work.
func (p *Pool) enter() bool {
	if p == nil || p.threads == 1 || !p.busy.TryLock() {
		return false
	}
	if p.ended.Load() {
		p.busy.Unlock()
		return false
	}
	return true
}

// run is Run for who has entered.
func (p *Pool) run(parts int, task Task) {
	p.task, p.parts = task, int64(parts)
	p.next.Store(0)
	p.gate.Add(1)
	for range min(p.sleeping.Load(), int64(parts-1)) {
		select {
		case p.wake <- struct{}{}:
		default: // they are on their way
		}
	}
	p.work()
	p.gate.Add(1)
	for n := 1; p.inside.Load() > 0; n++ {
		if n%1024 == 0 {
			runtime.Gosched() // for a thread that has lost its processor
		}
	}
	p.task = nil
}

// work does parts until none is left.
func (p *Pool) work() {
	for i := p.next.Add(1); i <= p.parts; i = p.next.Add(1) {
		p.task.Part(int(i - 1))
	}
}

// serve is a thread other than the caller's.
func (p *Pool) serve() {
	var seen uint64 // the gate when this thread was through with a task
	news := func() bool { g := p.gate.Load(); return g != seen && g%2 == 1 }
	for !p.ended.Load() {
		for n := 0; n < spins && !news(); n++ {
		}
		if !news() {
			p.sleeping.Add(1)
			if !news() { // else the opening may have missed us asleep
				<-p.wake
			}
			p.sleeping.Add(-1)
			continue
		}
		seen = p.visit()
	}
}

// visit works on the task if the gate is open and returns the gate as it was. It
// counts itself inside before it looks: the caller shuts the gate before it counts,
// so it never leaves while a thread works on its task.
func (p *Pool) visit() uint64 {
	p.inside.Add(1)
	defer p.inside.Add(-1)
	gate := p.gate.Load()
	if gate%2 == 1 {
		p.work()
	}
	return gate
}
