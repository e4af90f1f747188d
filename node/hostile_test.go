package node

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"halos/bulk"
	"halos/codec"
	"halos/spool"
	"halos/wire"
)

// stranger is a libp2p host that speaks halos badly.
type stranger struct {
	t    *testing.T
	host host.Host
	node *Node
}

func newStranger(t *testing.T, n *Node) *stranger {
	t.Helper()
	h, err := libp2p.New(libp2p.NoListenAddrs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	info := peer.AddrInfo{ID: n.host.ID(), Addrs: n.host.Addrs()}
	if err := h.Connect(t.Context(), info); err != nil {
		t.Fatal(err)
	}
	return &stranger{t, h, n}
}

func (s *stranger) stream(protocol string) network.Stream {
	s.t.Helper()
	out, err := s.host.NewStream(s.t.Context(), s.node.host.ID(), protocolID(protocol))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := out.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	return out
}

// hello opens an ack stream with m and returns it.
func (s *stranger) hello(m *wire.Hello) (network.Stream, *bufio.Reader) {
	s.t.Helper()
	out := s.stream(wire.AckProtocol)
	if err := wire.WriteMessage(out, &wire.ToServer{Body: &wire.ToServer_Hello{Hello: m}}); err != nil {
		s.t.Fatal(err)
	}
	return out, bufio.NewReader(out)
}

func (s *stranger) read(in *bufio.Reader) *wire.ToClient {
	s.t.Helper()
	var m wire.ToClient
	if err := wire.ReadMessage(in, &m, maxMessage); err != nil {
		s.t.Fatal(err)
	}
	return &m
}

// workerHello is a hello that the node accepts.
func workerHello(n *Node) *wire.Hello {
	return &wire.Hello{
		Job: n.id[:], Protocol: wire.ProtocolVersion, Tier: wire.Tier_TIER_REGION, Region: n.cfg.Region,
		Session: 1, Next: 1, Oldest: 1, Start: 1, Boot: 7,
	}
}

// running starts a node that trains on its own, long enough for a test.
func running(t *testing.T) *Node {
	t.Helper()
	n := testNode(t, Config{Dir: filepath.Join(t.TempDir(), "n"), Job: smallJob(t, 16*2*10_000_000), Region: "home"})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	if !n.call(func() {}) {
		t.Fatal(<-ended)
	}
	return n
}

// committed is how far the job has come.
func committed(t *testing.T, n *Node) (samples uint64) {
	t.Helper()
	if !n.call(func() { samples = n.status().LPS.Committed }) {
		t.Fatal("the node has stopped")
	}
	return samples
}

// stillTrains fails unless the job makes progress.
func stillTrains(t *testing.T, n *Node) {
	t.Helper()
	before := committed(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for committed(t, n) <= before {
		if wait(ctx, 10*time.Millisecond); ctx.Err() != nil {
			t.Fatalf("no sample was committed after %d", before)
		}
	}
}

func TestBadHellosAreTurnedAway(t *testing.T) {
	n := running(t)
	cases := []struct {
		name   string
		change func(*wire.Hello)
		want   wire.Reason
	}{
		{"another job", func(h *wire.Hello) { h.Job = make([]byte, 32) }, wire.Reason_REASON_PROTOCOL},
		{"another wire version", func(h *wire.Hello) { h.Protocol = 99 }, wire.Reason_REASON_PROTOCOL},
		{"no tier", func(h *wire.Hello) { h.Tier = 0 }, wire.Reason_REASON_INVALID},
		{"another region", func(h *wire.Hello) { h.Region = "mars" }, wire.Reason_REASON_NOT_SERVER},
		{"a region name with a slash", func(h *wire.Hello) { h.Region = "a/b" }, wire.Reason_REASON_INVALID},
		{"oldest above next", func(h *wire.Hello) { h.Oldest = 5 }, wire.Reason_REASON_INVALID},
		{"leases that overlap", func(h *wire.Hello) {
			h.Leases = []*wire.Range{{Start: 0, End: 9}, {Start: 3, End: 4}}
		}, wire.Reason_REASON_INVALID},
		{"the region's own name taken", func(h *wire.Hello) { h.Tier = wire.Tier_TIER_GLOBAL }, wire.Reason_REASON_REGION_TAKEN},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := workerHello(n)
			c.change(h)
			_, in := newStranger(t, n).hello(h)
			if got := newest(in, t).GetReject().GetReason(); got != c.want {
				t.Errorf("turned away for %v, want %v", got, c.want)
			}
		})
	}
	stillTrains(t, n)
}

func newest(in *bufio.Reader, t *testing.T) *wire.ToClient {
	t.Helper()
	var m wire.ToClient
	if err := wire.ReadMessage(in, &m, maxMessage); err != nil {
		t.Fatal(err)
	}
	return &m
}

func TestGarbageOnEveryStream(t *testing.T) {
	n := running(t)
	for _, p := range []string{wire.AckProtocol, wire.ModelProtocol, wire.JobProtocol} {
		s := newStranger(t, n)
		out := s.stream(p)
		junk := make([]byte, 1<<16)
		rand.Read(junk)
		_, _ = out.Write(junk) // it may be cut off at any time
		_ = out.CloseWrite()
		_, _ = io.Copy(io.Discard, out) // until the node ends the stream
	}
	stillTrains(t, n)
}

