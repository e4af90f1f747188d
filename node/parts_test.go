package node

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"halos/bulk"
	"halos/roles"
	"halos/spool"
)

func TestOnePeerFillsTheParts(t *testing.T) {
	n := &Node{spool: &spool.Dir{}, log: slog.New(slog.DiscardHandler)}
	for range maxParts {
		n.parts.keep("hostile", addressed{frame: &modelFrame{frame: n.newFrame(100)}})
	}
	a := addressed{frame: &modelFrame{frame: n.newFrame(100)}}
	n.parts.keep("honest", a)
	if _, ok := n.parts.take("honest", a.frame.id, 0); !ok {
		t.Error("the honest client's part was not kept: one peer holds all", maxParts)
	}
	n.parts.drop()
}

func TestAModelThatIsNotSpooledStaysTheNewest(t *testing.T) {
	dir := t.TempDir()
	n := &Node{spool: &spool.Dir{Path: dir, Above: 1}, log: slog.New(slog.NewTextHandler(os.Stderr, nil)), group: &errgroup.Group{}}
	d := &downlink{n: n, spare: make(chan []float32, 1)}
	m := roles.Model{ID: roles.ModelID{Version: 3}, Params: make([]float32, 1<<20)}
	// a disk that fails: the room's file is closed under it
	f, _ := n.spool.New(modelCodec.EncodedLen(len(m.Params)))
	_ = f.Close()
	_ = n.spool.Close() // ends f's file; put it back as if it were idle
	_ = f.Close()
	got := d.encoded(m)
	_ = n.group.Wait()
	if again := d.encoded(m); again == got && again.Len() < again.Size() {
		t.Errorf("version 3 is offered again with %d of %d bytes, which will never come", again.Len(), again.Size())
	}
	s := bulk.NewSender()
	s.Offer(1, 3, got.id, got.Size(), got.hold(), time.Now())
	t.Logf("its sender's silence after an hour: %v; done %v", s.Silent(time.Now().Add(time.Hour)), s.Done())
}
