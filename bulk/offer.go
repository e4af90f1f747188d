package bulk

import "io"

// Source is the bytes of a frame, which may still be growing.
type Source interface {
	io.ReaderAt
	Len() int                        // bytes that can be read, from the start; never shrinks
	Sum() (sum [32]byte, whole bool) // wire.FrameSum of its chunks, once the frame is whole
	Close() error                    // the sender needs it no more
}

// offered is a frame on its way out. Chunks below upto have credit; those in due
// are to be published, with round and attempt in their header.
type offered struct {
	seq, id   uint64
	bytes     int
	src       Source
	count     int  // of chunks
	announced bool // on this connection
	due       set
	upto      int
	round     uint16
	attempt   uint16

	left      []departure // [count] the last publication of each chunk
	sent      set         // published on this connection and not lost, or held already
	flown     int         // size of sent
	held      int         // chunks that the receiver has acknowledged
	published int         // chunks, repairs too, since it was announced
	users     int         // goroutines that read src
	gone      bool        // forgotten: the last of them closes it
}

// renew takes back what has been published of o, as if it were new.
func (o *offered) renew() {
	o.due.fill(o.count)
	clear(o.sent)
	clear(o.left)
	o.upto, o.flown, o.held, o.attempt, o.published = 0, 0, 0, 0, 0
	o.round++
}

// depart takes chunk i out of what is due.
func (o *offered) depart(i int, d departure) {
	o.due.remove(i)
	o.left[i] = d
	o.published++
	if !o.sent.has(i) {
		o.sent.add(i)
		o.flown++
	}
}

// lacks takes the receiver's word on chunk i.
func (o *offered) lacks(i int, lacking bool) {
	switch has := o.sent.has(i); {
	case lacking:
		o.due.add(i)
		if has {
			o.sent.remove(i)
			o.flown--
		}
	default:
		o.due.remove(i)
		if !has { // over an earlier connection
			o.sent.add(i)
			o.flown++
		}
	}
}

// leave ends the use of the source of o, which is on offer no more.
func (o *offered) leave() {
	o.gone = true
	if o.users == 0 {
		_ = o.src.Close() // what was read from it is sent, nothing was written
	}
}
