package roles

import (
	"math"
	"slices"

	"halos/tensor"
)

// link is one connection between a client and its server.
type link struct {
	w              *world
	client, server *proc
	name, peer     string // what the server calls the client, and who speaks for it
	up             bool
	busy           [2][lanes]moment // when the last message of a lane arrives, by direction
}

func newLink(client *proc) *link {
	l := &link{w: client.w, client: client, server: client.server, name: client.peer, peer: client.peer, up: true}
	if client.server == client.w.gps {
		l.name = client.id
	}
	return l
}

// lane is a stream within a link. Messages of one lane arrive in order, but deltas
// overtake each other.
type lane int

const (
	acks lane = iota
	models
	deltas
	lanes
)

func (l *link) toServer(on lane, ev Event) {
	if l == nil || on == deltas && l.w.chance(l.w.lossy) {
		return
	}
	l.carry(0, on, func() { l.atServer(ev) })
}

func (l *link) toClient(on lane, ev Event) {
	if l != nil {
		l.carry(1, on, func() { l.atClient(ev) })
	}
}

// carry delivers after a while, unless the link has broken by then.
func (l *link) carry(direction int, on lane, deliver func()) {
	if !l.up {
		return
	}
	at := l.w.now + 1 + l.w.upTo(l.w.link)
	if on != deltas {
		at = max(at, l.busy[direction][on])
		l.busy[direction][on] = at
	}
	l.w.after(at-l.w.now, func() {
		if l.up {
			deliver()
		}
	})
}

// atServer hands a message to the server: the hello always, others over the link of
// the last hello only.
func (l *link) atServer(ev Event) {
	p := l.server
	if p.role == nil {
		return
	}
	hello, first := ev.(Hello)
	if !first && p.links[l.name] != l {
		return
	}
	if first && l.w.off == dedup {
		forgetNames(p, hello)
	}
	if d, ok := ev.(Delta); ok {
		d.Values = slices.Clone(d.Values)
		d.Norm = tensor.Norm(d.Values)
		p.step(d, l)
		spoil(d.Values)
		return
	}
	p.step(ev, l)
}

// atClient hands a message to the client, which closes a link that it is rejected on.
func (l *link) atClient(ev Event) {
	p := l.client
	if p.up != l {
		return
	}
	switch ev := ev.(type) {
	case Reject:
		l.up = false
		p.up = nil
		if ev.Reason == ReasonEnded {
			p.step(ev, nil)
			return
		}
		if ev.Reason != ReasonTaken {
			l.w.checks.fault("%s is turned away: %v: %s", p.id, ev.Reason, ev.Detail)
		}
		p.later(4*tick, p.connect)
	case Model:
		p.step(ev, nil)
		spoil(ev.Params)
	case Welcome:
		p.met = true
		p.step(l.w.meddled(ev), nil)
	case Marks:
		if l.w.off == keepTillSaved {
			ev.Durable = ev.Decided
		}
		p.step(ev, nil)
	default:
		p.step(ev, nil)
	}
}

// spoil makes sure that a role keeps nothing of what it only borrowed.
func spoil(values []float32) {
	for i := range values {
		values[i] = float32(math.NaN())
	}
}

// sever breaks the link. Each end notices in its own time, and the client dials
// again.
func (l *link) sever() {
	l.up = false
	c, s := l.client, l.server
	if c.role != nil {
		c.later(l.w.upTo(3*tick), func() {
			if c.up == l {
				c.up = nil
				c.step(ServerGone{}, nil)
				c.redial()
			}
		})
	}
	if s.role != nil {
		s.later(l.w.upTo(6*tick), func() {
			if s.links[l.name] == l {
				delete(s.links, l.name)
				s.step(ClientGone{Client: l.name, Peer: l.peer}, nil)
			}
		})
	}
}

func (p *proc) redial() {
	if p.role != nil {
		p.later(p.w.upTo(4*tick), p.connect)
	}
}

// meddled switches mechanisms off in a welcome.
func (w *world) meddled(ev Welcome) Welcome {
	switch w.off {
	case keepTillSaved:
		ev.Durable = ev.Decided
	case resend:
		ev.Decided = math.MaxUint64
	}
	return ev
}

// forgetNames makes a server forget which of a client's deltas it has decided.
func forgetNames(p *proc, ev Hello) {
	s := serverHalf(p.role)
	if c := s.clients[ev.Client]; c != nil && c.session == ev.Session {
		c.decided = ev.Oldest - 1
		again := intersect(s.ledger.committed, ev.Leases)
		s.ledger.committed.RemoveAll(again)
		s.ledger.free.AddAll(again)
	}
}
