package roles

import (
	"encoding/json"
	"fmt"
	"slices"
)

// disk holds the snapshots of one server as package checkpoint does: a new one is
// complete and synced before it gets the name under which a start finds it, the name
// is synced before anybody hears of it, and only then do older ones go.
type disk struct {
	kept  []*saved // that have a name, the best to load first
	fresh *saved   // on its way there, nil if none
}

// saved is a snapshot, with the history that it holds.
type saved struct {
	state   State
	past    past
	named   bool
	durable bool // its name is synced: no crash takes it away
	damaged bool // it does not verify
}

func (s *saved) version() uint64 { return s.state.Server.Version }

// covers reports that s holds the verdicts of a client up to m.
func (s *saved) covers(client string, m mark) bool {
	if s == nil {
		return false
	}
	c := s.state.Server.Clients[client]
	return c.Session > m.session || c.Session == m.session && c.Decided >= m.decided
}

// load returns what a start finds, nil if there is nothing.
func (d *disk) load() *saved {
	for _, s := range d.kept {
		if !s.damaged {
			return s
		}
	}
	return nil
}

// safe returns what a start finds after any crash, nil if there is nothing.
func (d *disk) safe() *saved {
	for _, s := range d.kept {
		if !s.damaged && s.durable {
			return s
		}
	}
	return nil
}

// name makes s what a start finds, unless another has a higher version.
func (d *disk) name(s *saved) {
	s.named = true
	at := slices.IndexFunc(d.kept, func(k *saved) bool { return k.version() <= s.version() })
	if at < 0 {
		at = len(d.kept)
	}
	d.kept = slices.Insert(d.kept, at, s)
}

// settle syncs the name of s. All others go but the newest that is older than s: also
// newer ones, of a history that was given up.
func (d *disk) settle(s *saved) {
	s.durable = true
	older := 0
	d.kept = slices.DeleteFunc(d.kept, func(k *saved) bool {
		if k.version() < s.version() {
			older++
		}
		return k != s && (k.version() >= s.version() || older > 1)
	})
}

// crash leaves of what was on its way to the disk a torn snapshot, or, while its name
// was not synced, all or nothing of it.
func (d *disk) crash(w *world) {
	s := d.fresh
	d.fresh = nil
	switch {
	case s == nil:
	case !s.named:
		w.happened["torn snapshots"]++
		s.damaged = true
		d.name(s)
	case w.chance(0.5):
		w.happened["snapshots that lost their name"]++
		d.kept = slices.DeleteFunc(d.kept, func(k *saved) bool { return k == s })
	}
}

// rot damages what a start would find, if that is promised to do no harm.
func (p *proc) rot() {
	s := p.disk.load()
	if s == nil {
		return
	}
	s.damaged = true
	if older := p.disk.load(); older == nil || !p.w.checks.spare(p, s, older) {
		s.damaged = false
		return
	}
	p.w.happened["damaged snapshots"]++
}

// snapshot copies the state and writes it.
func (p *proc) snapshot(id uint64) {
	w := p.w
	if p.writing {
		w.checks.fault("%s: two snapshots at a time", p.id)
	}
	p.writing = true
	s := &saved{state: cloneVectors(p.role.(interface{ State() State }).State()), past: w.checks.pastOf(p)}
	began := w.now
	done := func(failed bool) {
		p.later(w.upTo(tick/2), func() {
			p.writing = false
			p.step(SnapshotDone{ID: id, Failed: failed, Ticks: int((w.now - began) / tick)}, nil)
		})
	}
	switch w.off {
	case outputCommit:
		p.later(0, func() { p.writing = false; p.step(SnapshotDone{ID: id}, nil) })
		p.later(1+w.upTo(w.disk), func() { p.disk.name(s); p.disk.settle(s) })
		return
	case olderSlot:
		p.disk.kept = nil
	}
	p.disk.fresh = s
	p.later(1+w.upTo(w.disk), func() {
		if w.chance(w.badDisk) {
			w.happened["failed snapshots"]++
			p.disk.fresh = nil
			if w.chance(0.3) { // what failed is what comes after the name
				p.disk.name(s)
			}
			done(true)
			return
		}
		p.disk.name(s)
		p.later(w.upTo(tick/4), func() {
			p.disk.fresh = nil
			p.disk.settle(s)
			done(false)
		})
	})
}

// cloneVectors returns s with vectors of its own; the rest of a State is a copy.
func cloneVectors(s State) State {
	s.Params = slices.Clone(s.Params)
	for i, v := range s.Vectors {
		s.Vectors[i].Values = slices.Clone(v.Values)
	}
	return s
}

// copyState returns a state that shares no memory with s, by way of the JSON that a
// checkpoint holds.
func copyState(s State) State {
	var c State
	b, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		panic(fmt.Sprintf("state: %v", err))
	}
	c.Params = slices.Clone(s.Params)
	for _, v := range s.Vectors {
		c.Vectors = append(c.Vectors, Vector{v.Name, slices.Clone(v.Values)})
	}
	return c
}
