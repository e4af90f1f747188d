package testnet

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

var someFaults = Faults{
	For: 5 * time.Minute, Kill: 2 * time.Second, Pause: 20 * time.Second, Cut: 30 * time.Second,
	Outage: time.Minute, Late: true, Seed: 7,
}

func TestTheSeedGivesThePlan(t *testing.T) {
	members := plan(3, 2)
	first := someFaults.draw(members, 3)
	if !reflect.DeepEqual(first, someFaults.draw(members, 3)) {
		t.Error("the same seed gave two plans")
	}
	other := someFaults
	other.Seed = 8
	if reflect.DeepEqual(first, other.draw(members, 3)) {
		t.Error("two seeds gave the same plan")
	}
}

func TestThePlanHoldsWhatWasAskedFor(t *testing.T) {
	members := plan(3, 2)
	for seed := range uint64(20) {
		f := someFaults
		f.Seed = seed
		count := map[faultKind]int{}
		all := f.draw(members, 3)
		hit := map[int]int{}
		for i, a := range all {
			count[a.kind]++
			if a.kind == faultKill {
				hit[a.member]++
			}
			if a.at < 0 || a.at >= f.For || a.till < a.at || a.till > f.For+settle {
				t.Errorf("seed %d: %+v lies outside of %v", seed, a, f.For)
			}
			for _, b := range all[i+1:] {
				if a.meets(b) {
					t.Errorf("seed %d: %+v and %+v meet", seed, a, b)
				}
			}
			if a.kind == faultCut && (a.regions[0] < 1 || a.regions[0] >= a.regions[1] || a.regions[1] > 3) {
				t.Errorf("seed %d: a cut between regions %v", seed, a.regions)
			}
		}
		for kind, want := range map[faultKind][2]int{
			faultKill: {120, 180}, faultPause: {10, 20}, faultCut: {6, 14}, faultJoin: {3, 3}, faultOutage: {1, 1},
		} {
			if n := count[kind]; n < want[0] || n > want[1] {
				t.Errorf("seed %d: %d of %v, want %d to %d", seed, n, kind, want[0], want[1])
			}
		}
		for i, m := range members {
			if hit[i] == 0 {
				t.Errorf("seed %d: %s is never killed", seed, m.name)
			}
		}
	}
}

func TestNoFaultsOfAKindThatIsOff(t *testing.T) {
	f := Faults{For: time.Minute, Pause: time.Second}
	for _, a := range f.draw(plan(1, 1), 1) {
		if a.kind != faultPause {
			t.Errorf("%v in a plan of pauses", a.kind)
		}
	}
	f = Faults{For: time.Minute, Cut: time.Second}
	if all := f.draw(plan(1, 1), 1); len(all) > 0 {
		t.Errorf("%d cuts between one region", len(all))
	}
}

func TestFaultsNameWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name string
		f    Faults
		want string
	}{
		{"no time", Faults{}, "minutes"},
		{"too long", Faults{For: 25 * time.Hour}, "minutes"},
		{"kills before now", Faults{For: time.Minute, Kill: -time.Second}, "kill -1s"},
		{"kills all the time", Faults{For: time.Minute, Kill: time.Millisecond}, "kill 1ms"},
		{"an outage that outlasts", Faults{For: time.Minute, Outage: 40 * time.Second}, "outage 40s"},
	} {
		if err := c.f.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.want)
		}
	}
	if err := someFaults.Validate(); err != nil && canPause {
		t.Error(err)
	}
}
