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
	n.moved.Store(time.Now().UnixNano())
	n.alive(p)
}

// stuck reports that draining leads nowhere.
func (n *Node) stuck() bool {
	now := time.Now()
	since := now.Sub(n.drained)
	return since > drainLimit || since > drainPatience && now.Sub(time.Unix(0, n.moved.Load())) > drainPatience
}
