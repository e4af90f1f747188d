package bulk

import (
	"slices"
	"testing"
	"time"
)

// FuzzReceiver lets a peer say anything in any order: the receiver keeps its
// counts and budgets, and hands out only what was announced.
func FuzzReceiver(f *testing.F) {
	f.Add([]byte{0, 1, 4, 1, 1, 0, 1, 1, 1, 1, 1, 2, 2, 9, 3, 0, 0, 1, 4})
	f.Add([]byte{0, 9, 40, 16, 9, 1, 3, 2, 0, 9, 40, 2, 255, 2, 255, 4, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		c := testConfig
		c.SlotBudget = 2 * c.MaxFrame
		r, now := newReceiver(c, testChunk), start
		var lent []Slot
		for len(ops) >= 3 {
			op, x, y := ops[0], ops[1], int(ops[2])
			ops = ops[3:]
			name := string('a' + rune(op>>4&3))
			body := frame(name, int(x), 1+9*int(x))
			switch op & 7 {
			case 0:
				_ = r.Announce(name, announce(uint64(op>>6), uint64(x), body), now)
				if y&1 != 0 {
					_ = r.Seal(name, sealOf(uint64(op>>6), uint64(x), body), now)
				}
			case 1, 2, 3:
				_ = r.Chunk(name, message(uint64(op>>6), uint64(x), y%((len(body)+testChunk-1)/testChunk), body), now)
			case 4:
				_ = r.Chunk(name, append(ops[:len(ops):len(ops)], x), now)
			case 5:
				r.Drop(name)
			case 6:
				now = now.Add(time.Duration(x) * 100 * time.Millisecond)
				r.Tick(now)
			case 7:
				if len(lent) > 0 {
					if err := r.Release(lent[0]); err != nil {
						t.Fatal(err)
					}
					lent = lent[1:]
				}
			}
			if y&2 != 0 {
				r.Work()
			}
			r.Events()
			for _, a := range takeAll(r) {
				if len(a.held()) > c.MaxFrame || slices.Contains(lent, a.Slot) {
					t.Fatalf("frame of %d bytes, or lent already", len(a.held()))
				}
				lent = append(lent, a.Slot)
			}
			if err := r.audit(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
