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

// prune removes the snapshots that the one of the given version, saved last, makes
// superfluous: of the older ones all but the newest, and the newer ones, which Load
// would prefer. Those are of a history that was given up: Load had to pass over them,
// or the server was handed a state that had not come as far.
func prune(d disk, dir string, version uint64) error {
	all, err := list(d, dir)
	if err != nil {
		return err
	}
	newer := 0
	for newer < len(all) && all[newer].version > version {
		newer++
	}
	for _, f := range all[min(newer+2, len(all)):] {
		if err := d.RemoveAll(f.path); err != nil {
			return err
		}
	}
	for _, f := range slices.Backward(all[:newer]) { // the one that Load takes goes last
		if err := discard(d, dir, f.path); err != nil {
			return err
		}
	}
	return nil
}

// discard removes a folder whose files must not be seen again, even in part: it loses
// its name first, for good.
func discard(d disk, dir, path string) error {
	unnamed := filepath.Join(dir, "."+filepath.Base(path)+unfinishedSuffix)
	if err := d.Rename(path, unnamed); err != nil {
		return err
	}
	if err := d.SyncDir(dir); err != nil {
		return err
	}
	return d.RemoveAll(unnamed)
}
