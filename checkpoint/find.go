package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// searchDepth is how far below a directory Find looks for snapshots: a testnet's
// directory holds one per node, and that one for its snapshots.
const searchDepth = 3

// Find returns the folder with the model that path stands for, which is one of
//
//   - such a folder itself: a snapshot, or config.json and model.safetensors from
//     anywhere else;
//   - a directory of snapshots: the newest whose model verifies;
//   - the directory of a node or a whole testnet: a GPS's snapshots before all
//     others, then those that have come furthest.
func Find(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("checkpoint: %w", err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("checkpoint %s is a file: name the folder that holds it", path)
	}
	if hasModel(path) {
		return path, nil
	}
	snapshots := search(path, searchDepth)
	if len(snapshots) == 0 {
		return "", fmt.Errorf("checkpoint %s: no %s with %s, no snapshot and no node's directory that holds one", path, configFile, modelFile)
	}
	slices.SortStableFunc(snapshots, func(a, b found) int {
		return cmp.Or(cmp.Compare(ofGPS(path, a), ofGPS(path, b)), cmp.Compare(b.version, a.version))
	})
	var faults []error
	for _, s := range snapshots {
		err := verifyModel(s.path)
		if err == nil {
			return s.path, nil
		}
		faults = append(faults, fmt.Errorf("snapshot %s: %w", s.path, err))
	}
	return "", fmt.Errorf("checkpoint %s: no snapshot verifies:\n%w", path, errors.Join(faults...))
}

// hasModel reports whether dir holds the files of a Hugging Face checkpoint.
func hasModel(dir string) bool {
	for _, name := range []string{configFile, modelFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.IsDir() {
			return false
		}
	}
	return true
}

// search returns all snapshots in dir and depth levels below it. What cannot be
// read holds none.
func search(dir string, depth int) []found {
	all, err := list(machine{}, dir)
	if err != nil || len(all) > 0 || depth == 0 {
		return all
	}
	below, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, e := range below {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			all = append(all, search(filepath.Join(dir, e.Name()), depth-1)...)
		}
	}
	return all
}

// ofGPS is 0 for a snapshot in a GPS's directory below root, else 1.
func ofGPS(root string, s found) int {
	if below, err := filepath.Rel(root, s.path); err == nil && strings.Contains(below, "gps") {
		return 0
	}
	return 1
}

// verifyModel compares what Find's callers read of a snapshot with its seals.
func verifyModel(path string) error {
	seals, err := readSeals(machine{}, path)
	if err != nil {
		return err
	}
	if _, err := readText(machine{}, filepath.Join(path, configFile), seals[configFile]); err != nil {
		return err
	}
	return readFile(machine{}, filepath.Join(path, modelFile), seals[modelFile], func(io.Reader, int64) error { return nil })
}
