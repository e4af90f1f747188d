package roles

import "math"

// mechanism is a part of the exchange that a test can switch off, to see that the
// checks notice.
type mechanism string

const (
	nothing         mechanism = ""
	keepTillServed  mechanism = "deltas are kept until they are decided"       // off: dropped when sent
	keepTillSaved   mechanism = "deltas are kept until they are durable"       // off: dropped when decided
	durableMark     mechanism = "a durable mark says what the snapshot holds"  // off: what has been decided since, too
	outputCommit    mechanism = "a push leaves once its state is durable"      // off: at once
	resend          mechanism = "undecided deltas are sent again"              // off: never
	dedup           mechanism = "a name is decided once"                       // off: forgotten at each hello
	refusalAdvances mechanism = "a refusal is a verdict"                       // off: the refused delta is asked for again
	reclaimCheck    mechanism = "samples that were taken back are refused"     // off: applied
	oneSnapshot     mechanism = "table and model are one snapshot"             // off: the table is never put back
	olderSlot       mechanism = "a snapshot stays until the next one is named" // off: the next is written over it
	atLeastK        mechanism = "a push leaves at K updates or more"           // off: at K only
	giveBack        mechanism = "an abandoned region gives samples back"       // off: it keeps them
	reclaim         mechanism = "samples of the gone are reclaimed"            // off: never
	farewell        mechanism = "a server waits for clients at the end"        // off: it stops at once
)

// without holds, for the mechanisms that can be taken from a role at the moment it
// would use them, how: each function may change the role that p runs, and returns
// what the role sees in place of an event. The others are switched off where the
// world does their part.
var without = map[mechanism]func(p *proc, ev Event) Event{
	keepTillSaved: func(_ *proc, ev Event) Event {
		switch ev := ev.(type) {
		case Marks:
			ev.Durable = ev.Decided
			return ev
		case Welcome:
			ev.Durable = ev.Decided
			return ev
		}
		return ev
	},
	durableMark: func(p *proc, ev Event) Event {
		if _, ok := ev.(SnapshotDone); ok {
			s := serverHalf(p.role)
			for name, c := range s.clients {
				s.snap.marks[name] = mark{c.session, c.decided}
			}
		}
		return ev
	},
	resend: func(_ *proc, ev Event) Event {
		if w, ok := ev.(Welcome); ok {
			w.Decided = math.MaxUint64
			return w
		}
		return ev
	},
	dedup: func(p *proc, ev Event) Event {
		if h, ok := ev.(Hello); ok {
			forgetNames(serverHalf(p.role), h)
		}
		return ev
	},
	reclaimCheck: func(p *proc, ev Event) Event {
		if d, ok := ev.(Delta); ok {
			serverHalf(p.role).ledger.lease(d.Client, d.Samples)
		}
		return ev
	},
	atLeastK: func(p *proc, ev Event) Event {
		if l, ok := p.role.(*LPS); ok {
			_, adds := ev.(Delta)
			l.cfg.K = p.w.cfg.K
			if k := uint64(l.cfg.K); l.updates > k || l.updates == k && adds {
				l.cfg.K = math.MaxInt
			}
		}
		return ev
	},
	reclaim: func(p *proc, ev Event) Event {
		if s := serverHalf(p.role); s != nil && ev == (Tick{}) {
			for _, c := range s.clients {
				c.gone = 0
			}
		}
		return ev
	},
	farewell: func(p *proc, ev Event) Event {
		if s := serverHalf(p.role); s != nil && s.ended && ev == (Tick{}) {
			for _, c := range s.clients {
				c.leaving = true
			}
		}
		return ev
	},
}

// forgetNames makes a server forget which of a client's deltas it has decided.
func forgetNames(s *server, h Hello) {
	if c := s.clients[h.Client]; c != nil && c.session == h.Session {
		c.decided = h.Oldest - 1
		again := intersect(s.ledger.committed, h.Leases)
		s.ledger.committed.RemoveAll(again)
		s.ledger.free.AddAll(again)
	}
}

// takeBack makes the refusals among a server's actions no verdicts.
func takeBack(s *server, acts []Action) {
	for _, a := range acts {
		r, ok := a.(Refused)
		if !ok {
			continue
		}
		s.clients[r.Client].decided = r.Seq - 1
		for i, a := range acts {
			if m, ok := a.(Marks); ok && m.Client == r.Client {
				m.Decided = r.Seq - 1
				acts[i] = m
			}
		}
	}
}
