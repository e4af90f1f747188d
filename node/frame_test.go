package node

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"halos/bulk"
	"halos/codec"
	"halos/roles"
	"halos/spool"
)

// A server says "decided" while the client still encodes: the room goes back to the pool and is handed out again.
func TestForgetWhileEncoding(t *testing.T) {
	n := &Node{spool: &spool.Dir{}, log: slog.New(slog.DiscardHandler)}
	const elements = 1 << 20
	size := codec.F32.EncodedLen(elements)
	s := bulk.NewSender()
	f := n.newFrame(size)
	f.tell(s)
	s.Offer(1, 1, f.id, size, f.hold(), time.Now()) // as serverConn.offer does
	if err := f.grow(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	s.Forget(1, 1<<62) // serverConn.read on Marks{Decided: 1<<62}

	g := n.newFrame(size) // of a model for the region, or a slot of a receiver
	ones := bytes.Repeat([]byte{1}, size)
	if err := g.grow(ones); err != nil {
		t.Fatal(err)
	}
	if err := f.grow(bytes.Repeat([]byte{2}, 1<<20)); err != nil { // fill goes on
		t.Fatal(err)
	}
	got := make([]byte, size)
	if _, err := g.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, ones) {
		t.Error("the other frame has been written into")
	}
}

// A model stream whose writer has ended still gets frames, which nobody closes.
func TestOfferToADeadStream(t *testing.T) {
	n := &Node{spool: &spool.Dir{}, log: slog.New(slog.DiscardHandler)}
	f := &modelFrame{frame: n.newFrame(100)}
	m := &modelStream{n: n, frames: make(chan addressed, 1)}
	m.end()
	m.offer(f, roles.Model{})
	f.close() // the newest is replaced
	if r := f.refs.Load(); r != 0 {
		t.Errorf("%d references are left for ever", r)
	}
}
