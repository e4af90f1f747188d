package testnet

import "testing"

func TestAudit(t *testing.T) {
	type push struct {
		times  int // applied
		ranges [][2]uint64
	}
	for _, c := range []struct {
		name   string
		pushes []push
		want   Samples
	}{
		{"nothing", nil, Samples{Total: 10, Missing: 10}},
		{"each once", []push{{1, [][2]uint64{{0, 4}, {6, 10}}}, {1, [][2]uint64{{4, 6}}}}, Samples{Total: 10, Committed: 10}},
		{"one that never was applied", []push{{1, [][2]uint64{{0, 4}}}, {0, [][2]uint64{{4, 10}}}}, Samples{Total: 10, Committed: 4, Missing: 6}},
		{"a hole", []push{{1, [][2]uint64{{0, 4}}}, {1, [][2]uint64{{5, 10}}}}, Samples{Total: 10, Committed: 9, Missing: 1}},
		{"an overlap", []push{{1, [][2]uint64{{0, 6}}}, {1, [][2]uint64{{5, 10}}}}, Samples{Total: 10, Committed: 10, Duplicated: 1}},
		{"one applied twice", []push{{2, [][2]uint64{{2, 8}}}, {1, [][2]uint64{{0, 2}, {8, 10}}}}, Samples{Total: 10, Committed: 10, Duplicated: 6}},
		{"one inside another", []push{{1, [][2]uint64{{0, 10}}}, {1, [][2]uint64{{3, 5}}}}, Samples{Total: 10, Committed: 10, Duplicated: 2}},
		{"beyond the job", []push{{1, [][2]uint64{{0, 13}}}}, Samples{Total: 10, Committed: 10, Stray: 3}},
		{"far beyond the job", []push{{1, [][2]uint64{{0, 10}, {20, 24}}}}, Samples{Total: 10, Committed: 10, Stray: 4}},
	} {
		l := newLedger()
		for i, p := range c.pushes {
			n := name{tier: "global", client: "eu", session: 1, seq: uint64(i + 1)}
			at := server{tier: "global"}
			for range p.times {
				l.applied[at] = append(l.applied[at], application{delta: n, samples: p.ranges})
			}
		}
		if got := l.audit(10); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// What an LPS applied twice shows, unless the push that held it was refused.
func TestAuditOfRegions(t *testing.T) {
	for _, c := range []struct {
		name    string
		refused [][2]uint64
		want    uint64
	}{
		{"both in pushes that were applied", nil, 4},
		{"one in a push that was refused", [][2]uint64{{0, 6}}, 0},
		{"a part of one", [][2]uint64{{0, 4}}, 2},
	} {
		l := newLedger()
		l.applied[server{1, "region"}] = []application{{samples: [][2]uint64{{0, 6}}}}
		l.applied[server{2, "region"}] = []application{{samples: [][2]uint64{{2, 10}}}}
		l.applied[server{0, "global"}] = []application{{samples: [][2]uint64{{0, 10}}}}
		push := name{tier: "global", client: "eu", session: 1, seq: 7}
		l.samples[push] = c.refused
		l.fates[push] = fate{refused: true}
		if got, want := l.audit(10), (Samples{Total: 10, Committed: 10, Duplicated: c.want}); got != want {
			t.Errorf("%s: %+v, want %+v", c.name, got, want)
		}
	}
}
