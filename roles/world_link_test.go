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
	held           []func()         // what arrives when a partition has healed, in order
}

func newLink(client *proc) *link {
	return &link{w: client.w, client: client, server: client.server, name: client.name(), peer: client.peer, up: true}
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
	if l == nil {
		return
	}
	deliver := func() { l.atServer(ev) }
	if on == deltas {
		if l.w.chance(l.w.lossy) {
			l.w.happened["lost deltas"]++
			return
		}
		if l.w.chance(l.w.twice) {
			l.w.happened["doubled deltas"]++
			l.w.after(l.w.upTo(8*l.w.link), func() { l.carry(0, on, deliver) })
		}
	}
	l.carry(0, on, deliver)
}

func (l *link) toClient(on lane, ev Event) {
	if l != nil {
		l.carry(1, on, func() { l.atClient(ev) })
	}
}

// lateness bounds the delay of a late message: less than a server waits at the end.
const lateness = 20 * tick

// carry delivers after a while, unless the link has broken by then. Across a
// partition streams wait, as TCP does, and deltas may be lost.
func (l *link) carry(direction int, on lane, deliver func()) {
	w := l.w
	if !l.up {
		return
	}
	at := w.now + 1 + w.upTo(w.link)
	if w.chance(w.late) {
		w.happened["late messages"]++
		at += w.upTo(lateness)
		l.client.jolt()
	}
	if on != deltas {
		at = max(at, l.busy[direction][on])
		l.busy[direction][on] = at
	}
	w.after(at-w.now, func() {
		switch {
		case !l.up || l.cut() && on == deltas && w.chance(0.5):
		case l.cut():
			l.held = append(l.held, deliver)
		default:
			deliver()
		}
	})
}

// cut reports that the ends are on two sides of a partition.
func (l *link) cut() bool { return l.client.side != l.server.side }

// resume delivers what was held.
func (l *link) resume() {
	held := l.held
	l.held = nil
	for _, deliver := range held {
		if l.up {
			deliver()
		}
	}
}

// atServer hands a message to the server: the hello always, others over the link of
// the last hello only.
func (l *link) atServer(ev Event) {
	p := l.server
	if p.role == nil {
		return
	}
	if _, first := ev.(Hello); !first && p.links[l.name] != l {
		return
	}
	if _, back := ev.(Hello); back {
		l.client.left = false
	}
	if d, ok := ev.(Delta); ok {
		d.Values = slices.Clone(d.Values)
		d.Norm = tensor.Norm(d.Values)
		if l.w.chance(l.w.poison) {
			l.w.happened["poisoned deltas"]++
			d.Norm = math.NaN()
		}
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
			l.w.checks.robbed[p.id] = true
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
		l.w.checks.welcomed(p, ev)
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
