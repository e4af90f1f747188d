package wan

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

func TestQueueAgainstAList(t *testing.T) {
	type record struct {
		at     time.Duration
		packet []byte
	}
	r := rand.New(rand.NewPCG(3, 4))
	var q queue
	var list []record
	for i := range 50_000 {
		if grow := i/1000%2 == 0; grow && r.IntN(3) > 0 || r.IntN(3) == 0 {
			packet := make([]byte, r.IntN(1<<r.IntN(17)))
			for k := range packet {
				packet[k] = byte(r.Uint32())
			}
			q.put(time.Duration(i), packet)
			list = append(list, record{time.Duration(i), packet})
		}
		at, packet, ok := q.peek()
		if ok != (len(list) > 0) || ok && (at != list[0].at || !bytes.Equal(packet, list[0].packet)) {
			t.Fatalf("step %d: %d bytes at %v, %t, want the oldest of %d", i, len(packet), at, ok, len(list))
		}
		if ok && r.IntN(2) == 0 {
			q.drop()
			list = list[1:]
		}
	}
	held := 0
	for _, l := range list {
		held += len(l.packet)
	}
	if q.held != held {
		t.Errorf("holds %d bytes, want %d", q.held, held)
	}
}

func TestQueueReusesItsMemory(t *testing.T) {
	var q queue
	packet := make([]byte, 60_000)
	fill := func() {
		for range 50 {
			q.put(0, packet)
		}
		for range 50 {
			q.drop()
		}
	}
	fill()
	if n := testing.AllocsPerRun(100, fill); n != 0 {
		t.Errorf("%v allocations to hold what it has held before", n)
	}
}
