package checkpoint

import (
	"errors"
	"flag"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var cuts = flag.Int("cuts", 10_000, "points at which TestPowerCut cuts the power")

var errPower = errors.New("the power is gone")

// faulty is a disk in memory that keeps after a power cut only what was synced, and of
// the rest what chance keeps: of the names in a directory each change for itself, of a
// file any byte.
type faulty struct {
	rng  *rand.Rand
	root *node
	ops  int // that are still carried out before the power is gone
	room int // bytes that can still be written
}

// node is a directory or a file.
type node struct {
	names   map[string]*node // of a directory as it is, nil for a file
	synced  map[string]*node // and as it is known to last
	changes []change         // since it was synced
	data    []byte           // of a file
	lasting int              // bytes of it that are known to last
}

// change is one to the names of a directory: a rename within it is one.
type change struct {
	remove, add string
	what        *node
}

func newDir() *node { return &node{names: map[string]*node{}, synced: map[string]*node{}} }

func newFaulty(rng *rand.Rand) *faulty {
	f := &faulty{rng: rng, root: newDir()}
	f.on()
	return f
}

// on gives the disk power and room for ever.
func (f *faulty) on() { f.ops, f.room = 1<<60, 1<<60 }

// op counts an operation and fails once the power is gone.
func (f *faulty) op() error {
	if f.ops <= 0 {
		return errPower
	}
	f.ops--
	return nil
}

func (f *faulty) find(name string) (*node, error) {
	at := f.root
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '/' }) {
		if at = at.names[part]; at == nil {
			return nil, fs.ErrNotExist
		}
	}
	return at, nil
}

// parent finds the directory of name.
func (f *faulty) parent(name string) (*node, string, error) {
	dir, base := filepath.Split(name)
	at, err := f.find(dir)
	return at, base, err
}

func (d *node) change(c change) {
	delete(d.names, c.remove)
	if c.what != nil {
		d.names[c.add] = c.what
	}
	d.changes = append(d.changes, c)
}

// put makes a name that is not taken.
func (f *faulty) put(name string, n *node) error {
	if err := f.op(); err != nil {
		return err
	}
	dir, base, err := f.parent(name)
	if err != nil {
		return err
	}
	if dir.names[base] != nil {
		return fs.ErrExist
	}
	dir.change(change{add: base, what: n})
	return nil
}

func (f *faulty) Mkdir(name string) error { return f.put(name, newDir()) }

func (f *faulty) Create(name string) (output, error) {
	n := &node{}
	return handle{f, n, name, 0}, f.put(name, n)
}

func (f *faulty) Rename(from, to string) error {
	if err := f.op(); err != nil {
		return err
	}
	n, err := f.find(from)
	if err != nil {
		return err
	}
	dir, base, err := f.parent(from)
	if err != nil {
		return err
	}
	if filepath.Dir(from) != filepath.Dir(to) {
		return errors.New("a rename from one directory to another")
	}
	if n.names != nil && dir.names[filepath.Base(to)] != nil {
		return fs.ErrExist
	}
	dir.change(change{remove: base, add: filepath.Base(to), what: n})
	return nil
}

func (f *faulty) RemoveAll(name string) error {
	n, err := f.find(name)
	if err != nil {
		return nil
	}
	for _, below := range slices.Sorted(maps.Keys(n.names)) {
		if err := f.RemoveAll(filepath.Join(name, below)); err != nil {
			return err
		}
	}
	if err := f.op(); err != nil {
		return err
	}
	f.room += len(n.data)
	dir, base, err := f.parent(name)
	if err == nil {
		dir.change(change{remove: base})
	}
	return err
}

func (f *faulty) SyncDir(name string) error {
	if err := f.op(); err != nil {
		return err
	}
	d, err := f.find(name)
	if err != nil {
		return err
	}
	d.synced, d.changes = maps.Clone(d.names), nil
	return nil
}

func (f *faulty) ReadDir(name string) ([]fs.DirEntry, error) {
	d, err := f.find(name)
	if err != nil {
		return nil, err
	}
	var all []fs.DirEntry
	for _, base := range slices.Sorted(maps.Keys(d.names)) {
		all = append(all, fs.FileInfoToDirEntry(info{base, d.names[base]}))
	}
	return all, f.op()
}

func (f *faulty) Lstat(name string) (fs.FileInfo, error) {
	n, err := f.find(name)
	return info{filepath.Base(name), n}, errors.Join(err, f.op())
}

func (f *faulty) Open(name string) (fs.File, error) {
	n, err := f.find(name)
	return &handle{f, n, name, 0}, errors.Join(err, f.op())
}

