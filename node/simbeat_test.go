package node

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// gaps are the longest times between two presences that the nodes of a job have heard of each other in each
// record of bytes between two moments, shortest first.
func (s *simJob) gaps(from, to time.Time) (all []float64) {
	s.t.Helper()
	for _, n := range s.nodes {
		for _, r := range s.records(n, from, to, func(r Record) bool { return r.Event == EventBytes }) {
			all = append(all, r.Gap)
		}
	}
	slices.Sort(all)
	return all
}

// volume is how many bytes a host has been sent and has sent so far.
func (n *simNet) volume(h *simNode) (in, out int) {
	for w, f := range n.fates() {
		switch h.ip {
		case w.to:
			in += f.size
		case w.from:
			out += f.size
		}
	}
	return in, out
}

// Presence keeps arriving in time while pushes and models of megabytes fill the links of two regions both ways.
func TestPresenceBesideBulk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const (
			rate = 10_000_000 // bits per second, of a region's link
			warm = 5 * time.Second
			bulk = 20 * time.Second
			full = 0.35 // share of the links that is used at least
			late = 3.0  // seconds: a beat every two, and half as much again
			few  = 0.3  // share of the records that hold none: two seconds pass between them, as between beats
		)
		n := newSimNet(t, simWeather{delay: 25 * time.Millisecond, rate: fastLink}, 1)
		j := simLedger(t, 2, bulk)
		j.H, j.K = 100, 1
		j.Model.VocabSize = 3 << 13 // in and out, 16 numbers each: 3 MB
		s := newSimJob(t, n, j)
		n.weather.rate = rate
		for _, region := range []string{"eu", "us"} { // with the worker in the LPS's node nothing else is on the link
			s.start(Config{Region: region, Roles: []string{lps.String(), worker.String()}})
		}
		s.wait(warm)
		in, out := n.volume(s.gps)
		began := time.Now()
		s.wait(bulk)
		inThen, outThen := n.volume(s.gps)
		for way, bytes := range map[string]int{"to": inThen - in, "from": outThen - out} {
			share := float64(8*bytes) / (2 * rate * bulk.Seconds())
			if t.Logf("%.2f of the links %s the GPS were used", share, way); share < full {
				t.Errorf("want %.2f and more", full)
			}
		}
		gaps := s.gaps(began, time.Now())
		silent, _ := slices.BinarySearch(gaps, 1e-9)
		t.Logf("of %d records %d hold no gap, the longest is %.2f s", len(gaps), silent, gaps[len(gaps)-1])
		if least := len(s.nodes) * int(bulk/bytesEvery) * 8 / 10; len(gaps) < least || float64(silent) > few*float64(len(gaps)) {
			t.Errorf("%d records, %d without a gap: want %d at least, most with one", len(gaps), silent, least)
		}
		if p99 := gaps[len(gaps)*99/100]; p99 > late {
			t.Errorf("presence came %.2f s apart, want at most %.1f s in 99 of 100 records", p99, late)
		}
		s.finishWhole()
	})
}
