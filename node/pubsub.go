package node

import (
	"context"
	"fmt"
	"math"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
)

const (
	// maxPubsubMessage holds a chunk of 256 KiB in its envelopes, and leaves room beside it.
	maxPubsubMessage = 1 << 20
	// minPubsubQueue leaves room, beside the chunks of the budget, for the four that each of 64 senders may
	// have on their way without it, and for control messages.
	minPubsubQueue = 512
	// pubsubBeat is how often pubsub looks after its meshes and forgets what it has sent.
	pubsubBeat = 250 * time.Millisecond
	// maxSubscriptions bounds the subscriptions that a peer announces at once: it has at most four topics.
	maxSubscriptions = 16
)

// newPubsub makes the gossipsub of a host for a job's topics; nothing about others is remembered. It ends
// with ctx. While nobody publishes it sends nothing.
//
// Messages carry their author and no signature: a delta topic has one hop, where the author must be the
// peer at the other end, and control messages are signed inside. On a delta topic an RPC whose messages
// name another author is dropped before their ids can shadow true ones in the cache of seen ids.
//
// inFlight is how many chunks may be on their way at once, to one peer or from all of them: the queues on
// the path, which drop when full, hold twice that. What is dropped all the same the drops count. A chunk's
// bytes must not change for two heartbeats after Publish, which keeps them. Publish to a topic
// without a known subscriber returns nil and sends nothing, and that nobody counts.
func newPubsub(ctx context.Context, h host.Host, topics []string, inFlight int) (*pubsub.PubSub, *drops, error) {
	lost := &drops{}
	queue := max(minPubsubQueue, 2*inFlight)
	params := pubsub.DefaultGossipSubParams()
	// What was published is kept until the second heartbeat after it: at the default of one a second that
	// would be two seconds of a link's rate in memory.
	params.HeartbeatInterval = pubsubBeat
	params.HistoryLength, params.HistoryGossip = 1, 0 // nothing is asked for by gossip: chunks are repaired, presence is repeated
	// Presence is small and repeated: three neighbours reach everyone, six would double the traffic.
	params.D, params.Dlo, params.Dhi, params.Dscore, params.Dout = 3, 2, 6, 3, 0
	params.IDontWantMessageThreshold = math.MaxInt // chunks have no second path that it could silence
	filter := pubsub.WrapLimitSubscriptionFilter(pubsub.NewAllowlistSubscriptionFilter(topics...), maxSubscriptions)
	ps, err := pubsub.NewGossipSub(ctx, h,
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithMaxMessageSize(maxPubsubMessage),
		pubsub.WithPeerOutboundQueueSize(queue),
		pubsub.WithValidateQueueSize(queue),
		pubsub.WithGossipSubParams(params),
		pubsub.WithSubscriptionFilter(filter),
		pubsub.WithPeerExchange(false),
		pubsub.WithRawTracer(lost),
		pubsub.WithAppSpecificRpcInspector(lost.refuseForged),
	)
	if err != nil {
		return nil, nil, fmt.Errorf("start pubsub: %w", err)
	}
	return ps, lost, nil
}
