package testnet

import (
	"cmp"
	"slices"
)

// Samples says what became of the samples of a job, by the pushes that the GPS
// applied.
type Samples struct {
	Total      uint64 `json:"total"`     // of the job
	Committed  uint64 `json:"committed"` // at least once
	Duplicated uint64 `json:"duplicated"`
	Missing    uint64 `json:"missing"`
	Stray      uint64 `json:"stray"` // beyond the job's
}

// committed counts the samples of all pushes that are applied.
func (l *ledger) committed() (n uint64) {
	for push, ranges := range l.samples {
		if l.fates[push].applied > 0 {
			for _, r := range ranges {
				n += r[1] - r[0]
			}
		}
	}
	return n
}

// audit compares the samples of the applied pushes with those of a job of so many.
func (l *ledger) audit(total uint64) Samples {
	type edge struct {
		at   uint64
		step int
	}
	var edges []edge
	for push, ranges := range l.samples {
		for range l.fates[push].applied {
			for _, r := range ranges {
				edges = append(edges, edge{r[0], 1}, edge{r[1], -1})
			}
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Compare(a.at, b.at) })
	s := Samples{Total: total}
	depth, last := 0, uint64(0)
	for _, e := range edges {
		inside := min(e.at, total) - min(last, total)
		if depth > 0 {
			s.Committed += inside
			s.Stray += e.at - last - inside
		}
		if depth > 1 {
			s.Duplicated += inside
		}
		depth, last = depth+e.step, e.at
	}
	s.Missing = total - s.Committed
	return s
}
