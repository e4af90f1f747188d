package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	unfinishedSuffix = ".tmp" // a snapshot that is being written
	replacedSuffix   = ".old" // a snapshot whose place one of the same version takes
)

// folder is the name of the folder of a version.
func folder(version uint64) string { return fmt.Sprintf("v%012d", version) }

// found is a snapshot's folder, not yet verified.
type found struct {
	version  uint64
	replaced bool // it had to give way to another of its version
	path     string
}

// list returns the snapshots in dir, the best to load first: newest version
// first, a replaced one after its replacement. No directory is no snapshots.
func list(d disk, dir string) ([]found, error) {
	names, err := d.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []found
	for _, e := range names {
		name, replaced := strings.CutSuffix(e.Name(), replacedSuffix)
		version, err := strconv.ParseUint(strings.TrimPrefix(name, "v"), 10, 64)
		if err == nil && name == folder(version) && e.IsDir() {
			all = append(all, found{version, replaced, filepath.Join(dir, e.Name())})
		}
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(b.version, a.version), cmp.Compare(a.path, b.path))
	})
	return all, nil
}

// sweep removes what a crash in the middle of Save left unfinished.
func sweep(d disk, dir string) error {
	names, err := d.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range names {
		if strings.HasPrefix(e.Name(), ".v") && strings.HasSuffix(e.Name(), unfinishedSuffix) {
			if err := d.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// commit gives a complete and durable folder its name. If the name is taken, the
// folder that has it steps aside first under a name that Load knows too: at every
// moment one of the two is there.
func commit(d disk, dir, fresh string, version uint64) error {
	final := filepath.Join(dir, folder(version))
	replaced := final + replacedSuffix
	if _, err := d.Lstat(final); err == nil {
		if err := d.RemoveAll(replaced); err != nil {
			return err
		}
		if err := d.Rename(final, replaced); err != nil {
			return err
		}
		if err := d.SyncDir(dir); err != nil {
			return err
		}
	}
	if err := d.Rename(fresh, final); err != nil {
		return err
	}
	if err := d.SyncDir(dir); err != nil {
		return err
	}
	return d.RemoveAll(replaced)
}

// prune removes the snapshots that the one of the given version makes
// superfluous: all older ones but the newest of them. Newer ones it leaves alone.
func prune(d disk, dir string, version uint64) error {
	all, err := list(d, dir)
	if err != nil {
		return err
	}
	kept := 0
	for _, f := range all {
		if f.version > version {
			continue
		}
		if kept++; kept <= 2 {
			continue
		}
		if err := d.RemoveAll(f.path); err != nil {
			return err
		}
	}
	return nil
}
