package checkpoint

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

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
	bad     bool             // its second half cannot be read
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
	end := len(h.node.data)
	if h.bad {
		if end /= 2; h.at == end {
			return 0, syscall.EIO
		}
	}
	n := copy(p, h.node.data[h.at:end])
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
