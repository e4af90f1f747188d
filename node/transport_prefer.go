package node

import (
	"log/slog"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// watchConns notes the connections of h in the log, and has them prefer TCP.
func watchConns(h host.Host, log *slog.Logger) {
	h.Network().Notify(&network.NotifyBundle{ConnectedF: func(n network.Network, c network.Conn) {
		log.Debug("connected", "peer", c.RemotePeer(), "addr", c.RemoteMultiaddr(), "direction", c.Stat().Direction,
			"congestion", congestionOf(h, c))
		preferTCP(n, c.RemotePeer(), log)
	}})
}

// preferTCP closes the QUIC connections to a peer to which there is one over TCP. libp2p opens streams on the
// connection that has most of them, or else on the newest, so bulk would stay on QUIC, which has no BBR, for as
// long as that lasts. What was on it is opened anew.
func preferTCP(n network.Network, p peer.ID, log *slog.Logger) {
	var tcp bool
	var quic []network.Conn
	for _, c := range n.ConnsToPeer(p) {
		switch a := c.RemoteMultiaddr(); {
		case has(a, ma.P_CIRCUIT) || c.IsClosed():
		case has(a, ma.P_TCP):
			tcp = true
		case has(a, ma.P_QUIC_V1):
			quic = append(quic, c)
		}
	}
	if !tcp {
		return
	}
	for _, c := range quic {
		log.Debug("closing for another connection, over TCP", "peer", p, "addr", c.RemoteMultiaddr())
		_ = c.Close() // fails where the peer has done the same
	}
}

// has says whether a protocol is part of a.
func has(a ma.Multiaddr, protocol int) bool {
	_, err := a.ValueForProtocol(protocol)
	return err == nil
}
