package node

import (
	"bytes"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"halos/bulk"
	"halos/roles"
	"halos/spool"
)

// framer is a node that can make frames, those of more than a byte on disk.
func framer(t *testing.T) *Node {
	t.Helper()
	return &Node{
		spool: &spool.Dir{Path: t.TempDir(), Above: 1}, group: &errgroup.Group{},
		log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// A frame that nobody wants any more while it is still encoded keeps its room to the end: the next one must
// not be written into.
func TestAFrameForgottenWhileItIsEncoded(t *testing.T) {
	n := framer(t)
	const size = 1 << 20
	f := n.newFrame(size)
	s := bulk.NewSender()
	s.Offer(1, 1, f.id, size, f.hold(), time.Now())
	s.Forget(1, 1)
	other := n.newFrame(size)
	want := bytes.Repeat([]byte{1}, size)
	if err := other.grow(want); err != nil {
		t.Fatal(err)
	}
	if err := f.grow(bytes.Repeat([]byte{2}, size)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	got, err := io.ReadAll(io.NewSectionReader(other, 0, size))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the other frame holds other bytes, %v", err)
	}
}

// A model whose disk fails is known to have failed, wakes who sends it, and is not offered again.
func TestAModelThatIsNotSpooled(t *testing.T) {
	n := framer(t)
	m := roles.Model{ID: roles.ModelID{Version: 3}, Params: make([]float32, 1000)}
	f := &modelFrame{frame: n.newFrame(4000), version: m.ID}
	s := bulk.NewSender()
	f.tell(s)
	if err := f.Frame.Discard(); err != nil { // the file is closed under it
		t.Fatal(err)
	}
	if err := f.fill(nil, modelCodec, m.Params); err == nil || !f.failed.Load() {
		t.Fatalf("%v, failed: %v", err, f.failed.Load())
	}
	select {
	case <-s.Ready():
	default:
		t.Error("its sender is not woken")
	}
	d := &downlink{n: n, spare: make(chan []float32, 1), newest: f}
	again := d.encoded(m)
	if err := n.group.Wait(); err != nil {
		t.Fatal(err)
	}
	if again == f || again.Len() != 4000 || d.encoded(m) != again {
		t.Errorf("the next to follow version 3 gets %d of 4000 bytes of it", again.Len())
	}
}

// What is offered to a stream that has ended, or was when it did, is given up.
func TestAnOfferToAStreamThatHasEnded(t *testing.T) {
	n := framer(t)
	m := &modelStream{n: n, frames: make(chan addressed, 1)}
	before, after := &modelFrame{frame: n.newFrame(100)}, &modelFrame{frame: n.newFrame(100)}
	m.offer(before, roles.Model{})
	m.end()
	m.offer(after, roles.Model{})
	for name, f := range map[string]*modelFrame{"before": before, "after": after} {
		if held := f.refs.Load(); held != 1 {
			t.Errorf("offered %s its end: held by %d, want by this test alone", name, held)
		}
	}
}

// A client goes on with the model that it has begun, if that will still do.
func TestParts(t *testing.T) {
	n := framer(t)
	for _, tc := range []struct {
		name  string
		from  peer.ID
		id    uint64 // added to that of the kept model
		needs uint64
		want  bool
	}{
		{"its own", "client", 0, 5, true},
		{"another client's", "other", 0, 0, false},
		{"another transfer", "client", 1, 0, false},
		{"one without its newest deltas", "client", 0, 6, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := &modelFrame{frame: n.newFrame(100)}
			f.hold()
			n.parts.keep("client", addressed{frame: f, contains: 5})
			a, ok := n.parts.take(tc.from, f.id+tc.id, tc.needs)
			if ok != tc.want {
				t.Errorf("got %v, want %v", ok, tc.want)
			}
			if ok {
				a.close()
			}
			n.parts.drop()
			if held := f.refs.Load(); held != 1 {
				t.Errorf("held by %d in the end, want by this test alone", held)
			}
		})
	}
}

// However many streams one client breaks off, others' models are kept.
func TestPartsAreShared(t *testing.T) {
	n := framer(t)
	for range 2 * maxParts {
		n.parts.keep("greedy", addressed{frame: &modelFrame{frame: n.newFrame(100)}})
	}
	a := addressed{frame: &modelFrame{frame: n.newFrame(100)}}
	n.parts.keep("honest", a)
	if _, ok := n.parts.take("honest", a.frame.id, 0); !ok || len(n.parts.kept) != partsPerPeer {
		t.Errorf("the honest client's is kept: %v, beside %d of the other, want %d", ok, len(n.parts.kept), partsPerPeer)
	}
	n.parts.drop()
}
