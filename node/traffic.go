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

// traffic counts the bytes of all libp2p streams by remote peer, without what encryption and the muxer
// add to them. Unlike libp2p's own counter, which it replaces in the host, it is exact at any moment.
type traffic struct {
	metrics.Reporter // the reading half of the interface, which nobody calls

	sent, received atomic.Uint64

	mu    sync.RWMutex
	peers map[peer.ID]*peerTraffic // at most maxTrafficPeers; those beyond count in the totals only
}

type peerTraffic struct{ sent, received atomic.Uint64 }

func newTraffic() *traffic {
	return &traffic{Reporter: metrics.NewBandwidthCounter(), peers: make(map[peer.ID]*peerTraffic)}
}

// LogSentMessage adds to the total of bytes sent.
func (t *traffic) LogSentMessage(size int64) { t.sent.Add(uint64(size)) }

// LogRecvMessage adds to the total of bytes received.
func (t *traffic) LogRecvMessage(size int64) { t.received.Add(uint64(size)) }

// LogSentMessageStream adds to the bytes sent to p.
func (t *traffic) LogSentMessageStream(size int64, _ protocol.ID, p peer.ID) {
	if of := t.of(p); of != nil {
		of.sent.Add(uint64(size))
	}
}

// LogRecvMessageStream adds to the bytes received from p.
func (t *traffic) LogRecvMessageStream(size int64, _ protocol.ID, p peer.ID) {
	if of := t.of(p); of != nil {
		of.received.Add(uint64(size))
	}
}

// of returns the counters of p, nil if the table is full.
func (t *traffic) of(p peer.ID) *peerTraffic {
	t.mu.RLock()
	of := t.peers[p]
	t.mu.RUnlock()
	if of != nil {
		return of
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if of := t.peers[p]; of != nil {
		return of
	}
	if len(t.peers) >= maxTrafficPeers {
		return nil
	}
	of = &peerTraffic{}
	t.peers[p] = of
	return of
}

// sentTo returns the bytes sent to each peer so far.
func (t *traffic) sentTo() map[peer.ID]uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	sent := make(map[peer.ID]uint64, len(t.peers))
	for p, of := range t.peers {
		sent[p] = of.sent.Load()
	}
	return sent
}
