package node

import (
	"runtime/debug"
	"testing"
)

// Who has set GOGC is left alone.
func TestGOGCIsTheUsers(t *testing.T) {
	for _, percent := range []int{-1, 50} {
		before := debug.SetGCPercent(percent)
		boundHeap(t.Context()) // it returns at once
		if got := debug.SetGCPercent(before); got != percent {
			t.Errorf("GOGC=%d became %d", percent, got)
		}
	}
}

func TestCollectAt(t *testing.T) {
	for _, tc := range []struct {
		live uint64
		want int
	}{{0, defaultGC}, {heapHeadroom / 2, defaultGC}, {heapHeadroom * 2, 50}, {heapHeadroom * 20, 5}, {1 << 40, leastGC}} {
		if got := collectAt(tc.live); got != tc.want {
			t.Errorf("%d bytes in use: got %d %%, want %d %%", tc.live, got, tc.want)
		}
	}
}
