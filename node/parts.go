package node

import (
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Bounds of the models that are kept for clients whose stream broke off: each may pin a version that nobody
// else needs.
const (
	maxParts     = 64
	partsPerPeer = 2 // a node is a client of both tiers
)

// parts are models that clients have begun to take when their stream ended, so that the next stream goes
// on where it broke off. The zero value is empty.
type parts struct {
	mu   sync.Mutex
	kept []part // as they came
}

type part struct {
	addressed
	peer  peer.ID
	until *time.Timer
}

// keep takes a model over for as long as a receiver keeps its slot.
func (p *parts) keep(from peer.ID, a addressed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := func(k part) bool { return k.peer == from }
	first, count := slices.IndexFunc(p.kept, own), 0
	for _, k := range p.kept {
		if own(k) {
			count++
		}
	}
	if count >= partsPerPeer {
		p.remove(first).close()
	} else if len(p.kept) >= maxParts {
		a.close()
		return
	}
	id := a.frame.id
	p.kept = append(p.kept, part{a, from, time.AfterFunc(giveUpAfter, func() {
		if a, ok := p.take(from, id, 0); ok {
			a.close()
		}
	})})
}

// take hands out the model of that client and transfer, if it is kept and contains what the client needs.
func (p *parts) take(from peer.ID, id, needs uint64) (addressed, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.kept, func(k part) bool { return k.peer == from && k.frame.id == id })
	if i < 0 {
		return addressed{}, false
	}
	a := p.remove(i)
	if a.contains < needs {
		a.close()
		return addressed{}, false
	}
	return a, true
}

func (p *parts) remove(i int) addressed {
	k := p.kept[i]
	k.until.Stop()
	p.kept = slices.Delete(p.kept, i, i+1)
	return k.addressed
}

// drop gives all of them up.
func (p *parts) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.kept) > 0 {
		p.remove(0).close()
	}
}
