package testnet

import (
	"cmp"
	"slices"

	"halos/node"
)

// Samples says what became of the samples of a job, by what its servers committed.
type Samples struct {
	Total      uint64 `json:"total"`      // of the job
	Committed  uint64 `json:"committed"`  // at the GPS, at least once
	Duplicated uint64 `json:"duplicated"` // at the GPS more than once, or at an LPS without need
	Missing    uint64 `json:"missing"`
	Stray      uint64 `json:"stray"` // beyond the job's
}

// edge is where a range of samples begins or ends.
type edge struct {
	at   uint64
	step int
}

func edges(ranges [][2]uint64) (es []edge) {
	for _, r := range ranges {
		es = append(es, edge{r[0], 1}, edge{r[1], -1})
	}
	return es
}

// sweep tells each stretch of samples between edges how many ranges hold it.
func sweep(es []edge, told func(from, to uint64, depth int)) {
	slices.SortFunc(es, func(a, b edge) int { return cmp.Compare(a.at, b.at) })
	depth, last := 0, uint64(0)
	for _, e := range es {
		if e.at > last && depth > 0 {
			told(last, e.at, depth)
		}
		depth, last = depth+e.step, e.at
	}
}

// held lists the ranges of all that the servers of a tier have applied.
func (l *ledger) held(tier string) (es []edge) {
	for at, all := range l.applied {
		if at.tier == tier {
			for _, a := range all {
				es = append(es, edges(a.samples)...)
			}
		}
	}
	return es
}

// committed counts the samples that the GPS has, with repetition.
func (l *ledger) committed() (n uint64) {
	sweep(l.held(node.TierGlobal), func(from, to uint64, depth int) { n += (to - from) * uint64(depth) })
	return n
}

// audit compares what the servers committed with the samples of a job of so many. The
// LPSs may have one more than once where the push that held it was refused: others
// have trained it again.
func (l *ledger) audit(total uint64) Samples {
	s := Samples{Total: total}
	sweep(l.held(node.TierGlobal), func(from, to uint64, depth int) {
		inside := min(to, total) - min(from, total)
		s.Committed += inside
		s.Stray += to - from - inside
		if depth > 1 {
			s.Duplicated += inside
		}
	})
	s.Missing = total - s.Committed
	again := l.held(node.TierRegion)
	for push, ranges := range l.samples {
		if f := l.fates[push]; f.refused && f.applied == 0 {
			for _, e := range edges(ranges) {
				again = append(again, edge{e.at, -e.step})
			}
		}
	}
	sweep(again, func(from, to uint64, depth int) {
		if depth > 1 {
			s.Duplicated += to - from
		}
	})
	return s
}
