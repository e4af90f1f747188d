package bulk

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"sync"

	"halos/wire"
)

// Sender holds the frames on offer to one server and says which chunk to publish
// next. The zero value is not ready: see NewSender.
type Sender struct {
	chunk int
	ready chan struct{}

	mu      sync.Mutex
	session uint64
	offers  []*offered // ascending seq
}

// offered is a frame on its way out. Chunks below upto have credit; those in due
// are to be published, with round and attempt in their header.
type offered struct {
	seq     uint64
	frame   []byte
	sha256  [32]byte
	count   int
	due     set
	upto    int
	round   uint16
	attempt uint16
}

// NewSender returns a sender with nothing on offer.
func NewSender() *Sender { return newSender(wire.ChunkBytes) }

func newSender(chunk int) *Sender { return &Sender{chunk: chunk, ready: make(chan struct{}, 1)} }

// Offer adds a frame, which must have at least one byte and stays unchanged
// until Forget, and returns what to announce. It makes a pass over the frame to
// hash it. A frame offered before under the same seq is replaced; frames of
// another session are dropped.
func (s *Sender) Offer(session, seq uint64, frame []byte) *wire.Announce {
	o := &offered{seq: seq, frame: frame, sha256: sha256.Sum256(frame), count: (len(frame) + s.chunk - 1) / s.chunk}
	o.due = full(o.count)
	s.mu.Lock()
	defer s.mu.Unlock()
	if session != s.session {
		s.session, s.offers = session, nil
	}
	i, found := s.find(seq)
	if found {
		o.round = s.offers[i].round + 1
		s.offers[i] = o
	} else {
		s.offers = slices.Insert(s.offers, i, o)
	}
	return s.announce(o)
}

// Reset takes back what it published of the offers from seq on, as if they were
// new, and returns their announces in order: with 0 after a reconnect, or with
// the seq that the server's marks want. Until the announces are sent, nothing may
// be read from the new ack stream.
func (s *Sender) Reset(seq uint64) []*wire.Announce {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, _ := s.find(seq)
	var announces []*wire.Announce
	for _, o := range s.offers[i:] {
		o.due.fill(o.count)
		o.upto = 0
		o.round++
		o.attempt = 0
		announces = append(announces, s.announce(o))
	}
	return announces
}

// Credit allows chunks of an offer to be published; one that allows fewer than
// the last takes them back. Credit for what is not on offer is ignored.
func (s *Sender) Credit(c *wire.Credit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.named(c.GetSession(), c.GetSeq()); o != nil {
		o.upto = int(min(uint64(c.GetUpto()), uint64(o.count)))
		s.signal()
	}
}

// Missing says which chunks of an offer the receiver holds and which it lacks.
func (s *Sender) Missing(m *wire.Missing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.named(m.GetSession(), m.GetSeq())
	if o == nil {
		return
	}
	o.attempt = uint16(m.GetAttempt())
	first := int(min(uint64(m.GetFirst()), uint64(o.count)))
	for i := first; i < o.count && (i-first)/8 < len(m.GetBits()); i++ {
		if m.GetBits()[(i-first)/8]>>((i-first)%8)&1 != 0 {
			o.due.add(i)
		} else {
			o.due.remove(i)
		}
	}
	s.signal()
}

// Forget drops the offers up to seq: decided, or no longer worth sending.
func (s *Sender) Forget(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := s.find(seq)
	if found {
		i++
	}
	s.offers = slices.Delete(s.offers, 0, i)
}

// Ready receives when Next may have something after it had nothing.
func (s *Sender) Ready() <-chan struct{} { return s.ready }

// Next returns the next chunk to publish, in memory of its own, and false if
// there is none now. Earlier offers go first, within an offer lower chunks, so
// repairs go before what was never sent. No two messages are equal unless the
// receiver repeats itself.
func (s *Sender) Next() (message []byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.offers {
		i := o.due.next(0)
		if i >= o.upto {
			continue
		}
		c := wire.Chunk{
			Session: s.session, Seq: o.seq, Index: uint32(i), Count: uint32(o.count), Round: o.round, Attempt: o.attempt,
			Payload: o.frame[i*s.chunk : min((i+1)*s.chunk, len(o.frame))],
		}
		message, err := c.AppendBinary(make([]byte, 0, wire.ChunkHeaderLen+len(c.Payload)))
		if err != nil {
			panic("bulk: " + err.Error()) // chunk is at most wire.ChunkBytes
		}
		o.due.remove(i)
		return message, true
	}
	return nil, false
}

func (s *Sender) find(seq uint64) (i int, found bool) {
	return slices.BinarySearchFunc(s.offers, seq, func(o *offered, seq uint64) int { return cmp.Compare(o.seq, seq) })
}

func (s *Sender) named(session, seq uint64) *offered {
	if i, found := s.find(seq); found && session == s.session {
		return s.offers[i]
	}
	return nil
}

func (s *Sender) announce(o *offered) *wire.Announce {
	return &wire.Announce{Session: s.session, Seq: o.seq, Bytes: uint64(len(o.frame)), Sha256: o.sha256[:]}
}

func (s *Sender) signal() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}
