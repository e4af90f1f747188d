package spool

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"halos/wire"
)

func TestFramesOfBothKinds(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct {
		name  string
		dir   *Dir
		size  int
		inMem bool
	}{
		{"no directory", &Dir{}, 1 << 20, true},
		{"small", &Dir{Path: dir, Above: 1000}, 1000, true},
		{"large", &Dir{Path: dir, Above: 1000}, 1001, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := tc.dir.New(tc.size)
			if err != nil {
				t.Fatal(err)
			}
			if (f.mem != nil) != tc.inMem || f.Size() != tc.size {
				t.Fatalf("in memory %v, want %v; size %d", f.mem != nil, tc.inMem, f.Size())
			}
			want := []byte("halos")
			if _, err := f.WriteAt(want, int64(tc.size-5)); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 5)
			if _, err := f.ReadAt(got, int64(tc.size-5)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %q, %v", got, err)
			}
			for _, off := range []int64{-1, int64(tc.size - 4)} {
				if _, err := f.WriteAt(want, off); err == nil {
					t.Errorf("5 bytes at %d of %d were taken", off, tc.size)
				}
			}
			if n, err := f.ReadAt(got, int64(tc.size-2)); n != 2 || err == nil {
				t.Errorf("beyond the end: got %d, %v", n, err)
			}
			if err := errors.Join(f.Close(), tc.dir.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%d files are left", len(left))
	}
}

// No disk has room for this; systems that promise nothing make a sparse file.
func TestNoRoom(t *testing.T) {
	_, err := (&Dir{Path: t.TempDir()}).New(1 << 60)
	if err == nil || !strings.Contains(err.Error(), "make room there") {
		t.Errorf("got %v", err)
	}
	if _, err := (&Dir{Path: "/nowhere"}).New(1); err == nil {
		t.Error("a directory that does not exist was taken")
	}
}

func TestClean(t *testing.T) {
	d := &Dir{Path: filepath.Join(t.TempDir(), "a[b")} // no pattern
	if err := os.Mkdir(d.Path, 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.CreateTemp(d.Path, prefix+"*")
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	kept, err := os.Create(d.Path + "/identity")
	if err != nil {
		t.Fatal(err)
	}
	kept.Close()
	if err := d.Clean(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(d.Path); len(left) != 1 {
		t.Errorf("%d files are left, want 1", len(left))
	}
}

// Readers see no byte before it is written.
func TestGrowing(t *testing.T) {
	want := make([]byte, 300_000)
	rand.NewChaCha8([32]byte{}).Read(want)
	for _, d := range []*Dir{{}, {Path: t.TempDir()}} {
		f, err := d.New(len(want))
		if err != nil {
			t.Fatal(err)
		}
		g := Grow(f)
		var readers sync.WaitGroup
		for range 3 {
			readers.Go(func() {
				got := make([]byte, len(want))
				for at := 0; at < len(want); {
					n := g.Len() - at
					if _, err := g.ReadAt(got[at:at+n], int64(at)); err != nil {
						t.Error(err)
						return
					}
					at += n
				}
				if !bytes.Equal(got, want) {
					t.Error("a reader got other bytes")
				}
			})
		}
		for at := 0; at < len(want); at += 7000 {
			if _, ok := g.Sum(); ok {
				t.Fatal("a sum of a part")
			}
			piece := want[at:min(at+7000, len(want))]
			if at%2 == 0 {
				in := g.Reserve(len(piece))
				copy(in, piece)
				piece = in
			}
			if err := g.Append(piece); err != nil {
				t.Fatal(err)
			}
		}
		readers.Wait()
		var sums []uint32
		for at := 0; at < len(want); at += wire.ChunkBytes {
			sums = append(sums, wire.Checksum(want[at:min(at+wire.ChunkBytes, len(want))]))
		}
		if sum, ok := g.Sum(); !ok || sum != wire.FrameSum(sums) {
			t.Errorf("got %x, %v", sum, ok)
		}
		if err := g.Append([]byte{1}); err == nil {
			t.Error("a byte too many was taken")
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The room of closed frames is used again, for frames that fit and do not waste it.
func TestRoomIsUsedAgain(t *testing.T) {
	const mega = 1 << 20
	d := &Dir{Path: t.TempDir(), Above: 2 * mega}
	room := func(size int) *Frame {
		t.Helper()
		f, err := d.New(size)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	end := func(fs ...*Frame) {
		t.Helper()
		for _, f := range fs {
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	mem, file := room(mega), room(3*mega)
	end(mem, file)
	for _, tc := range []struct {
		name string
		size int
		want *Frame // whose room it gets, nil for new room
	}{
		{"a few bytes less", mega - 5, mem},
		{"a few bytes more", mega + 5, nil},
		{"a third", mega / 3, nil},
		{"on disk", 3*mega - 100, file},
		{"on disk, larger", 4 * mega, nil},
	} {
		f := room(tc.size)
		again := tc.want != nil && (f.file != nil && f.file == tc.want.file || f.mem != nil && &f.mem[0] == &tc.want.mem[0])
		if again != (tc.want != nil) || f.Size() != tc.size {
			t.Errorf("%s: used again %v, size %d", tc.name, again, f.Size())
		}
		if n, err := f.ReadAt(make([]byte, 10), int64(f.size)-3); n != 3 || err == nil {
			t.Errorf("%s: read %d bytes of the 3 before its end", tc.name, n)
		}
	}
	end(room(mega), room(mega), room(mega), room(3*mega))
	if n := len(d.idle); n != maxIdle+1 {
		t.Errorf("%d frames are kept, want %d in memory and one on disk", n, maxIdle)
	}
	if err := d.Close(); err != nil || len(d.idle) != 0 {
		t.Errorf("%v, %d are left", err, len(d.idle))
	}
}
