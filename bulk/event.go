package bulk

import (
	"slices"

	"halos/wire"
)

// Event is something the owner of a Receiver must act on. Exactly one of Send, Err
// and Wait is set.
type Event struct {
	Peer         string
	Send         *wire.ToClient // Credit or Missing, for the peer's stream; pointless once that has ended
	Session, Seq uint64         // of the transfer
	Err          error          // the transfer failed: end the peer's stream, so that it starts over
	Wait         error          // there is no room for the transfer yet: say so
}

// Ready receives when Events may have something.
func (r *Receiver) Ready() <-chan struct{} { return r.ready }

// Arrived receives when Work may have something to do.
func (r *Receiver) Arrived() <-chan struct{} { return r.arrived }

// Complete receives when Take may have something.
func (r *Receiver) Complete() <-chan struct{} { return r.complete }

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

// Take returns the next whole frame. Those of one peer come in the order in which it
// announced them.
func (r *Receiver) Take() (a Arrival, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.whole) == 0 {
		return Arrival{}, false
	}
	a = r.whole[0]
	r.whole = slices.Delete(r.whole, 0, 1)
	return a, true
}

// messages are the Credit and the Missing due. A Missing goes first, so that the
// sender of a resumed transfer does not begin with what is held already, unless
// credit is taken back.
func (p *peer) messages() []Event {
	var events []Event
	t := p.active
	say := func(m *wire.ToClient) {
		events = append(events, Event{Peer: p.name, Send: m, Session: t.session, Seq: t.seq})
	}
	if t.asking {
		t.asking = false
		if m := t.missing(); m != nil {
			say(&wire.ToClient{Body: &wire.ToClient_Missing{Missing: m}})
		}
	}
	if t.granted != t.told || t.held != t.acked {
		lower := t.granted < t.told
		t.told, t.acked = t.granted, t.held
		c := &wire.Credit{
			Session: t.session, Seq: t.seq, Upto: uint32(t.granted), Held: uint32(t.held), Last: uint32(t.last),
		}
		say(&wire.ToClient{Body: &wire.ToClient_Credit{Credit: c}})
		if lower {
			slices.Reverse(events)
		}
	}
	return events
}

func (r *Receiver) emit(e Event) {
	r.events = append(r.events, e)
	signal(r.ready)
}

// touch notes that messages for p may be due.
func (r *Receiver) touch(p *peer) {
	if !p.dirty {
		p.dirty = true
		r.dirty = append(r.dirty, p)
	}
	signal(r.ready)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
