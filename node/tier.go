package node

import (
	"fmt"

	"halos/wire"
)

// tier is one of the two stages of the exchange: workers to their region's LPS, or
// LPSs to the GPS. A node is a client of a tier, its server, both or neither.
type tier uint8

const (
	regionTier tier = iota // worker -> LPS
	globalTier             // LPS -> GPS
	tiers
)

func (t tier) String() string { return [...]string{"region", "global"}[t] }

func (t tier) wire() wire.Tier {
	return [...]wire.Tier{wire.Tier_TIER_REGION, wire.Tier_TIER_GLOBAL}[t]
}

func parseTier(t wire.Tier) (tier, error) {
	switch t {
	case wire.Tier_TIER_REGION:
		return regionTier, nil
	case wire.Tier_TIER_GLOBAL:
		return globalTier, nil
	}
	return 0, fmt.Errorf("tier %d is not known", t)
}

// role is one of the three state machines a node can hold.
type role uint8

const (
	worker role = iota
	lps
	gps
	roleCount
)

func (r role) String() string { return [...]string{"worker", "lps", "gps"}[r] }

// clientOf and serverOf are the roles at the two ends of a tier.
func (t tier) client() role { return [...]role{worker, lps}[t] }
func (t tier) server() role { return [...]role{lps, gps}[t] }
