package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"halos/bulk"
	"halos/roles"
	"halos/wire"
)

// modelStream is the server's end of a client's model stream.
type modelStream struct {
	n       *Node
	peer    peer.ID
	stream  network.Stream
	mu      sync.Mutex // for what goes into frames, and their end
	ended   bool
	frames  chan addressed // one: a client has credit for one, and the newest wins
	sender  *bulk.Sender
	begun   atomic.Bool   // the client has acknowledged a part of the model that is being sent
	partial atomic.Uint64 // id of the transfer of which the client said last that it holds a part
	needs   uint64        // last seq of the client's deltas that it wants in the model; the loop's
}

// addressed is a frame with what its header says to one client. Who has it holds the
// frame.
type addressed struct {
	frame               *modelFrame
	contains, committed uint64
}

// offer queues a frame in the place of one that has not gone out. A transfer that
// broke off is finished first if it will do. Only the loop calls it.
func (s *modelStream) offer(f *modelFrame, m roles.Model) {
	a := addressed{f, m.Contains, m.Committed}
	if kept, ok := s.n.parts.take(s.peer, s.partial.Load(), s.needs); ok {
		a = kept
	} else {
		f.hold()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.empty()
	if s.ended {
		a.close()
		return
	}
	s.frames <- a
}

// empty closes a frame that has not gone out.
func (s *modelStream) empty() {
	select {
	case old := <-s.frames:
		old.close()
	default:
	}
}

// end closes what has not gone out, and what is offered from now on.
func (s *modelStream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.empty()
}

func (a addressed) close() { a.frame.close() }

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
	e.on.needs = f.Contains
	c.models = e.on
	return true
}

// handleModel reads what a client says and writes models until either end has enough.
func (n *Node) handleModel(ctx context.Context, s network.Stream) {
	m := &modelStream{n: n, peer: s.Conn().RemotePeer(), stream: s, frames: make(chan addressed, 1), sender: bulk.NewSender()}
	ctx, cancel := context.WithCancel(ctx)
	var writing sync.WaitGroup
	writing.Go(func() {
		defer abandon(s)
		if err := m.write(ctx); err != nil {
			n.log.Debug("model stream ended", "peer", m.peer, "err", err)
		}
	})
	defer writing.Wait()
	defer cancel()
	in := bufio.NewReader(s)
	for {
		var said wire.FromFollower
		if err := wire.ReadMessage(in, &said, maxMessage); err != nil {
			if err != io.EOF {
				n.log.Debug("model stream", "peer", m.peer, "err", err)
			}
			return
		}
		switch b := said.GetBody().(type) {
		case *wire.FromFollower_Credit:
			if m.sender.Credit(b.Credit, time.Now()) {
				m.begun.Store(true)
				n.alive(m.peer)
			}
		case *wire.FromFollower_Missing:
			m.sender.Missing(b.Missing, time.Now())
		case *wire.FromFollower_Follow:
			if !n.followed(m, b.Follow) {
				return
			}
		default:
			n.offences.note(m.peer, errors.New("a message that is none of a follower's"))
			return
		}
	}
}

// followed hands a Follow to the loop.
func (n *Node) followed(m *modelStream, f *wire.Follow) bool {
	t, err := parseTier(f.GetTier())
	if err != nil {
		n.offences.note(m.peer, err)
		return false
	}
	follow := roles.Follow{
		Client: m.peer.String(), Contains: f.GetContains(),
		Have: roles.ModelID{Term: termOf(f.GetTerm()), Version: f.GetVersion()},
	}
	if t == globalTier {
		follow.Client = f.GetRegion()
	}
	m.partial.Store(f.GetPartial())
	return n.post(event{to: t.server(), ev: follow, on: m})
}

// write sends one model after the other. The one that is broken off is kept for a
// while.
func (s *modelStream) write(ctx context.Context) error {
	defer s.end()
	for {
		var a addressed
		select {
		case a = <-s.frames:
		case <-ctx.Done():
			return nil
		}
		s.begun.Store(false)
		err := s.send(ctx, a)
		if err == nil && ctx.Err() == nil {
			a.close()
			continue
		}
		if s.begun.Load() && !a.frame.failed.Load() {
			s.n.parts.keep(s.peer, a)
		} else {
			a.close()
		}
		return err
	}
}

// send writes one model and returns when the client has all of it.
func (s *modelStream) send(ctx context.Context, a addressed) error {
	h := a.frame.header
	h.Contains, h.Committed = a.contains, a.committed
	head, err := h.AppendBinary(make([]byte, 0, wire.ModelHeaderLen))
	if err != nil {
		return err
	}
	s.sender.Offer(h.Term, h.Version, h.ID, int(h.Length), a.frame.hold(), time.Now())
	defer s.sender.Close() // but for what it knows of the path
	a.frame.tell(s.sender)
	defer a.frame.leave(s.sender)
	if err := s.put(head); err != nil {
		return fmt.Errorf("model version %d: %w", h.Version, err)
	}
	sealed := false
	feed := s.n.newFeed(s.sender, s.peer)
	defer feed.stop()
	for {
		chunk, err := feed.next(ctx, func() (bool, error) {
			var err error
			switch {
			case a.frame.failed.Load():
				err = errors.New("it could not be spooled")
			case !sealed:
				sealed, err = s.putSeal(s.sender.Seal(h.Term, h.Version))
			}
			return sealed && s.sender.Done(), err
		})
		if err == nil && chunk != nil {
			err = s.put(chunk)
		}
		if err != nil {
			return fmt.Errorf("model version %d: %w", h.Version, err)
		}
		if chunk == nil {
			return nil
		}
	}
}

// putSeal writes a seal, if there is one yet.
func (s *modelStream) putSeal(seal *wire.Seal) (done bool, err error) {
	if seal == nil {
		return false, nil
	}
	b, err := wire.AppendSeal(nil, seal)
	if err != nil {
		return false, err
	}
	return true, s.put(b)
}

// put writes one frame; the stream must take it in time.
func (s *modelStream) put(b []byte) error {
	if err := s.stream.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
		return err
	}
	_, err := s.stream.Write(b)
	return err
}
