package node

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// sameLosses compares two runs up to where the shorter one ends, and counts the packets that both lost.
func sameLosses(a, b map[simWay]simFate) (same bool, lost int) {
	same = true
	for w, f := range a {
		g := b[w]
		both := min(f.sent, g.sent)
		until := func(lost []int) []int { i, _ := slices.BinarySearch(lost, both); return lost[:i] }
		same = same && slices.Equal(until(f.lost), until(g.lost))
		lost += len(until(f.lost))
	}
	return same, lost
}

func TestSimNetLosesAsItsSeedSays(t *testing.T) {
	const packets, loss = 20_000, 0.01
	run := func(seed uint64) (all map[simWay]simFate) {
		synctest.Test(t, func(t *testing.T) {
			n := newSimNet(t, simWeather{delay: time.Millisecond, loss: loss, rate: fastLink}, seed)
			eu, us, near := n.host(1), n.host(2), n.host(1)
			for range packets {
				for _, w := range []simWay{{eu, us}, {us, eu}, {eu, near}} {
					n.loses(w, 1)
				}
			}
			n.part(eu, us)
			if !n.loses(simWay{eu, us}, 1) || !n.isCut(simWay{us, eu}) || n.isCut(simWay{eu, near}) {
				t.Error("two hosts were parted: they are not, or others are")
			}
			n.join(eu, us)
			n.silence(us, eu, true)
			if !n.isCut(simWay{us, eu}) || n.isCut(simWay{eu, us}) {
				t.Error("one way was silenced: it is not, or the other is")
			}
			all = n.fates()
			for w, f := range all {
				if got := float64(len(f.lost)) / packets; w.near() && got > 0 || !w.near() && (got < 0.8*loss || got > 1.2*loss) {
					t.Errorf("%v lost %v of its packets, want %v between regions and none inside", w, got, loss)
				}
			}
		})
		return all
	}
	first := run(1)
	if same, lost := sameLosses(first, run(1)); !same || lost == 0 {
		t.Errorf("the same seed loses other packets (%d lost)", lost)
	}
	if same, _ := sameLosses(first, run(2)); same {
		t.Error("another seed loses the same packets")
	}
	for w, f := range first {
		if back := first[simWay{w.to, w.from}]; len(f.lost) > 0 && slices.Equal(f.lost, back.lost) {
			t.Errorf("%v and back lose the same packets", w)
		}
	}
}

// A job whose regions are 50 ms and a loss of 1 % away from the GPS and from each other ends by itself, counts every
// local step once and loses no delta. The same seed loses the same packets.
func TestJobOverLossyLinks(t *testing.T) {
	t.Parallel()
	run := func() (fates map[simWay]simFate) {
		synctest.Test(t, func(t *testing.T) {
			n := newSimNet(t, simWeather{delay: 50 * time.Millisecond, loss: 0.01, rate: fastLink}, 1)
			s := newSimJob(t, n, simLedger(t, 4, 12*time.Second))
			s.region("eu", 2)
			s.region("us", 2)
			s.finishWhole()
			fates = n.fates()
		})
		return fates
	}
	same, lost := sameLosses(run(), run())
	if !same {
		t.Error("the same seed loses other packets")
	}
	if lost < 10 {
		t.Errorf("%d packets were lost, too few for a test", lost)
	}
}

// A region that is cut off from the GPS for half a minute, again and again, always as the verdict on a push is on its
// way, trains on meanwhile and is back soon after. The job counts every local step once, and minutes of it take seconds.
func TestRegionIsCutOffAgainAndAgain(t *testing.T) {
	t.Parallel()
	began := time.Now()
	var virtual time.Duration
	synctest.Test(t, func(t *testing.T) {
		const (
			calm   = 10 * time.Second
			outage = 30 * time.Second
			back   = 15 * time.Second // until a push arrives again
		)
		n := newSimNet(t, simWeather{delay: 25 * time.Millisecond, loss: 0.01, rate: fastLink}, 3)
		j := simLedger(t, 2, 5*calm+4*outage)
		j.H, j.K = 40, 2 // rounds of two seconds
		s := newSimJob(t, n, j)
		s.region("eu", 1)
		us, works := s.region("us", 1)
		away := []*simNode{us, works[0]}
		var cuts, mends []time.Time
		pushed := func(r Record) bool { return r.Event == EventApplied && r.Client == "us" }
		for range 3 {
			s.wait(calm)
			s.await(s.gps, pushed)
			for _, a := range away {
				n.part(a.ip, s.gps.ip)
			}
			cuts = append(cuts, time.Now())
			s.wait(outage)
			for _, a := range away {
				n.join(a.ip, s.gps.ip)
			}
			mends = append(mends, time.Now())
		}
		s.finishWhole()
		virtual = time.Since(s.began)

		trained := func(r Record) bool { return r.Event == EventRound }
		for i, cut := range cuts {
			if got := s.records(s.gps, cut.Add(time.Second), mends[i], pushed); len(got) > 0 {
				t.Errorf("cut %d: %d pushes came through", i, len(got))
			}
			if got := s.records(works[0], cut, mends[i], trained); len(got) < 10 {
				t.Errorf("cut %d: the region trained %d rounds of two seconds, want 10 and more", i, len(got))
			}
			if got := s.records(s.gps, mends[i], mends[i].Add(back), pushed); len(got) == 0 {
				t.Errorf("cut %d: no push within %v of its end", i, back)
			} else {
				t.Logf("cut %d: a push %v after its end", i, got[0].Time.Sub(mends[i]))
			}
		}
	})
	took := time.Since(began)
	if t.Logf("%v of the job took %v", virtual, took); took > virtual/2 {
		t.Error("want half of that at most")
	}
}
