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
			l.fates[n] = fate{applied: p.times}
			l.samples[n] = p.ranges
		}
		if got := l.audit(10); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
