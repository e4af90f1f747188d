package node

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
)

const (
	dialLong   = 15 * time.Second       // for an attempt to reach a server: a slow link takes several round trips
	dialShort  = 4 * time.Second        // for most attempts: one that hangs is in the way once the link has healed
	longEvery  = 4                      // so many attempts, from the first on, one is given long
	redialLow  = 250 * time.Millisecond // between the beginnings of attempts, doubling
	redialHigh = time.Second
)

// redials paces the attempts to reach a server. However long it has been away, the
// next attempt comes within redialHigh and a half, and has been given up within
// dialShort in three cases of four. The zero value has made none.
type redials struct {
	count int           // attempts since the server was met last
	delay time.Duration // to lie between the last one and the next
}

// patience is how long the next attempt may take.
func (r *redials) patience() time.Duration {
	if r.count%longEvery == 0 {
		return dialLong
	}
	return dialShort
}

// failed notes an attempt that took so long and is over, and says how long to wait
// now. One that met the server begins a new row.
func (r *redials) failed(met bool, took time.Duration) time.Duration {
	if met && took > redialHigh {
		*r = redials{}
	}
	r.count++
	r.delay = min(max(2*r.delay, redialLow), redialHigh)
	pause := max(r.delay-took, redialLow)
	return pause/2 + rand.N(pause)
}

// redial connects to a peer however often that has failed before. libp2p would refuse
// to try for ever longer, minutes after ten minutes: who calls this paces its attempts.
func redial(ctx context.Context, h host.Host, p peer.AddrInfo) error {
	if s, ok := h.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(p.ID)
	}
	return h.Connect(ctx, p)
}
