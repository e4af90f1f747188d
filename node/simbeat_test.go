package node

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"halos/wire"
)

// simGap is a time in which a node heard no presence of another one.
type simGap struct {
	from, to peer.ID
	long     time.Duration
}

// gaps listens to the presence of all servers at all of them for so long.
func (s *simJob) gaps(listen time.Duration) (all []simGap) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, listen)
	defer cancel()
	began := time.Now()
	var mu sync.Mutex
	var ears sync.WaitGroup
	for _, to := range s.nodes {
		sub := to.listenIn(s.t, wire.GlobalControl(to.id.Short()))
		ears.Go(func() {
			defer sub.Cancel()
			last := map[peer.ID]time.Time{}
			for _, from := range s.nodes {
				if from != to {
					last[from.host.ID()] = began
				}
			}
			hear := func(from peer.ID) {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, simGap{from, to.host.ID(), time.Since(last[from])})
				last[from] = time.Now()
			}
			for {
				m, err := sub.Next(ctx)
				if err != nil {
					break
				}
				if o := m.ValidatorData.(opened); !last[o.from].IsZero() {
					hear(o.from)
				}
			}
			for from := range last {
				hear(from)
			}
		})
	}
	ears.Wait()
	slices.SortFunc(all, func(a, b simGap) int { return cmp.Compare(a.long, b.long) })
	return all
}

// listenIn subscribes once more to a topic that the node is in.
func (n *simNode) listenIn(t *testing.T, topic string) (sub *pubsub.Subscription) {
	t.Helper()
	var err error
	if !n.call(func() {
		sub, err = n.pubsub.Subscribe(topic) //nolint:staticcheck // the node has the topic's only handle
	}) || err != nil {
		t.Fatalf("listen in on %s: %v", topic, err)
	}
	return sub
}

// volume is how many bytes a host has been sent and has sent so far.
func (n *simNet) volume(h *simNode) (in, out int) {
	for w, f := range n.fates() {
		switch h.ip {
		case w.to:
			in += f.size
		case w.from:
			out += f.size
		}
	}
	return in, out
}

// Presence keeps arriving in time while pushes and models of megabytes fill the links of two regions both ways.
func TestPresenceBesideBulk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const (
			rate = 10_000_000 // bits per second, of a region's link
			warm = 5 * time.Second
			bulk = 20 * time.Second
			full = 0.35            // share of the links that is used at least
			late = 3 * time.Second // a beat every two seconds, and one more
		)
		n := newSimNet(t, simWeather{delay: 25 * time.Millisecond, rate: fastLink}, 1)
		j := simLedger(t, 2, bulk)
		j.H, j.K = 100, 1
		j.Model.VocabSize = 3 << 13 // in and out, 16 numbers each: 3 MB
		s := newSimJob(t, n, j)
		n.weather.rate = rate
		for _, region := range []string{"eu", "us"} { // with the worker in the LPS's node nothing else is on the link
			s.start(Config{Region: region, Roles: []string{lps.String(), worker.String()}})
		}
		s.wait(warm)
		in, out := n.volume(s.gps)
		gaps := s.gaps(bulk)
		inThen, outThen := n.volume(s.gps)
		for way, bytes := range map[string]int{"to": inThen - in, "from": outThen - out} {
			share := float64(8*bytes) / (2 * rate * bulk.Seconds())
			if t.Logf("%.2f of the links %s the GPS were used", share, way); share < full {
				t.Errorf("want %.2f and more", full)
			}
		}
		p99 := gaps[len(gaps)*99/100]
		t.Logf("%d gaps, the 99th percentile is %v, the longest %v", len(gaps), p99.long, gaps[len(gaps)-1].long)
		if p99.long > late {
			t.Errorf("presence of %s came to %s %v apart, want at most %v", p99.from, p99.to, p99.long, late)
		}
		s.finishWhole()
	})
}
