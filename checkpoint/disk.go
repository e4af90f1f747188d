package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// disk is what snapshots are kept on: the machine's, or one of a test that loses what
// it was not told to keep.
type disk interface {
	Mkdir(name string) error
	ReadDir(name string) ([]fs.DirEntry, error)
	Lstat(name string) (fs.FileInfo, error)
	Open(name string) (fs.File, error)
	Create(name string) (output, error) // refuses a name that is taken
	Rename(from, to string) error
	RemoveAll(name string) error
	SyncDir(name string) error // makes the names in a directory durable
}

// output is a file that is being written.
type output interface {
	io.Writer
	Sync() error
	Close() error
}

// machine is the disk of this machine.
type machine struct{}

func (machine) Mkdir(name string) error                    { return os.Mkdir(name, 0o755) }
func (machine) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }
func (machine) Lstat(name string) (fs.FileInfo, error)     { return os.Lstat(name) }
func (machine) Open(name string) (fs.File, error)          { return os.Open(name) }
func (machine) Rename(from, to string) error               { return os.Rename(from, to) }
func (machine) RemoveAll(name string) error                { return os.RemoveAll(name) }

func (machine) Create(name string) (output, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
}

// SyncDir is that of disk. Windows has no such call: there a rename is as durable as
// its journal makes it.
func (machine) SyncDir(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir makes a directory and those above it, and sees that the names last: that of
// dir even if it is there, as a process may have been killed after making it.
func makeDir(d disk, dir string) error {
	err := d.Mkdir(dir)
	parent := filepath.Dir(dir)
	if errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := makeDir(d, parent); err != nil {
			return err
		}
		err = d.Mkdir(dir)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.SyncDir(parent)
}

// writeFile makes a durable file of what write writes and returns its seal, with
// blocks of the given length.
func writeFile(d disk, path string, length int64, write func(io.Writer) error) (seal, error) {
	f, err := d.Create(path)
	if err != nil {
		return seal{}, err
	}
	sums := newDigest(length)
	err = write(io.MultiWriter(f, sums))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return seal{}, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return sums.seal(), nil
}

// readFile hands a file and its length to read and then compares the whole file with
// its seal. Where they disagree that is the error, whatever read made of the file.
func readFile(d disk, path string, want seal, read func(r io.Reader, size int64) error) error {
	f, err := d.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	r := sealing{f, want.like()}
	fault := read(r, info.Size())
	if want.sum != "" {
		buffer := make([]byte, max(1, min(bufferLen, info.Size()-r.digest.made.size())))
		_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, buffer) // its own is of 8 KiB
		if err == nil {
			err = want.compare(r.digest.seal())
		}
		if err != nil {
			fault = err
		}
	}
	if fault != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), fault)
	}
	return nil
}

// maxText bounds the files of a snapshot that are not tensors.
const maxText = 64 << 20

// readText reads a whole small file, compared with its seal as readFile does.
func readText(d disk, path string, want seal) (text []byte, err error) {
	err = readFile(d, path, want, func(r io.Reader, size int64) error {
		if size > maxText {
			return fmt.Errorf("has %d bytes, more than the %d that such a file may have", size, maxText)
		}
		text, err = io.ReadAll(r)
		return err
	})
	return text, err
}
