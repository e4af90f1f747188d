package node

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// drops counts the messages that pubsub loses or refuses without telling anyone. It is pubsub's raw
// tracer; its methods are called from pubsub's goroutines.
type drops struct {
	outbound atomic.Uint64 // a peer's outbound queue was full, or gone
	inbound  atomic.Uint64 // the queue in front of the validators was full
	unread   atomic.Uint64 // the buffer of a subscription was full
	refused  atomic.Uint64 // a validator or pubsub's own checks said no
	forged   atomic.Uint64 // RPCs on a delta topic that named another author
}

// lost is the number of messages that a full queue cost.
func (d *drops) lost() uint64 { return d.outbound.Load() + d.inbound.Load() + d.unread.Load() }

// DropRPC counts what a full outbound queue did not take.
func (d *drops) DropRPC(rpc *pubsub.RPC, _ peer.ID) {
	d.outbound.Add(uint64(max(1, len(rpc.GetPublish()))))
}

// UndeliverableMessage counts what a slow reader of a subscription misses.
func (d *drops) UndeliverableMessage(*pubsub.Message) { d.unread.Add(1) }

// RejectMessage counts refused messages. To be ignored is the way of every chunk: its validator took it.
func (d *drops) RejectMessage(_ *pubsub.Message, reason string) {
	switch reason {
	case pubsub.RejectValidationIgnored:
	case pubsub.RejectValidationQueueFull, pubsub.RejectValidationThrottled:
		d.inbound.Add(1)
	default:
		d.refused.Add(1)
	}
}

// refuseForged is pubsub's inspector of incoming RPCs, called before any of their messages is looked at.
func (d *drops) refuseForged(from peer.ID, rpc *pubsub.RPC) error {
	for _, m := range rpc.GetPublish() {
		if strings.HasSuffix(m.GetTopic(), "/delta") && string(m.GetFrom()) != string(from) {
			d.forged.Add(1)
			return fmt.Errorf("chunk from %s names another author", from)
		}
	}
	return nil
}

// The rest of the tracer's interface concerns nothing that is lost.

// OnNewOutboundStream does nothing.
func (*drops) OnNewOutboundStream(peer.ID, protocol.ID) {}

// OnClosedOutboundStream does nothing.
func (*drops) OnClosedOutboundStream(peer.ID) {}

// Join does nothing.
func (*drops) Join(string) {}

// Leave does nothing.
func (*drops) Leave(string) {}

// Graft does nothing.
func (*drops) Graft(peer.ID, string) {}

// Prune does nothing.
func (*drops) Prune(peer.ID, string) {}

// ValidateMessage does nothing.
func (*drops) ValidateMessage(*pubsub.Message) {}

// DeliverMessage does nothing.
func (*drops) DeliverMessage(*pubsub.Message) {}

// DuplicateMessage does nothing.
func (*drops) DuplicateMessage(*pubsub.Message) {}

// ThrottlePeer does nothing.
func (*drops) ThrottlePeer(peer.ID) {}

// RecvRPC does nothing.
func (*drops) RecvRPC(*pubsub.RPC) {}

// SendRPC does nothing.
func (*drops) SendRPC(*pubsub.RPC, peer.ID) {}

// SendRPCCompleted does nothing.
func (*drops) SendRPCCompleted(*pubsub.RPC, peer.ID, time.Duration) {}
