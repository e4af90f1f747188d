package node

import (
	"log/slog"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
)

// preferTCP has what runs between h and a peer run over TCP where both protocols connect them: libp2p opens
// streams on the connection that has most of them, or else on the newest, so bulk may be on QUIC for as long as
// that lasts. The QUIC connections are closed, and what was on them is opened anew. It notes each connection in
// the log.
func preferTCP(h host.Host, log *slog.Logger) {
	h.Network().Notify(&network.NotifyBundle{ConnectedF: func(n network.Network, c network.Conn) {
		log.Debug("connected", "peer", c.RemotePeer(), "to", c.RemoteMultiaddr(), "dialled", c.Stat().Direction == network.DirOutbound,
			"congestion", congestionOf(h, c))
		var tcp bool
		var quic []network.Conn
		for _, c := range n.ConnsToPeer(c.RemotePeer()) {
			switch a := c.RemoteMultiaddr(); {
			case has(a, ma.P_CIRCUIT) || c.IsClosed():
			case has(a, ma.P_TCP):
				tcp = true
			case has(a, ma.P_QUIC_V1):
				quic = append(quic, c)
			}
		}
		for _, c := range quic {
			if tcp && c.Close() == nil {
				log.Debug("closed for the one over TCP", "peer", c.RemotePeer(), "to", c.RemoteMultiaddr())
			}
		}
	}})
}

// has says whether a protocol is part of a.
func has(a ma.Multiaddr, protocol int) bool {
	_, err := a.ValueForProtocol(protocol)
	return err == nil
}
