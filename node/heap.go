package node

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// heapHeadroom is how much garbage the collector may let pile up, bytes. Its default is as much as is in
	// use, and a server's vectors are in use: chunks that have come and gone would take a model's length.
	heapHeadroom = 64 << 20
	// heapEvery is how often it is told so.
	heapEvery = time.Second
	// leastGC and defaultGC bound what it is told, in percent of the memory in use. Vectors hold no pointers,
	// so to pass over them often costs little.
	leastGC, defaultGC = 3, 100
)

// boundHeap keeps the heap's garbage within heapHeadroom until ctx ends.
func boundHeap(ctx context.Context) {
	before := debug.SetGCPercent(defaultGC)
	defer debug.SetGCPercent(before)
	if before != defaultGC {
		return // who started the process has set it: GOGC
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(heapEvery)
	defer tick.Stop()
	for last := defaultGC; ; {
		metrics.Read(live)
		if percent := collectAt(live[0].Value.Uint64()); percent != last {
			last = percent
			debug.SetGCPercent(percent)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// collectAt is by how many percent a heap in use may grow before it is collected.
func collectAt(live uint64) int {
	return int(min(max(heapHeadroom*100/max(live, 1), leastGC), defaultGC))
}
