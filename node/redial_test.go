package node

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"halos/roles"
	"halos/wire"
)

// A server that was dialled in vain many times is dialled again, and met as soon as it
// is back.
func TestRedial(t *testing.T) {
	a, _ := loopbackHost(t, hostOptions{})
	key := newKey(t)
	b, _ := loopbackHost(t, hostOptions{Key: key})
	server := infoOf(b)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		err := redial(t.Context(), a, server)
		if err == nil || errors.Is(err, swarm.ErrDialBackoff) {
			t.Fatalf("got %v, want a refused connection", err)
		}
	}
	loopbackHost(t, hostOptions{Key: key, Listen: []string{server.Addrs[0].String()}})
	if err := redial(t.Context(), a, server); err != nil {
		t.Errorf("the server is back: %v", err)
	}
}

func TestRedialsKeepTrying(t *testing.T) {
	var r redials
	var long int
	for i := range 1000 {
		patience := r.patience()
		if patience == dialLong {
			long++
		}
		took := []time.Duration{time.Millisecond, patience}[i%2]
		if pause := r.failed(false, took); pause < redialLow/2 || pause > redialHigh*3/2 {
			t.Fatalf("attempt %d took %v: %v until the next", i, took, pause)
		}
	}
	if long != 1000/longEvery {
		t.Errorf("%d of 1000 attempts with much patience, want one in %d", long, longEvery)
	}
	if pause := r.failed(true, time.Minute); pause > 2*redialLow || r.count != 1 {
		t.Errorf("after a minute with the server: %v until attempt %d, want about %v and 1", pause, r.count, redialLow)
	}
	if r.failed(true, time.Millisecond); r.count != 2 {
		t.Errorf("a server that hangs up at once counts as met: attempt %d, want 2", r.count)
	}
}

func TestSeedsOfTheServer(t *testing.T) {
	h, _ := loopbackHost(t, hostOptions{})
	b, _ := loopbackHost(t, hostOptions{})
	c, _ := loopbackHost(t, hostOptions{})
	n := &Node{host: h, cfg: Config{Seeds: []string{
		"/dns4/b.example/tcp/4001/p2p/" + b.ID().String(), "/ip4/192.0.2.1/tcp/4001/p2p/" + c.ID().String(), "nonsense",
	}}}
	got := n.withSeeds(peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()})
	if want := "/dns4/b.example/tcp/4001"; len(got.Addrs) != 2 || got.Addrs[1].String() != want {
		t.Errorf("got %v, want %v and %s", got.Addrs, b.Addrs(), want)
	}
}

// A GPS whose process ends at any moment and starts again is merged with soon, and the
// workers go on meanwhile.
func TestGPSComesBack(t *testing.T) {
	ctx, stop := context.WithCancel(deadline(t))
	gone := make(chan error, 4)
	var gpsDir, lpsDir, workDir = filepath.Join(t.TempDir(), "gps"), filepath.Join(t.TempDir(), "lps"), filepath.Join(t.TempDir(), "worker")
	run := func(ctx context.Context, c Config) *Node {
		n := testNode(t, c)
		go func() { gone <- n.Run(ctx) }()
		return n
	}
	left := 3
	defer func() {
		for stop(); left > 0; left-- {
			<-gone
		}
	}()
	first, kill := context.WithCancel(ctx)
	defer kill()
	gps := run(first, Config{Dir: gpsDir, Job: smallJob(t, 16*2*1_000_000_000), Region: "eu", Roles: []string{"gps"}})
	lps := run(ctx, Config{Dir: lpsDir, Seeds: gps.JoinAddrs()[:1], Region: "us", Roles: []string{"lps"}})
	run(ctx, Config{Dir: workDir, Seeds: lps.JoinAddrs()[:1], Region: "us", Roles: []string{"worker"}})
	merged, trained := Tail{Path: filepath.Join(lpsDir, MetricsFile)}, Tail{Path: filepath.Join(workDir, MetricsFile)}
	seen := func(tail *Tail, event string, want int) {
		t.Helper()
		for want > 0 {
			records, err := tail.Read()
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range records {
				if r.Event == event {
					want--
				}
			}
			if wait(ctx, 10*time.Millisecond); ctx.Err() != nil {
				t.Fatalf("no further record of %s", event)
			}
		}
	}
	seen(&merged, EventMerged, 3)
	kill()
	<-gone
	left--
	for _, tail := range []*Tail{&merged, &trained} { // what happened so far
		if _, err := tail.Read(); err != nil {
			t.Fatal(err)
		}
	}
	seen(&trained, EventRound, 200)
	began := time.Now()
	left++
	run(ctx, Config{Dir: gpsDir})
	seen(&merged, EventMerged, 1)
	const promised, busy = 5 * time.Second, 6 // times as long on a machine with too much to do
	if took := time.Since(began); took > busy*promised {
		t.Errorf("merged %v after the GPS started, want at most %v", took, promised)
	}
}

// A region whose LPS has just gone counts as taken for a while: its next one waits for
// that, but not for ever.
func TestTheNextLPSWaitsForTheSeat(t *testing.T) {
	n := &Node{log: quiet, cfg: Config{Region: "eu"}}
	taken := &wire.Reject{Reason: wire.Reason_REASON_REGION_TAKEN, Detail: "x speaks for eu"}
	c := &serverConn{tier: globalTier}
	n.refused(c, taken)
	if n.fault != nil {
		t.Errorf("gives up at once: %v", n.fault)
	}
	n.handle(event{to: lps, ev: roles.Welcome{}, up: n.up[regionTier]})
	if !n.contested.IsZero() {
		t.Error("a welcome does not end the dispute")
	}
	n.contested = time.Now().Add(-seatKept - beatLow - time.Second)
	n.refused(c, taken)
	if n.fault == nil || !strings.Contains(n.fault.Error(), "region eu has another server (x speaks for eu)") {
		t.Errorf("after long: %v", n.fault)
	}
}
