package node

import (
	"context"
	"slices"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"halos/wire"
)

// chunk is a message as a validator saw it.
type chunk struct {
	from, via peer.ID
	data      []byte
}

// gossip makes a loopback host with newPubsub until the test ends.
func gossip(t *testing.T, topics ...string) (host.Host, *pubsub.PubSub, *drops) {
	t.Helper()
	h, _ := loopbackHost(t, hostOptions{})
	ps, lost, err := newPubsub(t.Context(), h, topics, 16)
	if err != nil {
		t.Fatal(err)
	}
	return h, ps, lost
}

// consume subscribes to a topic as a server does: its validator takes the messages, nobody reads the
// subscription.
func consume(t *testing.T, ps *pubsub.PubSub, topic string) <-chan chunk {
	t.Helper()
	taken := make(chan chunk, 256)
	validate := func(_ context.Context, via peer.ID, m *pubsub.Message) pubsub.ValidationResult {
		taken <- chunk{m.GetFrom(), via, slices.Clone(m.GetData())}
		return pubsub.ValidationIgnore
	}
	if err := ps.RegisterTopicValidator(topic, validate, pubsub.WithValidatorInline(true)); err != nil {
		t.Fatal(err)
	}
	handle, err := ps.Join(topic)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handle.Subscribe(); err != nil {
		t.Fatal(err)
	}
	return taken
}

// publisher joins a topic as a client does and waits until it sees a subscriber.
func publisher(t *testing.T, ps *pubsub.PubSub, topic string) *pubsub.Topic {
	t.Helper()
	handle, err := ps.Join(topic, pubsub.FanoutOnly())
	if err != nil {
		t.Fatal(err)
	}
	awaitSubscriber(t, handle)
	return handle
}

// awaitSubscriber waits until Publish on the topic has someone to send to. A subscription alone is not
// enough: the queue to its peer may come later.
func awaitSubscriber(t *testing.T, handle *pubsub.Topic) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	deadline := time.After(10 * time.Second)
	for len(handle.ListPeers()) == 0 {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("no subscriber on %s", handle)
		}
	}
}

// receive waits for the next value of c.
func receive[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing arrives")
	}
	return v
}

func TestChunksReachTheValidator(t *testing.T) {
	topic := wire.RegionDelta("0123456789abcdef", "eu")
	server, serverPS, serverLost := gossip(t, topic)
	client, clientPS, clientLost := gossip(t, topic)
	taken := consume(t, serverPS, topic)
	connect(t, client, server)
	handle := publisher(t, clientPS, topic)

	const n = 100
	for i := range n {
		data := make([]byte, 256<<10)
		data[0] = byte(i)
		if err := handle.Publish(t.Context(), data); err != nil {
			t.Fatal(err)
		}
		got := receive(t, taken)
		if got.from != client.ID() || got.via != client.ID() || len(got.data) != len(data) || got.data[0] != byte(i) {
			t.Fatalf("chunk %d: %d bytes from %s via %s", i, len(got.data), got.from, got.via)
		}
	}
	for name, d := range map[string]*drops{"client": clientLost, "server": serverLost} {
		if d.lost() != 0 || d.refused.Load() != 0 || d.forged.Load() != 0 {
			t.Errorf("%s: %d lost, %d refused, %d forged", name, d.lost(), d.refused.Load(), d.forged.Load())
		}
	}
}