// cut takes the power away and gives it back: what was not synced is as chance has it.
// A disk that orders changes keeps the first ones, another one any.
func (f *faulty) cut() {
	ordered := f.rng.IntN(2) == 0
	var settle func(n *node)
	settle = func(n *node) {
		if n.names == nil {
			n.data = n.data[:n.lasting+f.rng.IntN(len(n.data)-n.lasting+1)]
			for i := n.lasting; i < len(n.data); i++ {
				if i%16 == 0 && f.rng.IntN(4) == 0 { // a page that was not written
					clear(n.data[i:min(i+16, len(n.data))])
				}
			}
			n.lasting = len(n.data)
			return
		}
		changes := n.changes
		if ordered {
			changes = changes[:f.rng.IntN(len(changes)+1)]
		}
		n.names, n.changes = maps.Clone(n.synced), nil
		for _, c := range changes {
			if ordered || f.rng.IntN(2) == 0 {
				delete(n.names, c.remove)
				if c.what != nil {
					n.names[c.add] = c.what
				}
			}
		}
		n.synced = maps.Clone(n.names)
		for _, below := range slices.Sorted(maps.Keys(n.names)) {
			settle(n.names[below])
		}
	}
	settle(f.root)
	f.on()
}

// handle is an open file.
type handle struct {
	disk *faulty
	*node
	name string
	at   int
}

func (h handle) Write(p []byte) (int, error) {
	if err := h.disk.op(); err != nil {
		return 0, err
	}
	n := min(len(p), h.disk.room)
	h.node.data = append(h.node.data, p[:n]...)
	h.disk.room -= n
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (h handle) Sync() error {
	if err := h.disk.op(); err != nil {
		return err
	}
	h.lasting = len(h.node.data)
	return nil
}

func (h handle) Close() error               { return nil }
func (h handle) Stat() (fs.FileInfo, error) { return info{h.name, h.node}, nil }

func (h *handle) Read(p []byte) (int, error) {
	if h.at == len(h.node.data) {
		return 0, io.EOF
	}
	n := copy(p, h.node.data[h.at:])
	h.at += n
	return n, nil
}

// info is what Stat says of a node.
type info struct {
	name string
	*node
}

func (i info) Name() string       { return filepath.Base(i.name) }
func (i info) Size() int64        { return int64(len(i.data)) }
func (i info) Mode() fs.FileMode  { return map[bool]fs.FileMode{true: fs.ModeDir}[i.IsDir()] }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.node != nil && i.names != nil }
func (i info) Sys() any           { return nil }

// saver saves one snapshot after the other on a disk that fails, and knows which have
// been made durable.
type saver struct {
	disk *faulty
	next uint64
	last Snapshot // of which Save has said that it is durable
	any  bool
}

// save saves the next snapshot, now and then another of the same version.
func (s *saver) save() (Snapshot, error) {
	if s.next == 0 || s.disk.rng.IntN(4) > 0 {
		s.next++
	}
	snap := snapshot(s.next, s.disk.rng.Float32())
	err := save(s.disk, "/node/snapshots", snap)
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
	s.last, s.next = got, got.Version
}

func same(a, b Snapshot) bool {
	return a.Version == b.Version && string(a.Config) == string(b.Config) && string(a.Job) == string(b.Job) && string(a.State) == string(b.State) &&
		difference(a.Model, b.Model)+difference(a.Vectors, b.Vectors) == ""
}

// Whenever the power goes, the next start reads a snapshot no older than the one that
// was durable, and goes on saving.
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
			s.disk.ops = s.disk.rng.IntN(90)
			tried, err := s.save()
			if err != nil && !errors.Is(err, errPower) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			s.disk.cut()
			s.check(t, seed, tried)
		}
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
			s.disk.room = s.disk.rng.IntN(900)
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

// Of two snapshots one damaged bit leaves one, and what is read is never damaged.
func TestFlippedBit(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 3))
		s := saver{disk: newFaulty(rng)}
		before, err := s.save()
		if err != nil {
			t.Fatal(err)
		}
		s.next++
		after := snapshot(s.next, 7)
		if err := save(s.disk, "/node/snapshots", after); err != nil {
			t.Fatal(err)
		}
		victim := before
		if rng.IntN(2) == 0 {
			victim = after
		}
		files, err := s.disk.ReadDir("/node/snapshots/" + folder(victim.Version))
		if err != nil {
			t.Fatal(err)
		}
		name := files[rng.IntN(len(files))].Name()
		file, err := s.disk.find("/node/snapshots/" + folder(victim.Version) + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		file.data[rng.IntN(len(file.data))] ^= 1 << rng.IntN(8)
		got, _, err := load(s.disk, "/node/snapshots")
		if err != nil {
			t.Fatalf("seed %d: a bit of %s of v%d: %v", seed, name, victim.Version, err)
		}
		if damaged := victim.Version == after.Version; damaged && !same(got, before) || !damaged && !same(got, after) || damaged != (got.Skipped != nil) {
			t.Fatalf("seed %d: a bit of %s of v%d: loads v%d, skipped: %v", seed, name, victim.Version, got.Version, got.Skipped)
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
				if err := save(broken, "/node/snapshots", snapshot(v, 1)); err != nil {
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

// careless is a disk whose user leaves something out.
type careless struct {
	*faulty
	without string
}

func (c careless) SyncDir(name string) error {
	if c.without == "sync of directories" {
		return nil
	}
	return c.faulty.SyncDir(name)
}

func (c careless) Create(name string) (output, error) {
	f, err := c.faulty.Create(name)
	if c.without == "sync of files" {
		return unsynced{f}, err
	}
	return f, err
}

type unsynced struct{ output }

func (unsynced) Sync() error { return nil }
