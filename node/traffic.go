package node

import (
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// maxTrafficPeers bounds the table of traffic: peer ids cost their owner nothing.
const maxTrafficPeers = 4096

// traffic counts the bytes sent over all libp2p streams by remote peer, without what encryption and the
// muxer add to them. It takes the place of libp2p's own counter, which lags a second behind.
type traffic struct {
	metrics.Reporter // what libp2p reports besides and reads is nobody's concern

	mu   sync.RWMutex
	sent map[peer.ID]*atomic.Uint64 // at most maxTrafficPeers; those beyond are not counted
}

func newTraffic() *traffic {
	return &traffic{Reporter: metrics.NewBandwidthCounter(), sent: make(map[peer.ID]*atomic.Uint64)}
}

// LogSentMessage does nothing: LogSentMessageStream hears of the same bytes.
func (*traffic) LogSentMessage(int64) {}

// LogRecvMessage does nothing.
func (*traffic) LogRecvMessage(int64) {}

// LogRecvMessageStream does nothing: each end counts what it sends.
func (*traffic) LogRecvMessageStream(int64, protocol.ID, peer.ID) {}

// LogSentMessageStream adds to the bytes sent to p.
func (t *traffic) LogSentMessageStream(size int64, _ protocol.ID, p peer.ID) {
	t.mu.RLock()
	sent := t.sent[p]
	t.mu.RUnlock()
	if sent == nil {
		sent = t.add(p)
	}
	sent.Add(uint64(size))
}

// add returns the counter of a peer that may be new.
func (t *traffic) add(p peer.ID) *atomic.Uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	sent := t.sent[p]
	if sent == nil {
		sent = new(atomic.Uint64)
		if len(t.sent) < maxTrafficPeers {
			t.sent[p] = sent
		}
	}
	return sent
}

// sentTo returns the bytes sent to each peer so far.
func (t *traffic) sentTo() map[peer.ID]uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	sent := make(map[peer.ID]uint64, len(t.sent))
	for p, n := range t.sent {
		sent[p] = n.Load()
	}
	return sent
}
