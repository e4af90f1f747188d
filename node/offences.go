package node

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"halos/bulk"
	"halos/wire"
)

const (
	// maxOffenders bounds the table of offences: who has not offended for longest is forgotten.
	maxOffenders = 1024
	// graveOffence and offence are what one weighs. What a peer has to its account melts by the minute; who
	// has more than tooMany is shut out: 32 frames that do not parse, or 1,024 chunks that nobody wanted. An
	// honest peer sends some of the latter after its connection broke, at most what it had credit for.
	offence      = 1
	graveOffence = 32
	tooMany      = 1024
	// shutShort is for how long the first time; each further time within a day it is twice as long.
	shutShort = time.Minute
	shutLong  = time.Hour
)

// offences counts and names in the log what peers sent that was refused, without letting one of them fill the
// log, and keeps those out for a while that do little else. A peer gets a new identity for nothing, so this is
// for the broken and the careless; who may take part is not decided here.
type offences struct {
	log *slog.Logger
	now func() time.Time

	mu  sync.Mutex
	end func(peer.ID) // has the connections of a peer ended, soon; nil while nobody can
	by  map[peer.ID]*offender
}

// offender is what is held against one peer.
type offender struct {
	count  uint64    // refusals since the start
	weight float64   // at the time of the last
	last   time.Time // of them
	until  time.Time // shut out
	length time.Duration
}

func newOffences(log *slog.Logger) *offences {
	return &offences{log: log, now: time.Now, by: make(map[peer.ID]*offender)}
}

// note counts one refusal of something that came from p. Of the refusals of a peer those with the numbers 1,
// 2, 4, 8 and so on are written to the log. It is safe for concurrent use.
func (o *offences) note(p peer.ID, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	who := o.by[p]
	if who == nil {
		o.makeRoom()
		who = &offender{}
		o.by[p] = who
	}
	if who.count++; who.count&(who.count-1) == 0 {
		o.log.Warn("refused", "peer", p, "times", who.count, "err", err)
	}
	if who.add(weigh(err), o.now()) {
		o.log.Warn("peer shut out", "peer", p, "for", who.length, "refused", who.count, "last", err)
		if o.end != nil {
			o.end(p)
		}
	}
}

// makeRoom forgets a peer if the table is full.
func (o *offences) makeRoom() {
	if len(o.by) < maxOffenders {
		return
	}
	var oldest peer.ID
	for p, who := range o.by {
		if old := o.by[oldest]; old == nil || who.last.Before(old.last) {
			oldest = p
		}
	}
	delete(o.by, oldest)
}

// weigh says how grave it is.
func weigh(err error) float64 {
	for _, grave := range []error{
		bulk.ErrGarbage, bulk.ErrMismatch, bulk.ErrCorrupt, bulk.ErrTooLarge, bulk.ErrHash, bulk.ErrGreedy,
		wire.ErrFrame, wire.ErrTooLarge,
	} {
		if errors.Is(err, grave) {
			return graveOffence
		}
	}
	return offence
}

// enforce has end end the connections of who is shut out from now on. It must not wait for that.
func (o *offences) enforce(end func(peer.ID)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.end = end
}

// add puts an offence to the account and reports whether it was one too many.
func (w *offender) add(weight float64, now time.Time) bool {
	w.weight = max(0, w.weight-tooMany*now.Sub(w.last).Minutes()) + weight
	w.last = now
	if w.weight <= tooMany || now.Before(w.until) {
		return false
	}
	if now.Sub(w.until) > 24*time.Hour {
		w.length = 0
	}
	w.length = min(max(2*w.length, shutShort), shutLong)
	w.until = now.Add(w.length)
	return true
}

// refused is how often something of p was, and whether it is shut out.
func (o *offences) refused(p peer.ID) (count uint64, out bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	who := o.by[p]
	if who == nil {
		return 0, false
	}
	return who.count, o.now().Before(who.until)
}

// The rest is libp2p's connection gater: who is shut out is neither dialled nor let in.

// InterceptPeerDial allows dials to all others.
func (o *offences) InterceptPeerDial(p peer.ID) bool {
	_, out := o.refused(p)
	return !out
}

// InterceptAddrDial allows every address.
func (*offences) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }

// InterceptAccept allows every connection whose other end is not known yet.
func (*offences) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured allows connections with all others.
func (o *offences) InterceptSecured(_ network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	return o.InterceptPeerDial(p)
}

// InterceptUpgraded allows what was allowed before.
func (*offences) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
