package node

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"halos/wire"
)

const (
	maxTermStep = 1024             // a term is believed that far above the known one
	maxMembers  = 4096             // of the roster
	silentAfter = 30 * time.Second // without presence a member is not shown any more
)

// roster is what a node knows of the others: the membership, a table owned by the
// GPS, and who has been heard lately. It is safe for concurrent use.
type roster struct {
	self peer.ID

	mu      sync.Mutex
	table   *wire.Membership // newest known, nil before the first
	members map[peer.ID]member
	gap     time.Duration // longest between two presences of one member since it was asked for last
}

// member is a node as its presence describes it.
type member struct {
	region string
	roles  []string
	heard  time.Time
	spoke  time.Time // when its presence came last; zero before the first
}

func newRoster(self peer.ID) *roster {
	return &roster{self: self, members: map[peer.ID]member{}}
}

// adopt takes a newer membership. Once the GPS is known, a table that names another
// one is refused.
func (r *roster) adopt(m *wire.Membership) bool {
	if m.GetGps() == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.table; old != nil {
		was, is := old.GetTerm().GetCounter(), m.GetTerm().GetCounter()
		newer := cmp.Or(cmp.Compare(is, was), cmp.Compare(m.GetRevision(), old.GetRevision())) > 0
		if !newer || is > was+maxTermStep || !bytes.Equal(m.GetGps().GetPeer(), old.GetGps().GetPeer()) {
			return false
		}
	}
	r.table = m
	for _, s := range append([]*wire.Member{m.GetGps()}, m.GetLeaders()...) {
		if id, err := peer.IDFromBytes(s.GetPeer()); err == nil {
			r.place(id, s.GetRegion(), s.GetRoles())
		}
	}
	return true
}

// heard takes a peer's word on itself.
func (r *roster) heard(id peer.ID, self *wire.Member) {
	if self == nil || wire.CheckRegion(self.GetRegion()) != nil || len(self.GetRoles()) > int(roleCount) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.place(id, self.GetRegion(), self.GetRoles())
}

// beat notes that the presence of a member has come.
func (r *roster) beat(id peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, known := r.members[id]
	if !known {
		return
	}
	now := time.Now()
	if !m.spoke.IsZero() {
		r.gap = max(r.gap, now.Sub(m.spoke))
	}
	m.spoke = now
	r.members[id] = m
}

// longestGap is the longest time between two presences of one member since the last
// call.
func (r *roster) longestGap() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	gap := r.gap
	r.gap = 0
	return gap
}

// stir notes a sign of life of a member.
func (r *roster) stir(id peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m, known := r.members[id]; known {
		m.heard = time.Now()
		r.members[id] = m
	}
}

func (r *roster) place(id peer.ID, region string, roles []string) {
	if _, known := r.members[id]; !known && len(r.members) >= maxMembers {
		for old, m := range r.members {
			if time.Since(m.heard) > silentAfter {
				delete(r.members, old)
			}
		}
		if len(r.members) >= maxMembers {
			return
		}
	}
	r.members[id] = member{region, roles, time.Now(), r.members[id].spoke}
}

// membership is the newest table, nil if none is known.
func (r *roster) membership() *wire.Membership {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.table
}

// server is who serves tier t for region.
func (r *roster) server(t tier, region string) (peer.AddrInfo, bool) {
	table := r.membership()
	if t == globalTier {
		return addrInfo(table.GetGps())
	}
	for _, l := range table.GetLeaders() {
		if l.GetRegion() == region {
			return addrInfo(l)
		}
	}
	return peer.AddrInfo{}, false
}

// servers are all who could know the job.
func (r *roster) servers() []peer.AddrInfo {
	table := r.membership()
	var out []peer.AddrInfo
	for _, m := range append(slices.Clone(table.GetLeaders()), table.GetGps()) {
		if a, ok := addrInfo(m); ok && a.ID != r.self {
			out = append(out, a)
		}
	}
	return out
}

func addrInfo(m *wire.Member) (peer.AddrInfo, bool) {
	id, err := peer.IDFromBytes(m.GetPeer())
	if m == nil || err != nil {
		return peer.AddrInfo{}, false
	}
	info := peer.AddrInfo{ID: id}
	for _, b := range m.GetAddrs() {
		if a, err := ma.NewMultiaddrBytes(b); err == nil {
			info.Addrs = append(info.Addrs, a)
		}
	}
	return info, true
}

// size is the number of members known.
func (r *roster) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.members)
}

// region is where a peer is, "" if unknown.
func (r *roster) region(id peer.ID) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.members[id].region
}

// others lists the members heard lately, by region and id.
func (r *roster) others() []PeerStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []PeerStatus
	for _, id := range slices.Sorted(maps.Keys(r.members)) {
		m := r.members[id]
		if id != r.self && time.Since(m.heard) < silentAfter {
			out = append(out, PeerStatus{ID: id.String(), Region: m.region, Roles: m.roles})
		}
	}
	slices.SortStableFunc(out, func(a, b PeerStatus) int { return cmp.Compare(a.Region, b.Region) })
	return out
}

// boots remembers, for each peer, its newest start and what that drew at random: two
// nodes with one identity differ in it. The zero value is empty.
type boots struct {
	mu     sync.Mutex
	newest map[peer.ID]boot
}

type boot struct{ start, drawn uint64 }

// fresh notes a peer's start. It is false for one that was retired by a newer start,
// or that another process with the same identity has made.
func (b *boots) fresh(id peer.ID, start, drawn uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	last, known := b.newest[id]
	if known && (start < last.start || start == last.start && drawn != last.drawn) {
		return false
	}
	if b.newest == nil {
		b.newest = map[peer.ID]boot{}
	}
	if !known && len(b.newest) >= maxMembers {
		clear(b.newest)
	}
	b.newest[id] = boot{start, drawn}
	return true
}