// TestForgedAuthor publishes under another's name. On a delta topic that is dropped before the validator;
// elsewhere the validator can tell.
func TestForgedAuthor(t *testing.T) {
	delta, plain := wire.GlobalDelta("0123456789abcdef"), "/halos/plain"
	server, serverPS, lost := gossip(t, delta, plain)
	liar, _ := loopbackHost(t, hostOptions{})
	victim, err := peer.IDFromPrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	liarPS, err := pubsub.NewGossipSub(t.Context(), liar,
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithMessageAuthor(victim))
	if err != nil {
		t.Fatal(err)
	}
	deltas, others := consume(t, serverPS, delta), consume(t, serverPS, plain)
	connect(t, liar, server)
	for _, topic := range []string{delta, plain} { // in this order on the one stream
		if err := publisher(t, liarPS, topic).Publish(t.Context(), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if got := receive(t, others); got.from != victim || got.via != liar.ID() {
		t.Errorf("plain topic: from %s via %s, want %s via %s", got.from, got.via, victim, liar.ID())
	}
	if len(deltas) != 0 || lost.forged.Load() != 1 {
		t.Errorf("%d forged chunks reached the validator, %d RPCs counted, want 0 and 1", len(deltas), lost.forged.Load())
	}
}

// TestDropsAreCounted overruns the queues to a validator that takes nothing for a while. Each message is
// then taken or counted as dropped.
func TestDropsAreCounted(t *testing.T) {
	topic := wire.GlobalDelta("0123456789abcdef")
	server, serverPS, serverLost := gossip(t, topic)
	client, clientPS, clientLost := gossip(t, topic)
	const n = 8 * minPubsubQueue
	blocked, release := context.WithCancel(t.Context())
	taken := make(chan struct{}, n)
	validate := func(context.Context, peer.ID, *pubsub.Message) pubsub.ValidationResult {
		<-blocked.Done()
		taken <- struct{}{}
		return pubsub.ValidationIgnore
	}
	if err := serverPS.RegisterTopicValidator(topic, validate, pubsub.WithValidatorInline(true)); err != nil {
		t.Fatal(err)
	}
	handle, err := serverPS.Join(topic)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handle.Subscribe(); err != nil {
		t.Fatal(err)
	}
	connect(t, client, server)
	sender := publisher(t, clientPS, topic)
	for range n {
		if err := sender.Publish(t.Context(), make([]byte, 1024)); err != nil {
			t.Fatal(err)
		}
	}
	lost := func() int { return int(clientLost.lost() + serverLost.lost()) }
	const free = 2*minPubsubQueue + 256 // queues, validators, and what the connection holds
	defer release()
	deadline := time.After(10 * time.Second)
	for seen := 0; seen+lost() < n; {
		if lost() >= n-free {
			release()
		}
		select {
		case <-taken:
			seen++
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Fatalf("of %d messages %d are taken and %d counted as lost", n, seen, lost())
		}
	}
}

func TestForeignTopicsAreForgotten(t *testing.T) {
	topic := wire.GlobalControl("0123456789abcdef")
	a, aPS, _ := gossip(t, topic)
	b, bPS, _ := gossip(t, topic, "/halos/fedcba9876543210/global/control")
	if _, err := aPS.Join("/halos/fedcba9876543210/global/control"); err == nil {
		t.Error("joined a topic of another job")
	}
	consume(t, bPS, "/halos/fedcba9876543210/global/control")
	consume(t, bPS, topic)
	connect(t, a, b)
	publisher(t, aPS, topic)
	if got := aPS.ListPeers("/halos/fedcba9876543210/global/control"); len(got) != 0 {
		t.Errorf("remembers %v on a foreign topic", got)
	}
}

func TestPubsubCountsReasons(t *testing.T) {
	var d drops
	for _, reason := range []string{
		pubsub.RejectValidationIgnored, pubsub.RejectValidationQueueFull, pubsub.RejectValidationThrottled,
		pubsub.RejectValidationFailed, pubsub.RejectUnexpectedSignature,
	} {
		d.RejectMessage(nil, reason)
	}
	d.DropRPC(&pubsub.RPC{}, "")
	d.UndeliverableMessage(nil)
	if d.inbound.Load() != 2 || d.refused.Load() != 2 || d.outbound.Load() != 1 || d.unread.Load() != 1 || d.lost() != 4 {
		t.Errorf("inbound %d, refused %d, outbound %d, unread %d, lost %d",
			d.inbound.Load(), d.refused.Load(), d.outbound.Load(), d.unread.Load(), d.lost())
	}
}
