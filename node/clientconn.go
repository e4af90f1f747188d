package node

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"halos/roles"
	"halos/wire"
)

// clientQueue bounds the messages that wait for a client. The receiver's credit and
// the verdicts on a full window of deltas fit; a client that lets more pile up is cut
// off and starts over.
const clientQueue = 1024

// clientConn is the server's end of one client's ack stream.
type clientConn struct {
	tier   tier
	down   *downlink
	client string // its name in the exchange
	region string
	peer   peer.ID
	addrs  [][]byte // multiaddrs where it can be dialled
	stream network.Stream
	out    chan *wire.ToClient

	session atomic.Uint64 // set when the role has welcomed it
	models  *modelStream  // where it follows the model; the loop's

	once sync.Once
	end  chan struct{} // closed when nothing more is to be sent
}

func newClientConn(s network.Stream) *clientConn {
	return &clientConn{
		peer: s.Conn().RemotePeer(), stream: s,
		out: make(chan *wire.ToClient, clientQueue), end: make(chan struct{}),
	}
}

// handleAck reads the messages of one client until its stream ends.
func (n *Node) handleAck(ctx context.Context, s network.Stream) {
	defer abandon(s)
	in := bufio.NewReader(s)
	if err := s.SetReadDeadline(time.Now().Add(helloWait)); err != nil {
		return
	}
	var first wire.ToServer
	if err := wire.ReadMessage(in, &first, maxMessage); err != nil {
		if errors.Is(err, wire.ErrFrame) || errors.Is(err, wire.ErrTooLarge) {
			n.offences.note(s.Conn().RemotePeer(), fmt.Errorf("hello: %w", err))
		}
		return
	}
	c, hello, refusal := n.meet(s, first.GetHello())
	if refusal != nil {
		n.log.Warn("client turned away", "peer", s.Conn().RemotePeer(), "detail", refusal.GetReject().GetDetail())
		c = newClientConn(s)
		c.send(refusal)
		c.finish()
		c.write()
		if _, err := io.Copy(io.Discard, io.LimitReader(s, maxMessage)); err != nil { // until the peer has read the refusal
			n.log.Debug("the refusal was perhaps not read", "peer", c.peer, "err", err)
		}
		return
	}
	if err := s.SetReadDeadline(time.Time{}); err != nil {
		return
	}
	n.group.Go(func() error { c.write(); return nil })
	defer c.finish()
	if !n.post(event{to: c.tier.server(), ev: hello, from: c}) {
		return
	}
	err := n.listenTo(ctx, c, in)
	if ctx.Err() == nil {
		n.log.Info("client gone", "tier", c.tier, "client", c.client, "err", err)
	}
	n.post(event{to: c.tier.server(), ev: roles.ClientGone{Client: c.client, Peer: c.peer.String()}, from: c})
}

// meet checks what can be checked of a hello without the role.
func (n *Node) meet(s network.Stream, h *wire.Hello) (*clientConn, roles.Hello, *wire.ToClient) {
	turn := func(r wire.Reason, format string, args ...any) (*clientConn, roles.Hello, *wire.ToClient) {
		return nil, roles.Hello{}, rejection(r, fmt.Sprintf(format, args...))
	}
	t, err := parseTier(h.GetTier())
	if err != nil {
		return turn(wire.Reason_REASON_INVALID, "%v", err)
	}
	leases, err := intervalsOf(h.GetLeases())
	switch {
	case h.GetProtocol() != wire.ProtocolVersion:
		return turn(wire.Reason_REASON_PROTOCOL, "wire version %d, this node speaks %d", h.GetProtocol(), wire.ProtocolVersion)
	case !bytes.Equal(h.GetJob(), n.id[:]):
		return turn(wire.Reason_REASON_PROTOCOL, "job %x, this node works on %s", h.GetJob(), n.id)
	case err != nil:
		return turn(wire.Reason_REASON_INVALID, "leases: %v", err)
	case wire.CheckRegion(h.GetRegion()) != nil:
		return turn(wire.Reason_REASON_INVALID, "%v", wire.CheckRegion(h.GetRegion()))
	case n.open[t].Load() == nil:
		return turn(wire.Reason_REASON_NOT_SERVER, "this node is not the server of the %s tier", t)
	case t == regionTier && h.GetRegion() != n.cfg.Region:
		return turn(wire.Reason_REASON_NOT_SERVER, "this node serves region %s, not %s", n.cfg.Region, h.GetRegion())
	}
	c := newClientConn(s)
	if !n.boots.fresh(c.peer, h.GetStart(), h.GetBoot()) {
		return turn(wire.Reason_REASON_SESSION,
			"another node with the identity %s has connected: each machine needs a --dir of its own, do not copy one", c.peer)
	}
	c.tier, c.down = t, n.open[t].Load()
	c.region, c.client, c.addrs = h.GetRegion(), c.peer.String(), h.GetAddrs()
	if t == globalTier {
		c.client = c.region
	}
	return c, roles.Hello{
		Client: c.client, Peer: c.peer.String(), Session: h.GetSession(), Next: h.GetNext(), Oldest: h.GetOldest(),
		Leases: leases, Base: roles.ModelID{Term: termOf(h.GetBaseTerm()), Version: h.GetBaseVersion()},
	}, nil
}

