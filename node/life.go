package node

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// alive takes the progress of a transfer from or to a peer for a sign of its life: on a
// slow link its presence may be late.
func (n *Node) alive(p peer.ID) { n.roster.stir(p) }

// delivered notes that a server has taken a part of what this node has for it.
func (n *Node) delivered(p peer.ID) {
	now := time.Now()
	n.moved.Store(&now)
	n.alive(p)
}

// stuck reports that draining leads nowhere.
func (n *Node) stuck() bool {
	now := time.Now()
	since := now.Sub(n.drained)
	moved := n.moved.Load()
	return since > drainLimit || since > drainPatience && (moved == nil || now.Sub(*moved) > drainPatience)
}
