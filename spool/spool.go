// Package spool keeps the frames of transfers while they travel: small ones in
// memory, large ones in files without a name, which vanish with the process.
package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// prefix begins the name of files until they lose it.
const prefix = "spool-"

const (
	grain   = 64 << 10 // capacities of frames are multiples of it, so that those of almost one length share them
	maxIdle = 2        // frames of either kind that wait to be used again
)

// Dir says where frames are kept. It keeps the room of a few that were closed for the
// next ones: memory and pages of the disk's cache that were used before cost several
// times less than new ones.
type Dir struct {
	Path  string // of an existing directory for the large ones; "" keeps all in memory
	Above int    // bytes up to which a frame is kept in memory

	mu   sync.Mutex
	idle []*Frame
}

// New makes room for a frame of size bytes, with any contents. The disk has room for
// it, as far as the system can promise that. The error names the directory and what to
// do.
func (d *Dir) New(size int) (*Frame, error) {
	onDisk := d.Path != "" && size > d.Above
	if f := d.again(size, onDisk); f != nil {
		return f, nil
	}
	room := (size + grain - 1) / grain * grain
	f := &Frame{dir: d, size: size, room: room}
	if !onDisk {
		f.mem = make([]byte, room)
		return f, nil
	}
	file, err := os.CreateTemp(d.Path, prefix+"*")
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	f.file = file
	if err := os.Remove(file.Name()); err != nil {
		f.named = true // a system that does not take the name of an open file
	}
	if err := reserve(file, int64(room)); err != nil {
		return nil, errors.Join(fmt.Errorf("spool %d MB in %s: %w: make room there, or put --dir on a larger disk", size/1e6, d.Path, err), f.end())
	}
	return f, nil
}

// again is a closed frame whose room fits, nil if there is none.
func (d *Dir) again(size int, onDisk bool) *Frame {
	d.mu.Lock()
	defer d.mu.Unlock()
	fits := func(f *Frame) bool { return (f.file != nil) == onDisk && f.room >= size && f.room <= 2*size+grain }
	i := slices.IndexFunc(d.idle, fits)
	if i < 0 {
		return nil
	}
	old := d.idle[i]
	d.idle = slices.Delete(d.idle, i, i+1)
	return &Frame{dir: d, size: size, room: old.room, mem: old.mem, file: old.file, named: old.named}
}

// keep takes the room of a frame over, and gives up that of the one that has waited
// longest if there are enough of its kind.
func (d *Dir) keep(f *Frame) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.idle = append(d.idle, f)
	same := func(other *Frame) bool { return (other.file != nil) == (f.file != nil) }
	n, first := 0, -1
	for i, other := range d.idle {
		if same(other) {
			if n++; first < 0 {
				first = i
			}
		}
	}
	if n <= maxIdle {
		return nil
	}
	old := d.idle[first]
	d.idle = slices.Delete(d.idle, first, first+1)
	return old.end()
}

// Close gives up the room of closed frames. Those that are open keep theirs.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var err error
	for _, f := range d.idle {
		err = errors.Join(err, f.end())
	}
	d.idle = nil
	return err
}

// Clean removes what a process that was killed has left in the directory.
func (d *Dir) Clean() error {
	entries, err := os.ReadDir(d.Path)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if gone := os.Remove(filepath.Join(d.Path, e.Name())); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

// Frame is the bytes of one transfer. Parts that do not overlap may be read and
// written at the same time.
type Frame struct {
	dir   *Dir
	size  int
	room  int      // bytes, at least size
	mem   []byte   // [room], or
	file  *os.File // from its start
	named bool     // the file goes with it
}

// Size is the length of the whole frame, bytes.
func (f *Frame) Size() int { return f.size }

// ReadAt fills b from the frame at off, as io.ReaderAt has it.
func (f *Frame) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 || off > int64(f.size) {
		return 0, fmt.Errorf("spool: read at %d of %d", off, f.size)
	}
	if f.file != nil {
		return io.NewSectionReader(f.file, 0, int64(f.size)).ReadAt(b, off)
	}
	n := copy(b, f.mem[off:f.size])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt puts b into the frame at off, where it must fit.
func (f *Frame) WriteAt(b []byte, off int64) (int, error) {
	if off < 0 || off > int64(f.size)-int64(len(b)) {
		return 0, fmt.Errorf("spool: %d bytes at %d of %d", len(b), off, f.size)
	}
	if f.file != nil {
		return f.file.WriteAt(b, off)
	}
	return copy(f.mem[off:], b), nil
}

// Close gives the room back. The frame must not be used any more.
func (f *Frame) Close() error { return f.dir.keep(f) }

// Discard gives the room up for good: it is not used again.
func (f *Frame) Discard() error { return f.end() }

// end gives the memory to the collector, or the disk's room back to the disk.
func (f *Frame) end() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	if f.named {
		err = errors.Join(err, os.Remove(f.file.Name()))
	}
	return err
}