// listenTo passes a client's messages on until the stream ends.
func (n *Node) listenTo(ctx context.Context, c *clientConn, in *bufio.Reader) error {
	for {
		var m wire.ToServer
		if err := wire.ReadMessage(in, &m, maxMessage); err != nil {
			if errors.Is(err, wire.ErrFrame) || errors.Is(err, wire.ErrTooLarge) {
				n.offences.note(c.peer, err)
			}
			if err == io.EOF {
				return nil
			}
			return err
		}
		var ev roles.Event
		switch b := m.GetBody().(type) {
		case *wire.ToServer_Announce:
			if err := n.announced(c, b.Announce); err != nil {
				n.offences.note(c.peer, err)
				return err
			}
			continue
		case *wire.ToServer_Seal:
			if err := c.down.rx.Seal(c.peer.String(), b.Seal, time.Now()); err != nil {
				n.offences.note(c.peer, err)
				return err
			}
			continue
		case *wire.ToServer_Ask:
			ev = askOf(c.client, b.Ask)
		case *wire.ToServer_Return:
			samples, err := intervalsOf(b.Return.GetSamples())
			if err != nil {
				n.offences.note(c.peer, fmt.Errorf("return: %w", err))
				return err
			}
			ev = roles.Return{Client: c.client, Samples: samples}
		case *wire.ToServer_Leaving:
			ev = roles.Leaving{Client: c.client}
		default:
			n.offences.note(c.peer, errors.New("a message that is none of a client's"))
			continue
		}
		if !n.post(event{to: c.tier.server(), ev: ev, from: c}) {
			return nil
		}
	}
}

// announced offers a transfer to the receiver. Only a welcomed client may.
func (n *Node) announced(c *clientConn, a *wire.Announce) error {
	if session := c.session.Load(); session == 0 || a.GetSession() != session {
		return fmt.Errorf("announce of session %d, the client's is %d", a.GetSession(), session)
	}
	return c.down.rx.Announce(c.peer.String(), a, time.Now())
}

// send queues a message. It never blocks: a client that does not read is cut off.
func (c *clientConn) send(m *wire.ToClient) {
	select {
	case <-c.end:
	case c.out <- m:
	default:
		c.reset()
	}
}

// finish sends what is queued and then ends the stream.
func (c *clientConn) finish() { c.once.Do(func() { close(c.end) }) }

// reset ends the stream at once.
func (c *clientConn) reset() {
	c.finish()
	abandon(c.stream)
}

// write sends the queued messages until finish, then those that are left. The peer
// has a second to read them and close its end, which ends the stream's reader.
func (c *clientConn) write() {
	for {
		select {
		case m := <-c.out:
			if !c.put(m) {
				return
			}
			continue
		case <-c.end:
		}
		for len(c.out) > 0 {
			if !c.put(<-c.out) {
				return
			}
		}
		if c.stream.CloseWrite() != nil || c.stream.SetReadDeadline(time.Now().Add(time.Second)) != nil {
			c.reset()
		}
		return
	}
}

func (c *clientConn) put(m *wire.ToClient) bool {
	if c.stream.SetWriteDeadline(time.Now().Add(writeWait)) != nil || wire.WriteMessage(c.stream, m) != nil {
		c.reset()
		return false
	}
	return true
}
