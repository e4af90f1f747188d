package tensor

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// parts is a task by a function.
type parts func(i int)

func (f parts) Part(i int) { f(i) }

// once fails unless each part of a task is done exactly once. The counts are not
// atomic: the race detector sees what reads them before a part is over.
func once(t *testing.T, p *Pool, n int) {
	t.Helper()
	done := make([]int, n)
	p.Run(n, parts(func(i int) { done[i]++ }))
	for i, times := range done {
		if times != 1 {
			t.Errorf("%d threads: part %d of %d was done %d times", p.Threads(), i, n, times)
		}
	}
}

func TestPoolDoesEachPartOnce(t *testing.T) {
	once(t, nil, 5)
	for threads := range 9 {
		p := NewPool(threads)
		if want := max(1, threads); p.Threads() != want {
			t.Errorf("%d threads, want %d", p.Threads(), want)
		}
		for n := range 40 {
			once(t, p, n)
		}
		for range 200 {
			once(t, p, 3)
		}
		once(t, p, 10_000)
		p.Close()
	}
}

func TestPoolRunsTasksWithinTasks(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	var sum atomic.Int64
	p.Run(20, parts(func(i int) {
		p.Run(10, parts(func(j int) { sum.Add(int64(10*i + j)) }))
		a, c := Dense(random(80*80, 1), 80, 80), Dense(make([]float32, 80*80), 80, 80)
		p.Gemm(c, a, a)
	}))
	if want := int64(199 * 200 / 2); sum.Load() != want {
		t.Errorf("sum %d, want %d", sum.Load(), want)
	}
}

func TestPoolServesManyCallers(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	a := Dense(random(70*70, 1), 70, 70)
	want := Dense(make([]float32, 70*70), 70, 70)
	single.Gemm(want, a, a)
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			got := Dense(make([]float32, 70*70), 70, 70)
			for n := range 100 {
				once(t, p, n)
				p.Gemm(got, a, a)
			}
			for i, v := range got.Data {
				if v != want.Data[i] {
					t.Errorf("element %d is %v, want %v", i, v, want.Data[i])
					return
				}
			}
		})
	}
	callers.Wait()
}

// asleep waits until all threads but the caller's sleep.
func (p *Pool) asleep() {
	for p.sleeping.Load() < int64(p.threads-1) {
		runtime.Gosched()
	}
}

func TestPoolWakesAllThatAreNeeded(t *testing.T) {
	for threads := 2; threads <= 8; threads++ {
		t.Run(fmt.Sprint(threads), func(t *testing.T) {
			p := NewPool(threads)
			defer p.Close()
			for _, n := range []int{threads, 2, threads, max(2, threads-1), threads} {
				p.asleep()
				var here atomic.Int64
				p.Run(n, parts(func(int) { // ends only if another thread does each part
					for here.Add(1); here.Load() < int64(n); {
						runtime.Gosched()
					}
				}))
			}
		})
	}
}

func TestPoolWorksOnAfterClose(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, sleep := range []bool{false, true} {
		p := NewPool(4)
		once(t, p, 9)
		if sleep {
			p.asleep()
		}
		p.Close()
		p.Close()
		once(t, p, 9)
	}
	var none *Pool
	none.Close()
	for runtime.NumGoroutine() > before { // a goroutine is counted until a moment after its end
		runtime.Gosched()
	}
}

func TestPoolClosesWhileItIsAtWork(t *testing.T) {
	for range 50 {
		p := NewPool(3)
		var callers sync.WaitGroup
		for range 2 {
			callers.Go(func() {
				for range 50 {
					once(t, p, 7)
				}
			})
		}
		p.Close()
		callers.Wait()
	}
}

func TestPoolAllocatesNothing(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	var task Task = parts(func(int) {})
	if n := testing.AllocsPerRun(100, func() { p.Run(8, task) }); n != 0 {
		t.Errorf("%v allocations per run", n)
	}
}
