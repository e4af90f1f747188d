package checkpoint

import (
	"errors"
	"flag"
	"math/rand/v2"
	"syscall"
	"testing"
)

var cuts = flag.Int("cuts", 10_000, "points at which TestPowerCut cuts the power")

// shortBlocks is the length of a block on a faulty disk: the tensors have several.
const shortBlocks = 64

// saver saves one snapshot after the other on a disk that fails, and knows which have
// been made durable.
type saver struct {
	disk *faulty
	next uint64
	last Snapshot // of which Save has said that it is durable
	any  bool
}

// save saves the next snapshot, now and then another of the same version or one of a
// history that has not come as far.
func (s *saver) save() (Snapshot, error) {
	switch chance := s.disk.rng.IntN(16); {
	case s.next == 0 || chance > 4:
		s.next++
	case chance == 0:
		s.next -= min(s.next, 1+s.disk.rng.Uint64N(2))
	}
	snap := snapshot(s.next, s.disk.rng.Float32())
	err := save(s.disk, "/node/snapshots", shortBlocks, snap)
	if err == nil {
		s.last, s.any = snap, true
	}
	return snap, err
}

// check loads what is there, which is to be the last durable snapshot or the one that
// was under way.
func (s *saver) check(t *testing.T, seed uint64, tried Snapshot) {
	t.Helper()
	got, _, err := load(s.disk, "/node/snapshots")
	if errors.Is(err, ErrNone) && !s.any {
		return
	}
	if err != nil && !s.any {
		s.next = 0
		return // the first one was under way, there is nothing that could be lost
	}
	if err != nil || !same(got, s.last) && !same(got, tried) {
		t.Fatalf("seed %d: v%d was durable, v%d under way; loads v%d, %v", seed, s.last.Version, tried.Version, got.Version, err)
	}
	s.last, s.any, s.next = got, true, got.Version
}

func same(a, b Snapshot) bool {
	return a.Version == b.Version && string(a.Config) == string(b.Config) && string(a.Job) == string(b.Job) && string(a.State) == string(b.State) &&
		difference(a.Model, b.Model)+difference(a.Vectors, b.Vectors) == ""
}

// Whenever the power goes, the next start reads a snapshot no older than the one that
// was durable, and goes on saving. So it does where only the process is killed, and
// what it read then outlasts the power.
func TestPowerCut(t *testing.T) {
	const each = 100 // cuts on one disk
	n := *cuts
	if testing.Short() {
		n /= 20
	}
	for seed := range uint64(n / each) {
		s := saver{disk: newFaulty(rand.New(rand.NewPCG(seed, 1)))}
		for range each {
			for range s.disk.rng.IntN(3) {
				if _, err := s.save(); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
			s.disk.ops = s.disk.rng.IntN(saveOps)
			tried, err := s.save()
			if err != nil && !errors.Is(err, errPower) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if s.disk.rng.IntN(4) == 0 {
				s.disk.on()
				s.check(t, seed, tried)
				tried = s.last
			}
			s.disk.cut()
			s.check(t, seed, tried)
		}
	}
}

// saveOps is about as many operations as a save takes.
const saveOps = 60

// One who is killed before the name of the directory lasts leaves that to the next.
func TestPowerCutAfterAKilledStart(t *testing.T) {
	for seed := range uint64(500) {
		s := saver{disk: newFaulty(rand.New(rand.NewPCG(seed, 6)))}
		if err := errors.Join(s.disk.Mkdir("/node"), s.disk.SyncDir("/")); err != nil {
			t.Fatal(err)
		}
		s.disk.ops = s.disk.rng.IntN(6)
		if _, err := s.save(); !errors.Is(err, errPower) {
			t.Fatalf("seed %d: %v, want no power", seed, err)
		}
		s.disk.on()
		tried, err := s.save()
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		s.disk.cut()
		s.check(t, seed, tried)
	}
}

// A full disk costs the snapshot that has no room, and no other; with room again the
// next one is saved.
func TestFullDisk(t *testing.T) {
	for seed := range uint64(500) {
		s := saver{disk: newFaulty(rand.New(rand.NewPCG(seed, 2)))}
		for range 5 {
			if _, err := s.save(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			s.disk.room = s.disk.rng.IntN(1200) // of the 1066 bytes of a snapshot
			tried, err := s.save()
			if err != nil && !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if s.disk.rng.IntN(2) == 0 {
				s.disk.cut()
			}
			s.check(t, seed, tried)
			s.disk.on()
		}
	}
}

// The disk does fail: without a sync on the way, or with a name given before what it
// names is durable, a cut loses snapshots.
func TestPowerCutFindsWhatIsMissing(t *testing.T) {
	for _, without := range []string{"sync of files", "sync of directories"} {
		lost := 0
		for seed := range uint64(50) {
			s := saver{disk: newFaulty(rand.New(rand.NewPCG(seed, 4)))}
			broken := careless{s.disk, without}
			for v := range uint64(3) {
				if err := save(broken, "/node/snapshots", shortBlocks, snapshot(v, 1)); err != nil {
					t.Fatal(err)
				}
			}
			s.disk.cut()
			if got, _, err := load(s.disk, "/node/snapshots"); err != nil || got.Version != 2 {
				lost++
			}
		}
		if lost < 10 {
			t.Errorf("without %s %d of 50 cuts lose a snapshot, want more", without, lost)
		}
	}
}
