package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/x/rate"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	// A server holds a connection per client and one per neighbour of its control topics. Above the high
	// mark idle ones are closed down to the low mark; protected ones (the servers' clients) stay.
	lowConns, highConns = 512, 768
	// maxConns is refused beyond, protected or not.
	maxConns = 1024
	// maxConnsPerAddr bounds one IPv4 address or IPv6 /56: an institute may sit behind a single NAT.
	maxConnsPerAddr = 256
	// quicDelay is the start that TCP dials get before QUIC is tried: QUIC has no BBR, so over a loss of 0.1 %
	// it moves a tenth of what TCP does, and without any loss it costs 2.5 to 3 times the CPU. It is longer than
	// libp2p lets TCP take to connect; where all TCP dials have failed QUIC follows at once. With 2 s, 3 % of
	// the dials over 100 ms and a loss of 5 % ended on QUIC, with this none of 60.
	quicDelay = 6 * time.Second
	// A connection that carries nothing for silence is asked for a sign of life, which has yamux's 10 s to
	// come: a link that was cut is given up after 15 s and dialled anew, where TCP alone, which doubles its
	// pauses, would let as long again pass after the link has healed. Nodes hear of each other every 2 s, so
	// the question is rare.
	silence = 5 * time.Second
	// streamWindow is what one end of a stream may send before the other has read it. It does not grow: each
	// time that one does, yamux 5.1 forgets to grant half of what it was (Stream.sendWindowUpdate; go-yamux
	// #136 shows what follows), and then each half of it ends in a pause of a round trip. With BBR, 100 Mbit/s,
	// 100 ms and a loss of 1 % a stream moves 92 Mbit/s by this window, 73 by one that grows.
	streamWindow = 8 << 20
	// longestMessage is what yamux sends in one piece. It queues 64 of them before those who write wait, and
	// a short answer waits behind those. It is a TLS record; shorter ones cost more time than they save.
	longestMessage = 16 << 10
	// streamsPerPeer is how many streams a peer can have opened to this node; it can make each of them hold
	// streamWindow.
	streamsPerPeer = 32
)

// hostOptions say how this process takes part in the network.
type hostOptions struct {
	Key    crypto.PrivKey
	Listen []string       // multiaddrs; empty: TCP and QUIC on all interfaces, ports chosen by the system
	Before []ma.Multiaddr // where this node listened last; where Listen leaves a port open, it is tried first

	// DialTCP, if set, dials all connections, and the host speaks nothing but TCP. For emulated links.
	DialTCP func(ctx context.Context, network, addr string) (net.Conn, error)

	Congestion string // control of the TCP sockets, an error where it cannot be had; "": the best there is
	Stripes    int    // sockets of each connection; 0: what the congestion control and the distance call for

	// simulated, if set, brings a transport of its own and the address to listen on. For tests.
	simulated []libp2p.Option

	Gater *offences // who is shut out; nil: nobody

	UserAgent string // what identify tells others, such as "halos/1.2"
	Log       *slog.Logger
}

// dialFunc is the net.Dialer of hostOptions.DialTCP.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// DialContext calls d.
func (d dialFunc) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return d(ctx, network, addr)
}

// newHost makes a host and listens. Connections are TLS 1.3 or Noise, streams are multiplexed by yamux or
// QUIC. It neither relays nor offers services to strangers, and asks a NAT in front of it to forward its
// ports unless it listens on loopback only. The traffic counts all its streams.
func newHost(o hostOptions) (host.Host, *traffic, error) {
	want, err := parseListen(o.Listen, o.DialTCP != nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	limits, err := newResourceManager()
	if err != nil {
		return nil, nil, fmt.Errorf("resource limits: %w", err)
	}
	conns, err := connmgr.NewConnManager(lowConns, highConns)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("connection limits: %w", err), limits.Close())
	}
	socks, err := newSockets(o, limits)
	if err != nil {
		return nil, nil, errors.Join(err, conns.Close(), limits.Close())
	}
	count := newTraffic()
	opts := []libp2p.Option{
		libp2p.Identity(o.Key),
		libp2p.NoListenAddrs, // listen() reports failures one by one
		libp2p.ResourceManager(limits),
		libp2p.ConnectionManager(conns),
		libp2p.BandwidthReporter(count),
		libp2p.UserAgent(o.UserAgent),
		libp2p.DialRanker(rankDials),
		libp2p.Muxer(yamux.ID, muxer()),
		// A server that is away for ten minutes is no sign that IPv6 or UDP lead nowhere.
		libp2p.IPv6BlackHoleSuccessCounter(nil),
		libp2p.UDPBlackHoleSuccessCounter(nil),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
	}
	opts = append(opts, transports(o, socks)...)
	if o.Gater != nil {
		opts = append(opts, libp2p.ConnectionGater(o.Gater))
	}
	outside := func(a ma.Multiaddr) bool { return !manet.IsIPLoopback(a) }
	if o.DialTCP == nil && slices.ContainsFunc(want, outside) {
		opts = append(opts, libp2p.NATPortMap())
	}
	h, err := libp2p.New(append(opts, o.simulated...)...)
	if err != nil {
		return nil, nil, fmt.Errorf("start libp2p: %w", err)
	}
	watchConns(h, o.Log)
	if o.simulated != nil {
		return h, count, nil // it listens already
	}
	if err := listen(h, want, o.Before, len(o.Listen) > 0, o.Log); err != nil {
		return nil, nil, errors.Join(err, h.Close())
	}
	return h, count, nil
}

