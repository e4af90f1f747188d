package testnet

import (
	"slices"

	"halos/node"
)

// Deltas counts, by their names, the deltas of workers and the pushes of regions.
// Each sent one is applied, refused, in an outbox or lost.
type Deltas struct {
	Sent       int `json:"sent"`
	Applied    int `json:"applied"`
	Refused    int `json:"refused"`
	InOutbox   int `json:"in_outbox"`  // not decided; the sender still holds it
	Lost       int `json:"lost"`       // not decided, and its sender has dropped it or a server has given it up
	Duplicated int `json:"duplicated"` // applied more than once, and counted once as applied
}

// name is what a delta is called at its sender and at every server.
type name struct {
	tier, client string
	session, seq uint64
}

// fate is what is known of one delta. Senders and servers write to different
// files, so its parts come to be known in any order.
type fate struct {
	released bool // by its sender
	givenUp  bool // by a server
	refused  bool
	applied  int // times, by all servers
}

// server is one server half: a node's directory and the tier it serves.
type server struct {
	journal int
	tier    string
}

// application is one entry of what a server has applied and may still lose by
// going on from an older snapshot.
type application struct {
	delta   name
	version uint64
	samples [][2]uint64 // committed with it: half-open ranges
}

// session is one start of a node.
type session struct {
	node   string
	number uint64
}

// ledger follows the fate of every delta. What a server applied after the snapshot
// from which it goes on never happened: those records are void, and the delta must
// be applied once more.
type ledger struct {
	fates   map[name]fate
	samples map[name][][2]uint64 // of pushes, as their senders named them: half-open ranges
	applied map[server][]application
	running map[int]session  // by journal: its last start
	ended   map[session]bool // those that ended by themselves
}

func newLedger() ledger {
	return ledger{fates: make(map[name]fate), samples: make(map[name][][2]uint64), applied: make(map[server][]application),
		running: make(map[int]session), ended: make(map[session]bool)}
}

// add takes the next record of a journal; the order within one journal counts.
func (l *ledger) add(journal int, r node.Record) {
	delta := name{tier: r.Tier, client: r.Client, session: r.Session, seq: r.Seq}
	at := server{journal: journal, tier: r.Tier}
	f := l.fates[delta]
	switch r.Event {
	case node.EventStart:
		l.running[journal] = session{r.Node, r.Session}
		return
	case node.EventStop:
		l.ended[l.running[journal]] = true
		return
	case node.EventSent:
		if r.Tier == node.TierGlobal {
			l.samples[delta] = r.Samples // where one never left, a restarted LPS names another in its place
		}
	case node.EventReleased:
		f.released = true
	case node.EventLost:
		f.givenUp = true
	case node.EventRefused:
		f.refused = true
	case node.EventApplied:
		f.applied++
		l.applied[at] = append(l.applied[at], application{delta, r.Version, r.Samples})
	case node.EventRestored:
		l.restore(at, r.Version)
		return
	default:
		return
	}
	l.fates[delta] = f
}

// restore voids what a server applied beyond version.
func (l *ledger) restore(at server, version uint64) {
	l.applied[at] = slices.DeleteFunc(l.applied[at], func(a application) bool {
		if a.version <= version {
			return false
		}
		f := l.fates[a.delta]
		f.applied--
		l.fates[a.delta] = f
		return true
	})
}

// deltas counts the fates. A delta that any record names has been sent: the line
// of the sender itself may be the one that a kill cut off.
func (l *ledger) deltas() Deltas {
	d := Deltas{Sent: len(l.fates)}
	for _, f := range l.fates {
		switch {
		case f.applied > 0:
			d.Applied++
		case f.refused:
			d.Refused++
		case f.released || f.givenUp:
			d.Lost++
		default:
			d.InOutbox++
		}
		if f.applied > 1 {
			d.Duplicated++
		}
	}
	return d
}

// open counts the deltas that nobody decided though their senders lived: a region's,
// whose state outlives its LPS, and those of a worker that ended by itself.
func (l *ledger) open() (n int) {
	for delta, f := range l.fates {
		undecided := f.applied == 0 && !f.refused && !f.released && !f.givenUp
		if undecided && (delta.tier == node.TierGlobal || l.ended[session{delta.client, delta.session}]) {
			n++
		}
	}
	return n
}
