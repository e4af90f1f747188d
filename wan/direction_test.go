package wan

import (
	"testing"
	"testing/synctest"
	"time"
)

func testFrame() []byte { return frameTo([4]byte{10, 77, 2, 1}, 0, 1500, 0, 0) }

func fixed(now time.Duration) func() time.Duration {
	return func() time.Duration { return now }
}

func TestDirectionDeliversWhenDue(t *testing.T) {
	d := newDirection(newPath(t, "12mbit/80ms"))
	d.put(0, testFrame())
	if frame, wait, ok := d.next(fixed(30 * ms)); frame != nil || wait != 11*ms || !ok {
		t.Errorf("too early: %d bytes, wait %v, %t", len(frame), wait, ok)
	}
	if frame, wait, ok := d.next(fixed(41 * ms)); len(frame) != virtioHead+1500 || wait != 0 || !ok {
		t.Errorf("on time: %d bytes, wait %v, %t", len(frame), wait, ok)
	}
	d.done()
	if got, want := d.counted(), (Count{Packets: 1, Bytes: 1500}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

// A cut drops what is on its way, what comes, and nothing once it is mended.
func TestDirectionCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirection(newPath(t, "12mbit/80ms"))
		d.put(0, testFrame())
		d.setCut(true)
		d.put(ms, testFrame())
		got := make(chan int)
		go func() {
			frame, _, _ := d.next(fixed(time.Second))
			got <- len(frame)
		}()
		synctest.Wait()
		if c, want := d.counted(), (Count{Cut: 2}); c != want {
			t.Errorf("counted %+v, want %+v", c, want)
		}
		d.setCut(false)
		d.put(2*ms, testFrame())
		if n := <-got; n != virtioHead+1500 {
			t.Errorf("got a frame of %d bytes after the link was mended", n)
		}
	})
}

func TestDirectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirection(newPath(t, "0/0"))
		ended := make(chan bool)
		go func() {
			_, _, ok := d.next(fixed(0))
			ended <- !ok
		}()
		synctest.Wait()
		d.close()
		if !<-ended {
			t.Error("next went on after the end")
		}
	})
}

func TestDirectionCountsSegments(t *testing.T) {
	d := newDirection(newPath(t, "12mbit/0/0%/64KiB"))
	whole := frameTo([4]byte{10, 77, 2, 1}, 1, 52+20*1448, 52, 1448)
	for range 3 {
		d.put(0, whole)
	}
	for range 2 {
		if _, _, ok := d.next(fixed(time.Second)); !ok {
			t.Fatal("no frame")
		}
		d.done()
	}
	if got, want := d.counted(), (Count{Packets: 40, Bytes: 60_000, Dropped: 20}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

func TestDirectionAllocatesNothing(t *testing.T) {
	d := newDirection(newPath(t, "0/0/1%"))
	frame, now := testFrame(), fixed(time.Second)
	if n := testing.AllocsPerRun(1000, func() {
		for range 10 {
			d.put(0, frame)
		}
		for d.frames.held > 0 {
			if _, _, ok := d.next(now); ok {
				d.done()
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations for ten packets", n)
	}
}