func TestTwoNodesWithOneIdentity(t *testing.T) {
	n := running(t)
	s := newStranger(t, n)
	_, in := s.hello(workerHello(n))
	if s.read(in).GetWelcome() == nil {
		t.Fatal("the first was not welcome")
	}
	twin := workerHello(n)
	twin.Boot++
	_, in = s.hello(twin)
	r := s.read(in).GetReject()
	if r.GetReason() != wire.Reason_REASON_SESSION || !strings.Contains(r.GetDetail(), "another node with the identity") {
		t.Errorf("the twin is told %v", r)
	}
	stillTrains(t, n)
}

// A client that is welcome sends deltas of a wrong shape and of NaN: each gets its
// verdict, and the job goes on.
func TestBadDeltasAreRefused(t *testing.T) {
	n := running(t)
	s := newStranger(t, n)
	out, in := s.hello(workerHello(n))
	if s.read(in).GetWelcome() == nil {
		t.Fatal("not welcome")
	}
	topic := s.deltaTopic()
	nan := make([]float32, n.params)
	nan[len(nan)/2] = float32(math.NaN())
	huge := make([]float32, n.params)
	for i := range huge {
		huge[i] = 1e6
	}
	vectors := []struct {
		values []float32
		want   string
	}{
		{make([]float32, 3), "0 elements"},
		{nan, "not finite"},
		{huge, "beyond the bound"},
		{make([]float32, n.params), "not leased"},
	}
	sender := bulk.NewSender()
	for i, v := range vectors {
		seq := uint64(i + 1)
		frame, err := wire.Delta{
			Codec: uint8(codec.F32), Steps: 1, Elements: uint64(len(v.values)), Ranges: []wire.Interval{{Start: 0, End: 2}},
			Payload: codec.F32.Append(nil, v.values),
		}.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		room, _ := new(spool.Dir).New(len(frame)) // memory does not refuse
		whole := spool.Grow(room)
		if err := whole.Append(frame); err != nil {
			t.Fatal(err)
		}
		a := sender.Offer(1, seq, seq, len(frame), whole, time.Now())
		for _, m := range []*wire.ToServer{
			{Body: &wire.ToServer_Announce{Announce: a}},
			{Body: &wire.ToServer_Seal{Seal: sender.Seal(1, seq)}},
		} {
			if err := wire.WriteMessage(out, m); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.verdict(t.Context(), in, topic, sender, seq); !strings.Contains(got, v.want) {
			t.Errorf("delta %d refused for %q, want %q", seq, got, v.want)
		}
	}
	stillTrains(t, n)
}

// deltaTopic joins the topic of the node's region as a publisher.
func (s *stranger) deltaTopic() *pubsub.Topic {
	s.t.Helper()
	ps, err := pubsub.NewGossipSub(s.t.Context(), s.host, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign))
	if err != nil {
		s.t.Fatal(err)
	}
	topic, err := ps.Join(s.node.deltaTopic(regionTier), pubsub.FanoutOnly())
	if err != nil {
		s.t.Fatal(err)
	}
	for ctx := s.t.Context(); len(topic.ListPeers()) == 0; {
		if wait(ctx, 10*time.Millisecond); ctx.Err() != nil {
			s.t.Fatal("the node is not on the delta topic")
		}
	}
	return topic
}

// Whoever floods the delta topic with what is no chunk is cut off and not let in again.
func TestAFloodOfGarbageIsShutOut(t *testing.T) {
	n := running(t)
	s := newStranger(t, n)
	topic := s.deltaTopic()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i := 0; s.host.Network().Connectedness(n.host.ID()) == network.Connected; i++ {
		junk := make([]byte, 1000)
		rand.Read(junk)
		if err := topic.Publish(ctx, junk); err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
		wait(ctx, time.Millisecond)
	}
	if count, out := n.offences.refused(s.host.ID()); !out || count < 30 {
		t.Errorf("shut out: %v, after %d", out, count)
	}
	info := peer.AddrInfo{ID: n.host.ID(), Addrs: n.host.Addrs()}
	if err := s.host.Connect(ctx, info); err == nil {
		// The refusal comes right behind the handshake.
		for s.host.Network().Connectedness(n.host.ID()) == network.Connected {
			if wait(ctx, 10*time.Millisecond); ctx.Err() != nil {
				t.Fatal("it was let in again")
			}
		}
	}
	stillTrains(t, n)
}

// verdict publishes chunks as credit comes and returns why delta seq was refused.
func (s *stranger) verdict(ctx context.Context, in *bufio.Reader, topic *pubsub.Topic, sender *bulk.Sender, seq uint64) string {
	s.t.Helper()
	for {
		switch b := s.read(in).GetBody().(type) {
		case *wire.ToClient_Credit:
			sender.Credit(b.Credit, time.Now())
		case *wire.ToClient_Missing:
			sender.Missing(b.Missing, time.Now())
		case *wire.ToClient_Marks:
			for _, r := range b.Marks.GetRefused() {
				if r.GetSeq() == seq {
					return r.GetReason()
				}
			}
			if b.Marks.GetDecided() >= seq {
				return fmt.Sprintf("not refused: %v", b.Marks)
			}
		}
		for {
			chunk, err := sender.Next(time.Now())
			if err != nil {
				s.t.Fatal(err)
			}
			if chunk == nil {
				break
			}
			if err := topic.Publish(ctx, chunk); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}
