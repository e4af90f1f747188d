package wan

import (
	"sync"
	"time"
)

// Count is what one direction of a link has done since it was made. Packets are those
// on the link, of at most the MTU, and their bytes with the headers from IP on.
type Count struct {
	Packets uint64 // that have arrived
	Bytes   uint64
	Lost    uint64 // packets, by chance
	Dropped uint64 // packets that found no room in the queue
	Cut     uint64 // packets that met a cut link
}

// direction is one way of the link between two regions. One goroutine puts frames in,
// one takes them out.
type direction struct {
	mu     sync.Mutex
	some   sync.Cond // on mu: there is a frame, or the end
	path   path
	frames queue
	cut    bool
	closed bool
	count  Count
}

func newDirection(p path) *direction {
	d := &direction{path: p}
	d.some.L = &d.mu
	return d
}

// put lets in a copy of a frame that comes at now.
func (d *direction) put(now time.Duration, frame []byte) {
	packets, size := onWire(frame)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cut {
		d.count.Cut += uint64(packets)
		return
	}
	at, fate := d.path.pass(now, size, d.frames.held)
	switch fate {
	case lost:
		d.count.Lost += uint64(packets)
	case dropped:
		d.count.Dropped += uint64(packets)
	case carried:
		d.frames.put(at, frame)
		d.some.Signal()
	}
}

// next waits until a frame is inside and returns it if it has arrived at now, which
// is asked then, and else how long it needs. The frame is valid until done. False is
// the end.
func (d *direction) next(now func() time.Duration) (frame []byte, wait time.Duration, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		at, frame, some := d.frames.peek()
		switch {
		case d.closed:
			return nil, 0, false
		case !some:
			d.some.Wait()
		case d.cut: // while it was on the way
			packets, _ := onWire(frame)
			d.count.Cut += uint64(packets)
			d.frames.drop()
		default:
			if wait := at - now(); wait > 0 {
				return nil, wait, true
			}
			return frame, 0, true
		}
	}
}

// done forgets the frame that next returned, which has been handed over.
func (d *direction) done() {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, frame, _ := d.frames.peek()
	packets, size := onWire(frame)
	d.count.Packets += uint64(packets)
	d.count.Bytes += uint64(size)
	d.frames.drop()
}

// setCut makes d drop everything, or carry again what comes from now on.
func (d *direction) setCut(cut bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cut = cut
}

// counted is what d has done so far.
func (d *direction) counted() Count {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// close ends next.
func (d *direction) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.some.Signal()
}
