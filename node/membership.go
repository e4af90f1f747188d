package node

import (
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"halos/wire"
)

// seatKept is how long the GPS keeps the seat of a region's server that has gone:
// until then a newcomer of the region does not claim it.
const seatKept = 10 * time.Second

// table is the membership in the making, at the GPS. It is the loop's.
type table struct {
	revision uint64
	seats    map[string]*seat // by region
}

type seat struct {
	member *wire.Member
	conn   *clientConn // nil for the region of this node
	gone   time.Time   // since when the connection is, zero while it is not
}

// newTable starts the membership, with this node's own region where it serves that.
func newTable(n *Node) table {
	t := table{seats: map[string]*seat{}}
	if n.machines[gps] == nil {
		return t
	}
	if n.machines[lps] != nil {
		t.seats[n.cfg.Region] = &seat{member: n.presence()}
	}
	n.publishTable(&t)
	return t
}

// seat gives a welcomed LPS its place in the membership.
func (n *Node) seat(t tier, c *clientConn) {
	n.roster.heard(c.peer, &wire.Member{Region: c.region, Roles: []string{t.client().String()}})
	if t != globalTier {
		return
	}
	n.table.seats[c.region] = &seat{conn: c, member: &wire.Member{
		Peer: []byte(c.peer), Region: c.region, Roles: []string{lps.String()}, Addrs: c.addrs,
	}}
	n.publishTable(&n.table)
}

// tickTable frees the seats of servers that have been gone for long.
func (n *Node) tickTable() {
	if n.machines[gps] == nil {
		return
	}
	freed := false
	for region, s := range n.table.seats {
		switch {
		case s.conn == nil || n.down[globalTier].conns[region] == s.conn:
			s.gone = time.Time{}
		case s.gone.IsZero():
			s.gone = time.Now()
		case time.Since(s.gone) > seatKept:
			delete(n.table.seats, region)
			freed = true
		}
	}
	if freed {
		n.publishTable(&n.table)
	}
}

// publishTable makes a new revision known, here first.
func (n *Node) publishTable(t *table) {
	t.revision++
	m := &wire.Membership{
		Term: &wire.Term{Counter: n.start, Leader: []byte(n.self)}, Revision: t.revision, Gps: n.presence(),
	}
	for _, s := range t.seats {
		m.Leaders = append(m.Leaders, s.member)
	}
	slices.SortFunc(m.Leaders, func(a, b *wire.Member) int { return strings.Compare(a.GetRegion(), b.GetRegion()) })
	n.roster.adopt(m)
	n.tellNow()
}

// presence is this node as it shows itself to others.
func (n *Node) presence() *wire.Member {
	m := &wire.Member{Peer: []byte(n.host.ID()), Region: n.cfg.Region, Roles: n.roleNames()}
	for _, s := range n.JoinAddrs() {
		if info, err := peer.AddrInfoFromString(s); err == nil && len(info.Addrs) == 1 {
			m.Addrs = append(m.Addrs, info.Addrs[0].Bytes())
		}
	}
	return m
}
