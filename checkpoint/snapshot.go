// Package checkpoint keeps the state of a server on disk: tensors as safetensors,
// which Python opens too, counters as JSON, a whole state in one folder that is
// either complete or not there.
//
//	DIR/v000000000042/config.json         the model's shape, as Hugging Face names it
//	                  model.safetensors   its parameters
//	                  state.safetensors   what the optimizer and the role keep beside them
//	                  state.json          counters
//	                  job.json            the job's manifest
//	                  CRC32C              of each block of 4 MiB of the files above
//	                  SHA256SUMS          of all files above, for sha256sum -c
//
// The first two alone are a checkpoint of Hugging Face transformers.
//
// SHA256SUMS decides whether a snapshot is good; where it is not, CRC32C says which
// bytes are to blame. It has a line per block, a file's in order and without a gap, of
// the CRC-32C (Castagnoli) in hex, the block's first byte, its length and the file:
//
//	9a71bb4c  4194304  4194304  model.safetensors
//
// A folder without CRC32C is read too.
package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
)

// The files of a snapshot.
const (
	configFile = "config.json"
	modelFile  = "model.safetensors"
	vectorFile = "state.safetensors"
	stateFile  = "state.json"
	jobFile    = "job.json"
	blocksFile = "CRC32C"
	sumsFile   = "SHA256SUMS"
)

// ErrNone says that a directory holds no snapshot, good or bad: start afresh.
var ErrNone = errors.New("no snapshot")

// Snapshot is the whole state of a server at one version of its model.
type Snapshot struct {
	Version uint64
	Config  []byte   // the model's shape as Hugging Face JSON
	Job     []byte   // the manifest as JSON
	Model   []Tensor // the parameters under their Hugging Face names
	Vectors []Tensor // momentum and whatever else is as long as the model
	State   []byte   // counters as JSON

	// Skipped says, after Load, why newer snapshots were passed over; nil if the
	// newest was good. Save ignores it.
	Skipped error
}

// Save makes s durable in dir, which it creates if need be, and returns the
// snapshot's folder. When it returns, s survives a crash of the machine; until
// then the snapshots that were there before do, one of the same version too. It
// then removes all others but the newest that is older than s: also those newer than
// s, whose history ended when the server went on from an older state.
//
// Only one process may save in a directory at a time. Save borrows all of s.
func Save(dir string, s Snapshot) (path string, err error) {
	if err := save(machine{}, dir, blockLen, s); err != nil {
		return "", fmt.Errorf("save snapshot v%d: %w", s.Version, err)
	}
	return filepath.Join(dir, folder(s.Version)), nil
}

// save is Save with CRCs of blocks of the given length.
func save(d disk, dir string, length int64, s Snapshot) error {
	if err := makeDir(d, dir); err != nil {
		return err
	}
	if err := sweep(d, dir); err != nil {
		return err
	}
	fresh := filepath.Join(dir, "."+folder(s.Version)+unfinishedSuffix)
	if err := d.Mkdir(fresh); err != nil {
		return err
	}
	if err := s.write(d, fresh, length); err != nil {
		return errors.Join(err, d.RemoveAll(fresh))
	}
	if err := commit(d, dir, fresh, s.Version); err != nil {
		return err
	}
	return prune(d, dir, s.Version)
}

// write fills the folder with durable files.
func (s Snapshot) write(d disk, folder string, length int64) error {
	text := func(b []byte) func(io.Writer) error {
		return func(w io.Writer) error { _, err := w.Write(b); return err }
	}
	tensors := func(t []Tensor) func(io.Writer) error {
		return func(w io.Writer) error { return WriteTensors(w, t) }
	}
	var sums, blocks []byte
	add := func(name string, write func(io.Writer) error) error {
		made, err := writeFile(d, filepath.Join(folder, name), length, write)
		if err != nil {
			return err
		}
		sums, blocks = made.appendSum(sums, name), made.appendBlocks(blocks, name)
		return nil
	}
	for _, file := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{configFile, text(s.Config)},
		{modelFile, tensors(s.Model)},
		{vectorFile, tensors(s.Vectors)},
		{stateFile, text(s.State)},
		{jobFile, text(s.Job)},
	} {
		if err := add(file.name, file.write); err != nil {
			return err
		}
	}
	if err := add(blocksFile, text(blocks)); err != nil {
		return err
	}
	if err := add(sumsFile, text(sums)); err != nil {
		return err
	}
	return d.SyncDir(folder)
}

// Load returns the newest snapshot in dir that verifies and its folder. Where a
// newer one does not, the snapshot's Skipped says why. With no snapshot at all
// the error is ErrNone; with none that verifies it says what is wrong with each. What
// it returns survives a crash of the machine, even if the process that saved it was
// killed before it knew that.
func Load(dir string) (s Snapshot, path string, err error) { return load(machine{}, dir) }

func load(d disk, dir string) (s Snapshot, path string, err error) {
	found, err := list(d, dir)
	if err != nil {
		return Snapshot{}, "", err
	}
	if len(found) == 0 {
		return Snapshot{}, "", fmt.Errorf("%w in %s", ErrNone, dir)
	}
	var faults []error
	for _, f := range found {
		s, err := read(d, f)
		if err == nil {
			s.Skipped = errors.Join(faults...)
			return s, f.path, d.SyncDir(dir)
		}
		faults = append(faults, fmt.Errorf("snapshot %s: %w", f.path, err))
	}
	return Snapshot{}, "", fmt.Errorf("no snapshot in %s verifies: restore one from a copy, or start in another directory:\n%w", dir, errors.Join(faults...))
}

// read reads a whole snapshot and verifies every byte of it. The error tells of all
// files that are damaged.
func read(d disk, f found) (s Snapshot, err error) {
	seals, err := readSeals(d, f.path)
	if err != nil {
		return s, err
	}
	var faults []error
	text := func(name string) (b []byte) {
		b, err := readText(d, filepath.Join(f.path, name), seals[name])
		faults = append(faults, err)
		return b
	}
	tensors := func(name string) (t []Tensor) {
		err := readFile(d, filepath.Join(f.path, name), seals[name], func(r io.Reader, size int64) (err error) {
			t, err = ReadTensors(r, size)
			return err
		})
		faults = append(faults, err)
		return t
	}
	s = Snapshot{
		Version: f.version, Config: text(configFile), Job: text(jobFile), State: text(stateFile),
		Model: tensors(modelFile), Vectors: tensors(vectorFile),
	}
	return s, errors.Join(faults...)
}
