package bulk

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"halos/wire"
)

var start = time.Unix(1000, 0)

func announce(session, seq uint64, frame []byte) *wire.Announce {
	return &wire.Announce{Session: session, Seq: seq, Bytes: uint64(len(frame)), Id: frameID(frame)}
}

// offerTo announces and seals a frame, and lets the receiver make room for it.
func offerTo(r *Receiver, from string, session, seq uint64, frame []byte) error {
	if err := r.Announce(from, announce(session, seq, frame), start); err != nil {
		return err
	}
	if err := r.Seal(from, sealOf(session, seq, frame), start); err != nil {
		return err
	}
	r.Work()
	return nil
}

// message is chunk i of a frame.
func message(session, seq uint64, i int, frame []byte) []byte {
	count := (len(frame) + testChunk - 1) / testChunk
	b, err := wire.Chunk{
		Session: session, Seq: seq, Index: uint32(i), Count: uint32(count),
		Payload: frame[i*testChunk : min((i+1)*testChunk, len(frame))],
	}.AppendBinary(nil)
	if err != nil {
		panic(err)
	}
	return b
}

// offeredTo returns a receiver to which "a" has announced a frame of the given
// number of whole chunks as 1/5, and which has seen its chunks come.
func offeredTo(t *testing.T, c Config, chunks int) (*Receiver, []byte) {
	t.Helper()
	r := newReceiver(c, testChunk)
	f := frame("a", 5, chunks*testChunk)
	if err := offerTo(r, "a", 1, 5, f); err != nil {
		t.Fatal(err)
	}
	if p := r.peers["a"]; p.active != nil {
		p.active.recent[0] = minCredit + 1
		r.flow(p.active, true)
		r.grow(p)
	}
	return r, f
}

// bring delivers chunks of a frame as 1/5 of "a".
func bring(t *testing.T, r *Receiver, f []byte, now time.Time, chunks ...int) {
	t.Helper()
	for _, i := range chunks {
		if err := r.Chunk("a", message(1, 5, i, f), now); err != nil {
			t.Fatalf("chunk %d: %v", i, err)
		}
	}
	r.Work()
	if err := r.audit(); err != nil {
		t.Fatal(err)
	}
}

// script renders what the receiver has for its owner: "a credit 8 of 3" where 3 are
// acknowledged, "a missing 0:05 #1", "a failed 5", "a waits 5", "a frame 5".
func script(events []Event, frames []Arrival) string {
	var lines []string
	for _, e := range events {
		line := fmt.Sprintf("%s waits %d", e.Peer, e.Seq)
		if e.Err != nil {
			line = fmt.Sprintf("%s failed %d", e.Peer, e.Seq)
		}
		if m := e.Send.GetCredit(); m != nil {
			line = fmt.Sprintf("%s credit %d of %d", e.Peer, m.Upto, m.Held)
		}
		if m := e.Send.GetMissing(); m != nil {
			line = fmt.Sprintf("%s missing %d:%s #%d", e.Peer, m.First, hex.EncodeToString(m.Bits), m.Attempt)
		}
		lines = append(lines, line)
	}
	for _, a := range frames {
		lines = append(lines, fmt.Sprintf("%s frame %d", a.Peer, a.Seq))
	}
	return strings.Join(lines, ", ")
}

func takeAll(r *Receiver) (all []Arrival) {
	for {
		a, ok := r.Take()
		if !ok {
			return all
		}
		all = append(all, a)
	}
}

func expect(t *testing.T, r *Receiver, want string) ([]Event, []Arrival) {
	t.Helper()
	r.Work()
	events, frames := r.Events(), takeAll(r)
	if got := script(events, frames); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	if err := r.audit(); err != nil {
		t.Fatal(err)
	}
	return events, frames
}

func TestAnnounceRefuses(t *testing.T) {
	f := frame("a", 1, 10)
	for _, tc := range []struct {
		name string
		a    *wire.Announce
		want error
	}{
		{"nothing", &wire.Announce{}, ErrGarbage},
		{"nil", nil, ErrGarbage},
		{"an empty frame", announce(1, 1, nil), ErrGarbage},
		{"a byte too many", announce(1, 1, make([]byte, testConfig.MaxFrame+1)), ErrTooLarge},
		{"bytes wrap an int", &wire.Announce{Bytes: 1 << 63}, ErrTooLarge},
		{"the largest", announce(1, 1, make([]byte, testConfig.MaxFrame)), nil},
		{"one byte", announce(1, 2, f[:1]), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newReceiver(testConfig, testChunk)
			if err := r.Announce("a", tc.a, start); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if refused := tc.want != nil; refused && len(r.peers) != 0 {
				t.Error("a refused announce is remembered")
			}
		})
	}
}

func TestAnnouncesAreBounded(t *testing.T) {
	r := newReceiver(testConfig, testChunk)
	f := frame("a", 1, 10)
	for seq := range uint64(MaxQueued + 1) { // one of them in flight
		if err := r.Announce("a", announce(1, seq, f), start); err != nil {
			t.Fatalf("announce %d: %v", seq, err)
		}
		r.Work()
	}
	if err := r.Announce("a", announce(1, MaxQueued+1, f), start); !errors.Is(err, ErrBusy) {
		t.Errorf("one more: got %v, want ErrBusy", err)
	}
	if err := r.Announce("a", announce(1, 7, f), start); err != nil {
		t.Errorf("one of them again: %v", err)
	}
	for i := range maxPeers - 1 {
		if err := r.Announce(fmt.Sprint(i), announce(1, 1, f), start); err != nil {
			t.Fatalf("peer %d: %v", i, err)
		}
	}
	if err := r.Announce("b", announce(1, 1, f), start); !errors.Is(err, ErrBusy) {
		t.Errorf("a peer more: got %v, want ErrBusy", err)
	}
	for i := range maxPeers - 1 {
		r.Drop(fmt.Sprint(i))
	}
	if err := r.Announce("b", announce(1, 1, f), start); err != nil {
		t.Errorf("after others left: %v", err)
	}
}

func TestReleasePanicsOnWhatIsNotLent(t *testing.T) {
	r, f := offeredTo(t, testConfig, 1)
	bring(t, r, f, start, 0)
	lent := takeAll(r)[0].Slot
	if err := r.Release(lent); err != nil || !lent.(*cell).closed {
		t.Errorf("got %v, closed %v", err, lent.(*cell).closed)
	}
	for name, b := range map[string]Slot{"a foreign slot": &cell{}, "one released already": lent, "nil": nil} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: got no panic", name)
				}
			}()
			_ = r.Release(b) // it panics
		}()
	}
}
