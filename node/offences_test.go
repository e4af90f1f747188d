package node

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"halos/bulk"
	"halos/wire"
)

func TestWhoIsShutOut(t *testing.T) {
	unwanted := fmt.Errorf("chunk: %w", bulk.ErrUnannounced)
	garbage := fmt.Errorf("chunk: %w", bulk.ErrGarbage)
	for _, tc := range []struct {
		name  string
		err   error
		times int
		every time.Duration
		want  bool
	}{
		{"chunks on their way when the connection broke", unwanted, 64, 0, false},
		{"the same every few seconds", unwanted, 3000, 100 * time.Millisecond, false},
		{"chunks that nobody wants, one after the other", unwanted, 1100, 0, true},
		{"a frame that does not parse", garbage, 1, 0, false},
		{"one every ten seconds", garbage, 1000, 10 * time.Second, false},
		{"many", garbage, 33, 0, true},
		{"frames too large", fmt.Errorf("model: %w", wire.ErrTooLarge), 33, 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := newOffences(slog.New(slog.DiscardHandler))
			now := time.Unix(1000, 0)
			o.now = func() time.Time { return now }
			ended := 0
			o.enforce(func(peer.ID) { ended++ })
			for range tc.times {
				now = now.Add(tc.every)
				o.note("p", tc.err)
			}
			if count, out := o.refused("p"); out != tc.want || count != uint64(tc.times) {
				t.Errorf("shut out: %v after %d, want %v", out, count, tc.want)
			}
			if (ended == 1) != tc.want || o.InterceptPeerDial("p") == tc.want || o.InterceptSecured(network.DirInbound, "p", nil) == tc.want {
				t.Errorf("ended %d times, dialled %v", ended, o.InterceptPeerDial("p"))
			}
			if _, out := o.refused("q"); out || !o.InterceptPeerDial("q") {
				t.Error("another peer is shut out too")
			}
		})
	}
}

// Each time lasts twice as long, up to an hour; a day without offence is a new start.
func TestShutOutForLonger(t *testing.T) {
	o := newOffences(slog.New(slog.DiscardHandler))
	now := time.Unix(1000, 0)
	o.now = func() time.Time { return now }
	offend := func() time.Duration {
		from := now
		for range 40 {
			o.note("p", bulk.ErrGarbage)
		}
		for {
			if _, out := o.refused("p"); !out {
				return now.Sub(from)
			}
			now = now.Add(time.Second)
		}
	}
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		if got := offend(); got != want*time.Minute {
			t.Errorf("time %d: shut out for %v, want %v", i+1, got, want*time.Minute)
		}
	}
	now = now.Add(25 * time.Hour)
	if got := offend(); got != time.Minute {
		t.Errorf("after a day: shut out for %v, want a minute", got)
	}
}

// However many identities a peer takes, the table is bounded, and nobody is shut out
// for what others did.
func TestOffendersAreBounded(t *testing.T) {
	o := newOffences(slog.New(slog.DiscardHandler))
	for i := range 3 * maxOffenders {
		o.note(peer.ID(fmt.Sprint(i)), errors.New("hello"))
	}
	if len(o.by) > maxOffenders {
		t.Errorf("%d entries", len(o.by))
	}
	for range 100 {
		o.note("late", bulk.ErrGarbage)
	}
	if o.InterceptPeerDial("late") || !o.InterceptPeerDial("another") {
		t.Error("a late one is let in, or another shut out")
	}
}
