package testnet

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"halos/wan"
)

// manifestFile is the job in the directory of a testnet; where it is, there was one.
const manifestFile = "job.yaml"

// maxProcesses is what one machine may be asked for.
const maxProcesses = 512

// Config says what to run. All of it is checked before anything is started.
type Config struct {
	Binary   string        // the halos program, as a rule os.Executable()
	Manifest []byte        // the job, as YAML
	Regions  int           // 1 to MaxRegions
	Workers  int           // per region
	Duration time.Duration // from the start of the first process; 0 runs to the job's own end
	Links    wan.Links     // between regions
	Netns    bool          // put each region into a network namespace behind a wan.Network; takes Linux and root
	Dir      string        // empty or new; "" makes a directory among the temporary ones, which is kept
	Args     []string      // further flags of every process

	Log   io.Writer       // takes progress and summary; redrawn in place if it is a terminal
	Abort <-chan struct{} // when closed, all processes are killed at once; nil is never

	// For tests.
	startLimit, drainLimit time.Duration // 0 is the package's
	oneHost                bool          // as on a system that has only 127.0.0.1
}

// Validate joins all faults of c.
func (c Config) Validate() error {
	var faults []error
	if c.Regions < 1 || c.Regions > MaxRegions {
		faults = append(faults, fmt.Errorf("regions %d: must be 1 to %d", c.Regions, MaxRegions))
	}
	if c.Workers < 1 {
		faults = append(faults, fmt.Errorf("workers %d: each region needs at least 1", c.Workers))
	} else if n := 1 + c.Regions*(1+min(c.Workers, maxProcesses)); c.Regions <= MaxRegions && n > maxProcesses {
		faults = append(faults, fmt.Errorf("%d regions of %d workers: a testnet has at most %d processes", c.Regions, c.Workers, maxProcesses))
	}
	if c.Duration < 0 {
		faults = append(faults, fmt.Errorf("duration %v: must be 0s or more", c.Duration))
	}
	faults = append(faults, c.Links.Validate(RegionNames(c.Regions)))
	if c.Netns && c.Regions > wan.MaxRegions {
		faults = append(faults, fmt.Errorf("regions %d: at most %d with --netns", c.Regions, wan.MaxRegions))
	}
	links := append(slices.Collect(maps.Values(c.Links.Pairs)), c.Links.Default)
	if !c.Netns && slices.ContainsFunc(links, func(l wan.Link) bool { return l.Queue > 0 }) {
		faults = append(faults, fmt.Errorf("links %v: packets wait in a queue with --netns only: add it, or leave the queue out", c.Links))
	}
	return errors.Join(faults...)
}

// makeDir makes the directory of a testnet and returns its absolute path. It takes
// none that holds anything.
func makeDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "halos-testnet-")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("directory of the testnet: %w", err)
	}
	for _, e := range entries {
		if e.Name() == manifestFile {
			return "", fmt.Errorf("directory %s holds a former testnet: name another one, or remove it", dir)
		}
	}
	if len(entries) > 0 {
		return "", fmt.Errorf("directory %s is not empty (it holds %s): name another one", dir, entries[0].Name())
	}
	return dir, os.MkdirAll(dir, 0o755)
}
