// Package checkpoint keeps the state of a server on disk: tensors as safetensors,
// which Python opens too, counters as JSON, a whole state in one folder that is
// either complete or not there.
//
//	DIR/v000000000042/config.json         the model's shape, as Hugging Face names it
//	                  model.safetensors   its parameters
//	                  state.safetensors   what the optimizer and the role keep beside them
//	                  state.json          counters
//	                  job.json            the job's manifest
//	                  SHA256SUMS          of the five files above
//
// The first two alone are a checkpoint of Hugging Face transformers.
package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
)

// The files of a snapshot.
const (
	configFile = "config.json"
	modelFile  = "model.safetensors"
	vectorFile = "state.safetensors"
	stateFile  = "state.json"
	jobFile    = "job.json"
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
// then removes all snapshots older than s but the newest.
//
// Only one process may save in a directory at a time. Save borrows all of s.
func Save(dir string, s Snapshot) (path string, err error) {
	if err := save(machine{}, dir, s); err != nil {
		return "", fmt.Errorf("save snapshot v%d: %w", s.Version, err)
	}
	return filepath.Join(dir, folder(s.Version)), nil
}

func save(d disk, dir string, s Snapshot) error {
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
	if err := s.write(d, fresh); err != nil {
		return errors.Join(err, d.RemoveAll(fresh))
	}
	if err := commit(d, dir, fresh, s.Version); err != nil {
		return err
	}
	return prune(d, dir, s.Version)
}

// write fills the folder with durable files.
func (s Snapshot) write(d disk, folder string) error {
	text := func(b []byte) func(io.Writer) error {
		return func(w io.Writer) error { _, err := w.Write(b); return err }
	}
	tensors := func(t []Tensor) func(io.Writer) error {
		return func(w io.Writer) error { return WriteTensors(w, t) }
	}
	var sums bytes.Buffer
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
		sum, err := writeFile(d, filepath.Join(folder, file.name), file.write)
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, file.name)
	}
	if _, err := writeFile(d, filepath.Join(folder, sumsFile), text(sums.Bytes())); err != nil {
		return err
	}
	return d.SyncDir(folder)
}

// Load returns the newest snapshot in dir that verifies and its folder. Where a
// newer one does not, the snapshot's Skipped says why. With no snapshot at all
// the error is ErrNone; with none that verifies it says what is wrong with each.
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
			return s, f.path, nil
		}
		faults = append(faults, fmt.Errorf("snapshot %s: %w", f.path, err))
	}
	return Snapshot{}, "", fmt.Errorf("no snapshot in %s verifies: restore one from a copy, or start in another directory:\n%w", dir, errors.Join(faults...))
}

// read reads a whole snapshot and verifies every byte of it.
func read(d disk, f found) (Snapshot, error) {
	s := Snapshot{Version: f.version}
	sums, err := readSums(d, f.path)
	if err != nil {
		return s, err
	}
	for _, file := range []struct {
		name string
		dst  *[]byte
	}{{configFile, &s.Config}, {stateFile, &s.State}, {jobFile, &s.Job}} {
		if *file.dst, err = readText(d, filepath.Join(f.path, file.name), sums[file.name]); err != nil {
			return s, err
		}
	}
	for _, file := range []struct {
		name string
		dst  *[]Tensor
	}{{modelFile, &s.Model}, {vectorFile, &s.Vectors}} {
		if *file.dst, err = readTensorFile(d, filepath.Join(f.path, file.name), sums[file.name]); err != nil {
			return s, err
		}
	}
	return s, nil
}

func readTensorFile(d disk, path, sum string) (tensors []Tensor, err error) {
	err = readFile(d, path, sum, func(r io.Reader, size int64) error {
		tensors, err = ReadTensors(r, size)
		return err
	})
	return tensors, err
}

// readSums reads SHA256SUMS, the file that sha256sum -c takes, and sees that it
// names every file of a snapshot.
func readSums(d disk, folder string) (map[string]string, error) {
	text, err := readText(d, filepath.Join(folder, sumsFile), "")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("not a complete snapshot: %w", err)
	}
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if sum, name, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			sums[name] = sum
		}
	}
	for _, name := range []string{configFile, modelFile, vectorFile, stateFile, jobFile} {
		if sums[name] == "" {
			return nil, fmt.Errorf("%s does not name %s: truncated or damaged", sumsFile, name)
		}
	}
	return sums, nil
}
