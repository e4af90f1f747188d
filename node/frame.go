package node

import (
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"halos/bulk"
	"halos/codec"
	"halos/roles"
	"halos/spool"
	"halos/wire"
)

const (
	// spoolAbove is the length up to which a frame is kept in memory, bytes.
	spoolAbove = 64 << 20
	// modelCodec is the form in which models travel.
	modelCodec = codec.F32
	// framePiece is how many elements are encoded or decoded at a time: a multiple of every codec's block.
	framePiece = 64 << 10
)

// frame is what this node sends: encoded piece by piece while it travels already, and read by every Sender
// that has it on offer.
type frame struct {
	*spool.Growing
	id     uint64 // drawn at random
	refs   atomic.Int32
	failed atomic.Bool // it will never be whole: the disk did not take it

	mu      sync.Mutex
	senders []*bulk.Sender // to be told that it has grown
}

// newFrame makes room for a frame. Where the disk has none it is kept in memory, which holds its vector
// anyway. The caller holds it until Close.
func (n *Node) newFrame(size int) *frame {
	room, err := n.spool.New(size)
	if err != nil {
		n.log.Warn("a frame is kept in memory", "bytes", size, "err", err)
		room, _ = new(spool.Dir).New(size) // memory does not refuse
	}
	f := &frame{Growing: spool.Grow(room), id: max(1, rand.Uint64())}
	f.refs.Store(1)
	return f
}

// hold keeps the frame for one more user, each of whom closes it.
func (f *frame) hold() *frame {
	f.refs.Add(1)
	return f
}

// Close ends one user's hold. The last gives the room back, unless the room is to blame.
func (f *frame) Close() error {
	switch {
	case f.refs.Add(-1) > 0:
		return nil
	case f.failed.Load():
		return f.Discard()
	}
	return f.Growing.Close()
}

// close is Close where nobody is left whom a fault of it concerns: nothing was written for good.
func (f *frame) close() { _ = f.Close() }

// tell has s told when the frame grows.
func (f *frame) tell(s *bulk.Sender) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.senders = append(f.senders, s)
}

// leave ends that.
func (f *frame) leave(s *bulk.Sender) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.senders = slices.DeleteFunc(f.senders, func(other *bulk.Sender) bool { return other == s })
}

// fill writes head, and behind it the values as id encodes them. Where that fails the frame is of no use to
// anybody, and all that send it are told.
func (f *frame) fill(head []byte, id codec.ID, values []float32) error {
	err := f.write(head, id, values)
	if err != nil {
		f.failed.Store(true)
		f.wake()
	}
	return err
}

func (f *frame) write(head []byte, id codec.ID, values []float32) error {
	if len(head) > 0 {
		if err := f.grow(head); err != nil {
			return err
		}
	}
	for at := 0; at < len(values); at += framePiece {
		part := values[at:min(at+framePiece, len(values))]
		if err := f.grow(id.Append(f.Reserve(id.EncodedLen(len(part)))[:0], part)); err != nil {
			return err
		}
	}
	return nil
}

// grow appends b and says so.
func (f *frame) grow(b []byte) error {
	err := f.Append(b)
	f.wake()
	return err
}

// wake has all senders look at the frame again.
func (f *frame) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.senders {
		s.Grown()
	}
}

// deltaHead is what goes in front of a delta's values, and the length of the whole frame. The loss of a
// delta that diverged is not finite, which no frame may say; its values tell.
func (n *Node) deltaHead(t tier, d roles.Delta) (head []byte, size int, err error) {
	c := n.codec[t]
	loss := d.Loss
	if loss != loss || loss > maxLoss {
		loss = maxLoss
	}
	w := wire.Delta{
		Codec: uint8(c), Steps: uint32(d.Steps), Tokens: d.Samples.Len() * uint64(n.job.Context()),
		BaseTerm: d.Base.Term.Counter, BaseVersion: d.Base.Version, Elements: uint64(len(d.Values)), Loss: loss,
	}
	for _, iv := range d.Samples {
		w.Ranges = append(w.Ranges, wire.Interval{Start: iv.Start, End: iv.End})
	}
	head, err = w.AppendBinary(nil)
	return head, len(head) + c.EncodedLen(len(d.Values)), err
}

// readVector decodes dst from what comes next of a frame.
func readVector(dst []float32, id codec.ID, from io.Reader) error {
	piece := make([]byte, id.EncodedLen(min(len(dst), framePiece)))
	for at := 0; at < len(dst); at += framePiece {
		part := dst[at:min(at+framePiece, len(dst))]
		b := piece[:id.EncodedLen(len(part))]
		if _, err := io.ReadFull(from, b); err != nil {
			return err
		}
		if err := id.Decode(part, b); err != nil {
			return err
		}
	}
	return nil
}

// slots makes the receivers' room.
func (n *Node) slots(bytes int) (bulk.Slot, error) {
	f, err := n.spool.New(bytes)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// release gives back the room of a frame that a receiver has handed out.
func (n *Node) release(rx *bulk.Receiver, a bulk.Arrival) {
	if err := rx.Release(a.Slot); err != nil {
		n.log.Debug("a slot was not closed well", "err", err)
	}
}

// end gives up what a receiver holds, once nobody works for it any more.
func (n *Node) end(rx *bulk.Receiver) {
	if err := rx.Close(); err != nil {
		n.log.Debug("slots were not closed well", "err", err)
	}
}

// intake is the bounds of a receiver of frames of at most so many bytes.
func (n *Node) intake(maxFrame int) bulk.Config {
	c := bulk.Config{
		MaxFrame: maxFrame, SlotBudget: slotBudget, ChunkBudget: chunkBudget,
		RepairAfter: repairAfter, GiveUpAfter: giveUpAfter, Open: n.slots,
	}
	if maxFrame > spoolAbove {
		c.SlotBudget = diskSlots * maxFrame
	}
	return c
}
