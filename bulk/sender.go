package bulk

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"halos/wire"
)

// ErrGreedy is a receiver that asks for the same chunks again and again: leave it.
var ErrGreedy = errors.New("asks for the same chunks again and again")

// Sender holds the frames on offer to one server, over all connections to it, and
// says which chunk to publish next. The zero value is not ready: see NewSender.
type Sender struct {
	chunk int
	ready chan struct{}

	mu      sync.Mutex
	session uint64
	offers  []*offered // ascending seq
	pace    pace       // of the connection
	heard   time.Time  // when feedback has come last
}

// NewSender returns a sender with nothing on offer.
func NewSender() *Sender { return newSender(wire.ChunkBytes) }

func newSender(chunk int) *Sender {
	return &Sender{chunk: chunk, ready: make(chan struct{}, 1), pace: newPace(chunk)}
}

// Offer adds a frame of the given bytes, at least one, and returns what to announce.
// id is drawn at random for each frame. The sender closes src once it has no more
// use for it. A frame offered before under the same seq is replaced; frames of
// another session are dropped.
func (s *Sender) Offer(session, seq, id uint64, bytes int, src Source, now time.Time) *wire.Announce {
	count := (bytes + s.chunk - 1) / s.chunk
	o := &offered{
		seq: seq, id: id, bytes: bytes, src: src, count: count, announced: true,
		due: full(count), sent: make(set, (count+63)/64), left: make([]departure, count),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if session != s.session {
		s.drop(len(s.offers))
		s.session = session
	}
	i, found := s.find(seq)
	if found {
		o.round = s.offers[i].round + 1
		s.offers[i].leave()
		s.offers[i] = o
	} else {
		s.offers = slices.Insert(s.offers, i, o)
	}
	s.heard = now
	return s.announce(o)
}

// Grown says that a source has more bytes than before.
func (s *Sender) Grown() { s.signal() }

// Reset begins a new connection: nothing is known of what the receiver holds, and
// nothing goes out before Again.
func (s *Sender) Reset(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pace, s.heard = newPace(s.chunk), now
	for _, o := range s.offers {
		o.announced = false
		o.renew()
	}
}

// Again returns what to announce, and if the frame is whole what to seal, of an
// offer that is to go out again; known is false where there is none of that name.
// An offer that is on its way needs neither: both are nil.
func (s *Sender) Again(session, seq uint64, now time.Time) (a *wire.Announce, l *wire.Seal, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.named(session, seq)
	switch {
	case o == nil:
		return nil, nil, false
	case o.announced && o.held < o.count:
		return nil, nil, true
	case o.announced: // all of it has arrived, and come to nothing
		o.renew()
	}
	o.announced = true
	s.heard = now
	return s.announce(o), s.seal(o), true
}

// Seal returns what tells the receiver that an offer is whole, nil if it is not or
// is no more on offer.
func (s *Sender) Seal(session, seq uint64) *wire.Seal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.named(session, seq); o != nil {
		return s.seal(o)
	}
	return nil
}

// Withdraw drops one offer: its source has failed.
func (s *Sender) Withdraw(session, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.named(session, seq); o != nil {
		s.remove(o)
	}
}

func (s *Sender) remove(o *offered) {
	i, _ := s.find(o.seq)
	o.leave()
	s.offers = slices.Delete(s.offers, i, i+1)
}

// Forget drops the offers of a session up to seq: decided, or no longer worth sending.
func (s *Sender) Forget(session, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session != s.session {
		return
	}
	i, found := s.find(seq)
	if found {
		i++
	}
	s.drop(i)
}

// Close drops all offers.
func (s *Sender) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(len(s.offers))
}

// Ready receives when Next may have something after it had nothing.
func (s *Sender) Ready() <-chan struct{} { return s.ready }

// Next returns the next chunk to publish, in memory of its own, and nil if there is
// none now. Earlier offers go first, within an offer lower chunks, so repairs go
// before what was never sent. No two messages are equal unless the receiver repeats
// itself. An error is ErrGreedy or that of a source, whose offer is dropped: end the
// connection.
func (s *Sender) Next(now time.Time) (message []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, i := s.pick()
	if o == nil {
		return nil, nil
	}
	if o.published > 4*o.count+256 {
		return nil, fmt.Errorf("frame %d of %d chunks: %w: %d were sent", o.seq, o.count, ErrGreedy, o.published)
	}
	o.depart(i, s.pace.depart(now))
	c := wire.Chunk{Session: s.session, Seq: o.seq, Index: uint32(i), Count: uint32(o.count), Round: o.round, Attempt: o.attempt}
	size := min(s.chunk, o.bytes-i*s.chunk)
	o.users++
	s.mu.Unlock()
	message, err = c.AppendFrom(make([]byte, 0, wire.ChunkHeaderLen+size), o.src, int64(i*s.chunk), size)
	s.mu.Lock()
	if o.users--; o.gone && o.users == 0 {
		err = errors.Join(err, o.src.Close())
	}
	if err != nil {
		if s.named(s.session, o.seq) == o {
			s.remove(o)
		}
		return nil, fmt.Errorf("chunk %d of frame %d: %w", i, o.seq, err)
	}
	return message, nil
}

// flying is how many chunks are on their way.
func (s *Sender) flying() (n int) {
	for _, o := range s.offers {
		n += max(0, o.flown-o.held)
	}
	return n
}

// pick finds the next chunk that has credit, is there to be read and fits the window.
func (s *Sender) pick() (*offered, int) {
	if s.flying() >= s.pace.window() {
		return nil, 0
	}
	for _, o := range s.offers {
		i := o.due.next(0)
		if i < o.upto && o.src.Len() >= min((i+1)*s.chunk, o.bytes) {
			return o, i
		}
	}
	return nil, 0
}

// drop forgets the first n offers.
func (s *Sender) drop(n int) {
	for _, o := range s.offers[:n] {
		o.leave()
	}
	s.offers = slices.Delete(s.offers, 0, n)
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
	return &wire.Announce{Session: s.session, Seq: o.seq, Bytes: uint64(o.bytes), Id: o.id}
}

func (s *Sender) seal(o *offered) *wire.Seal {
	sum, whole := o.src.Sum()
	if !whole {
		return nil
	}
	return &wire.Seal{Session: s.session, Seq: o.seq, Id: o.id, Sha256: sum[:]}
}

func (s *Sender) signal() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}
