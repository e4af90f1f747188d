package node

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// maxParts bounds the models that are kept for clients whose stream broke off: each may pin a version
// that nobody else needs.
const maxParts = 64

// parts are models that clients have begun to take when their stream ended, so that the next stream goes
// on where it broke off. The zero value is empty.
type parts struct {
	mu   sync.Mutex
	kept map[partName]part
}

// partName is a client and the id of a transfer: one node may follow two servers.
type partName struct {
	peer peer.ID
	id   uint64
}

type part struct {
	addressed
	until *time.Timer
}

// keep takes a model over for as long as a receiver keeps its slot.
func (p *parts) keep(from peer.ID, a addressed) {
	name := partName{from, a.frame.id}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, twice := p.kept[name]; twice || len(p.kept) >= maxParts {
		a.close()
		return
	}
	if p.kept == nil {
		p.kept = map[partName]part{}
	}
	p.kept[name] = part{a, time.AfterFunc(giveUpAfter, func() {
		if a, ok := p.take(from, name.id, 0); ok {
			a.close()
		}
	})}
}

// take hands out the model of that client and id, if it is kept and contains what the client needs.
func (p *parts) take(from peer.ID, id, needs uint64) (addressed, bool) {
	name := partName{from, id}
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.kept[name]
	if !ok {
		return addressed{}, false
	}
	a.until.Stop()
	delete(p.kept, name)
	if a.contains < needs {
		a.close()
		return addressed{}, false
	}
	return a.addressed, true
}

// drop gives all of them up.
func (p *parts) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, a := range p.kept {
		a.until.Stop()
		a.close()
		delete(p.kept, name)
	}
}
