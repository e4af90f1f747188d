package bulk

import (
	"slices"

	"halos/wire"
)

// Event is something the owner of a Receiver must act on. Exactly one of Send,
// Frame and Err is set.
type Event struct {
	Peer         string
	Send         *wire.ToClient // Credit or Missing, for the peer's ack stream; pointless once that has ended
	Session, Seq uint64         // of the frame or the failed transfer
	Frame        []byte         // complete and equal to its SHA-256; lent until Release
	Err          error          // the transfer failed: end the peer's ack stream, so that it starts over
}

// Ready receives when Events may have something.
func (r *Receiver) Ready() <-chan struct{} { return r.ready }

// Events returns what has come up since the last call, nil if nothing has. One
// goroutine calls it and acts in order.
func (r *Receiver) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events = nil
	for _, p := range r.dirty {
		p.dirty = false
		if p.live && p.active != nil {
			events = append(events, p.messages()...)
		}
	}
	clear(r.dirty)
	r.dirty = r.dirty[:0]
	return events
}

// messages are the Credit and the Missing due. A Missing goes first, so that the
// sender of a resumed transfer does not begin with what is held already, unless
// credit is taken back.
func (p *peer) messages() []Event {
	var events []Event
	t := p.active
	if t.asking {
		t.asking = false
		if m := t.missing(); m != nil {
			events = append(events, Event{Peer: p.name, Send: &wire.ToClient{Body: &wire.ToClient_Missing{Missing: m}}})
		}
	}
	if t.granted != t.told {
		lower := t.granted < t.told
		t.told = t.granted
		c := &wire.Credit{Session: t.session, Seq: t.seq, Upto: uint32(t.granted)}
		events = append(events, Event{Peer: p.name, Send: &wire.ToClient{Body: &wire.ToClient_Credit{Credit: c}}})
		if lower {
			slices.Reverse(events)
		}
	}
	return events
}

func (r *Receiver) emit(e Event) {
	r.events = append(r.events, e)
	r.signal()
}

// touch notes that messages for p may be due.
func (r *Receiver) touch(p *peer) {
	if !p.dirty {
		p.dirty = true
		r.dirty = append(r.dirty, p)
	}
	r.signal()
}

func (r *Receiver) signal() {
	select {
	case r.ready <- struct{}{}:
	default:
	}
}