// muxer is libp2p's, but for bulk over long links, and quicker to notice that a connection is dead.
func muxer() *yamux.Transport {
	t := *yamux.DefaultTransport
	t.KeepAliveInterval = silence
	t.InitialStreamWindowSize, t.MaxStreamWindowSize = streamWindow, streamWindow
	t.MaxMessageSize = longestMessage
	return &t
}

// transports are TCP and QUIC, or TCP alone through o.DialTCP.
func transports(o hostOptions, s *sockets) []libp2p.Option {
	if o.DialTCP != nil {
		return []libp2p.Option{libp2p.Transport(newTCP(s, dialFunc(o.DialTCP)))}
	}
	// quic-go prints a hint about socket buffers past any logger.
	const quiet = "QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING"
	if os.Getenv(quiet) == "" {
		os.Setenv(quiet, "true")
	}
	return []libp2p.Option{libp2p.Transport(newTCP(s, s)), libp2p.Transport(quic.NewTransport)}
}

// unlimitedPrefixes is loopback, where whole jobs run on one address.
var unlimitedPrefixes = []rate.PrefixLimit{
	{Prefix: netip.MustParsePrefix("127.0.0.0/8")}, {Prefix: netip.MustParsePrefix("::1/128")},
}

// newResourceManager bounds what strangers can make this process hold. The limits differ from libp2p's
// where those would throttle a server's bulk: their 16 connections per address, then one each 5 s, lock
// out sites behind one NAT, and a protocol's memory is what lets the windows of its streams grow.
func newResourceManager() (network.ResourceManager, error) {
	limits := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&limits)
	for _, l := range []*rcmgr.BaseLimit{&limits.SystemBaseLimit, &limits.TransientBaseLimit} {
		l.Conns, l.ConnsInbound, l.ConnsOutbound, l.FD = maxConns, maxConns, maxConns, maxConns
	}
	limits.SystemBaseLimit.Memory = 512 << 20
	limits.ProtocolBaseLimit.Memory = 512 << 20
	limits.ProtocolPeerBaseLimit.Memory = 64 << 20
	limits.PeerBaseLimit.Memory = 128 << 20
	limits.PeerBaseLimit.StreamsInbound, limits.PeerLimitIncrease.StreamsInbound = streamsPerPeer, 0

	perSite := rate.Limit{RPS: 8, Burst: maxConnsPerAddr}
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits.AutoScale()),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: maxConnsPerAddr}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: maxConnsPerAddr}}),
		rcmgr.WithConnRateLimiters(&rate.Limiter{
			NetworkPrefixLimits: unlimitedPrefixes,
			SubnetRateLimiter: rate.SubnetLimiter{
				IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: perSite}},
				IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: perSite}},
				GracePeriod:      time.Minute,
			},
		}))
}

// rankDials dials TCP addresses first and the others quicDelay later, each group in libp2p's order.
func rankDials(addrs []ma.Multiaddr) []network.AddrDelay {
	var first, later []ma.Multiaddr
	for _, a := range addrs {
		if _, err := a.ValueForProtocol(ma.P_TCP); err == nil {
			first = append(first, a)
		} else {
			later = append(later, a)
		}
	}
	ranked, rest := swarm.DefaultDialRanker(first), swarm.DefaultDialRanker(later)
	for _, r := range rest {
		if len(first) > 0 {
			r.Delay += quicDelay
		}
		ranked = append(ranked, r)
	}
	return ranked
}

// abandon ends a stream that is of no more use, for both ends at once.
func abandon(s network.Stream) {
	_ = s.Reset() // fails only where it is over already
}
