package roles

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"
)

// tape is what the first life of a role has seen, in copies.
type tape struct {
	id     string
	make   func() actor
	events []Event
}

// record runs the job of a seed.
func record(seed uint64) []*tape {
	w := newWorld(seed, planOf(seed))
	var tapes []*tape
	byID := map[string]*tape{}
	w.watch = func(p *proc, ev Event) {
		if p.starts > 1 {
			return
		}
		t := byID[p.id]
		if t == nil {
			t = &tape{id: p.id, make: func() actor { return p.fresh(1) }}
			byID[p.id] = t
			tapes = append(tapes, t)
		}
		t.events = append(t.events, frozen(ev, p.role))
	}
	w.run(jobLimit)
	return tapes
}

// frozen is ev with copies of what it borrows. For a round it holds the parameters
// that the trainer left.
func frozen(ev Event, role actor) Event {
	switch ev := ev.(type) {
	case Delta:
		ev.Values = slices.Clone(ev.Values)
		return ev
	case Model:
		ev.Params = slices.Clone(ev.Params)
		return ev
	case TrainDone:
		return roundEnd{ev, slices.Clone(role.(*Worker).params)}
	}
	return ev
}

// roundEnd is a TrainDone with the parameters that came with it.
type roundEnd struct {
	TrainDone
	params []float32
}

// digest replays a tape in a new role and hashes the actions of every Step and the
// parameters after it.
func (t *tape) digest() [32]byte {
	role, sum := t.make(), sha256.New()
	for _, ev := range t.events {
		if end, ok := ev.(roundEnd); ok {
			copy(role.(*Worker).params, end.params)
			ev = end.TrainDone
		}
		fmt.Fprintf(sum, "%+v", role.Step(ev))
		params := []float32(nil)
		if s := serverHalf(role); s != nil {
			params = s.params
		} else {
			params = role.(*Worker).params
		}
		for _, x := range params {
			binary.Write(sum, binary.LittleEndian, math.Float32bits(x))
		}
	}
	return [32]byte(sum.Sum(nil))
}

// TestReplay feeds roles the events of whole jobs again: the same events give the
// same bits, and the same seed the same job.
func TestReplay(t *testing.T) {
	for seed := range uint64(12) {
		first, second := record(seed), record(seed)
		if len(first) == 0 || len(first) != len(second) {
			t.Fatalf("seed %d: %d roles, then %d", seed, len(first), len(second))
		}
		for i, life := range first {
			once, twice, again := life.digest(), life.digest(), second[i].digest()
			if once != twice || once != again {
				t.Errorf("seed %d: %s (%d events) gave %x, then %x, in another run of the job %x",
					seed, life.id, len(life.events), once[:4], twice[:4], again[:4])
			}
		}
	}
}
