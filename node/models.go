package node

import (
	"bufio"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"halos/codec"
	"halos/roles"
	"halos/wire"
)

// modelPiece is what a model stream writes under one deadline.
const modelPiece = 256 << 10

// modelFrame is one version of a server's model, encoded once for all clients.
type modelFrame struct {
	id      roles.ModelID
	header  wire.ModelHeader
	payload []byte
	seal    sync.Once // checksums are made off the loop
}

// frame returns the encoded model of m, which is copied if it is a new version.
func (d *downlink) frame(m roles.Model) *modelFrame {
	if d.newest != nil && d.newest.id == m.ID {
		return d.newest
	}
	c := codec.F32
	d.newest = &modelFrame{
		id:      m.ID,
		header:  wire.ModelHeader{Codec: uint8(c), Term: m.ID.Term.Counter, Version: m.ID.Version, Elements: uint64(len(m.Params))},
		payload: c.Append(make([]byte, 0, c.EncodedLen(len(m.Params))), m.Params),
	}
	return d.newest
}

// modelStream is the server's end of a client's model stream.
type modelStream struct {
	peer   peer.ID
	stream network.Stream
	frames chan addressed // one: a client has credit for one, and the newest wins
}

// addressed is a frame with what its header says to one client.
type addressed struct {
	frame               *modelFrame
	contains, committed uint64
}

// offer queues a frame in the place of one that has not gone out. Only the loop
// calls it.
func (s *modelStream) offer(f *modelFrame, m roles.Model) {
	select {
	case <-s.frames:
	default:
	}
	s.frames <- addressed{f, m.Contains, m.Committed}
}

// attach makes the stream of a Follow the one where its client gets models.
func (n *Node) attach(e event) bool {
	f, ok := e.ev.(roles.Follow)
	if !ok {
		return false
	}
	c := n.down[tierAbove(e.to)].conn(f.Client)
	if c == nil || c.peer != e.on.peer {
		return false
	}
	c.models = e.on
	return true
}

// handleModel reads Follows and writes models until either end has enough.
func (n *Node) handleModel(ctx context.Context, s network.Stream) {
	m := &modelStream{peer: s.Conn().RemotePeer(), stream: s, frames: make(chan addressed, 1)}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n.group.Go(func() error {
		defer abandon(s)
		if err := m.write(ctx); err != nil {
			n.log.Debug("model stream ended", "peer", m.peer, "err", err)
		}
		return nil
	})
	in := bufio.NewReader(s)
	for {
		var f wire.Follow
		if err := wire.ReadMessage(in, &f, maxMessage); err != nil {
			return
		}
		t, err := parseTier(f.GetTier())
		if err != nil {
			n.offences.note(m.peer, err)
			return
		}
		follow := roles.Follow{
			Client: m.peer.String(), Contains: f.GetContains(),
			Have: roles.ModelID{Term: termOf(f.GetTerm()), Version: f.GetVersion()},
		}
		if t == globalTier {
			follow.Client = f.GetRegion()
		}
		if !n.post(event{to: t.server(), ev: follow, on: m}) {
			return
		}
	}
}

func (s *modelStream) write(ctx context.Context) error {
	for {
		var a addressed
		select {
		case a = <-s.frames:
		case <-ctx.Done():
			return nil
		}
		f := a.frame
		f.seal.Do(func() { f.header.Seal(f.payload) })
		h := f.header
		h.Contains, h.Committed = a.contains, a.committed
		head, err := h.AppendBinary(make([]byte, 0, wire.ModelHeaderLen))
		if err != nil {
			return fmt.Errorf("model version %d: %w", h.Version, err)
		}
		if err := writePieces(s.stream, head, f.payload); err != nil {
			return fmt.Errorf("model version %d: %w", h.Version, err)
		}
	}
}

// writePieces writes head and payload; the stream must take each piece in time.
func writePieces(s network.Stream, head, payload []byte) error {
	for b := head; ; {
		if err := s.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
			return err
		}
		if _, err := s.Write(b); err != nil {
			return err
		}
		if len(payload) == 0 {
			return nil
		}
		n := min(len(payload), modelPiece)
		b, payload = payload[:n], payload[n:]
	}
}
