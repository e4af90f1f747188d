package node

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"halos/wire"
)

// controlHost is a host in one control topic.
type controlHost struct {
	*controlTopic
	host    host.Host
	key     crypto.PrivKey
	ps      *pubsub.PubSub
	refused *offences
	log     lines
}

// lines is a writer that hands over what is written, a line of a log at a time.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func joinTestTopic(t *testing.T) controlHost {
	t.Helper()
	key := newKey(t)
	h, _ := loopbackHost(t, hostOptions{Key: key})
	ps, _, err := newPubsub(t.Context(), h, []string{testTopic}, 16)
	if err != nil {
		t.Fatal(err)
	}
	log := make(lines, 64)
	refused := newOffences(slog.New(slog.NewTextHandler(log, nil)))
	topic, err := joinControl(ps, h.ID(), key, testTopic, refused)
	if err != nil {
		t.Fatal(err)
	}
	return controlHost{topic, h, key, ps, refused, log}
}

// hear waits for the next control message and returns it in short.
func (c controlHost) hear(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	from, body, err := c.next(ctx)
	if err != nil {
		t.Error(err)
		return "nothing"
	}
	return fmt.Sprint(from, " ", body.GetCount())
}

func TestControlTopic(t *testing.T) {
	a, b, far := joinTestTopic(t), joinTestTopic(t), joinTestTopic(t)
	connect(t, a.host, b.host)
	connect(t, b.host, far.host) // hears a through b
	heard := make(chan string, 1)
	go func() { heard <- far.hear(t) }()

	// A message reaches those that pubsub's heartbeat, each second, has made neighbours.
	beat := time.NewTicker(50 * time.Millisecond)
	defer beat.Stop()
	var count uint64
	for got := ""; got == ""; {
		select {
		case <-beat.C:
			count++
			if err := a.publish(t.Context(), &wire.Control{Session: 1, Count: count}); err != nil {
				t.Fatal(err)
			}
		case got = <-heard:
			if !strings.HasPrefix(got, a.host.ID().String()) {
				t.Errorf("heard %s, want one of %s", got, a.host.ID())
			}
		}
	}
	if err := a.publish(t.Context(), &wire.Control{Session: 1, Count: count, Version: 7}); err == nil {
		t.Error("published the same count twice")
	}
	if err := b.publish(t.Context(), &wire.Control{Session: 1, Count: 1}); err != nil {
		t.Fatal(err)
	}
	if got, want := a.hear(t), fmt.Sprint(b.host.ID(), " 1"); got != want { // and nothing of its own
		t.Errorf("a hears %s, want %s", got, want)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if _, err := joinControl(a.ps, a.host.ID(), a.key, testTopic, a.refused); err != nil {
		t.Errorf("join again: %v", err)
	}
}

// TestControlTopicRefuses lets a peer publish what it may not, past joinControl.
func TestControlTopicRefuses(t *testing.T) {
	honest, hearer := joinTestTopic(t), joinTestTopic(t)
	liar, liarPS, _ := gossip(t, testTopic)
	connect(t, liar, hearer.host)
	handle := publisher(t, liarPS, testTopic)
	message := func(count uint64) []byte {
		return seal(t, honest.key, &wire.Control{Session: 1, Count: count})
	}
	first := message(1)
	for i, data := range [][]byte{
		first,
		[]byte("garbage"),
		seal(t, honest.key, &wire.Control{Session: 1, Count: 1, Version: 7}), // same count, other content
		append(bytes.Clone(first), 0),                                        // not what was signed
		message(2),
	} {
		if err := handle.Publish(t.Context(), data); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	// One stream carries them in order, several validators take them: only the newest is sure to be heard.
	for got := ""; got != fmt.Sprint(honest.host.ID(), " 2"); {
		if got = hearer.hear(t); !strings.HasPrefix(got, honest.host.ID().String()) {
			t.Fatalf("heard %s", got)
		}
	}
	for n := range 2 {
		if line, want := receive(t, hearer.log), fmt.Sprintf("peer=%s times=%d", liar.ID(), n+1); !strings.Contains(line, want) {
			t.Errorf("the log says %s, want %s", line, want)
		}
	}
	if len(hearer.log) > 0 {
		t.Errorf("the log says %s", <-hearer.log)
	}
}

func TestRefusalsDoNotFloodTheLog(t *testing.T) {
	var log bytes.Buffer
	r := newOffences(slog.New(slog.NewTextHandler(&log, nil)))
	for range 1000 {
		r.note("p", errControl)
	}
	if got := strings.Count(log.String(), "level=WARN"); got != 10 { // 1, 2, 4 .. 512
		t.Errorf("%d lines for 1000 refusals, want 10", got)
	}
	for i := range 2 * maxOffenders {
		r.note(peer.ID(fmt.Sprint(i)), errControl)
	}
	if len(r.by) > maxOffenders+1 {
		t.Errorf("%d peers in the table, want at most %d", len(r.by), maxOffenders+1)
	}
}
