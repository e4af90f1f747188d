package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"halos/data"
	"halos/job"
	"halos/node"
)

// heldFile is the manifest in the directory of a node.
const heldFile = "job.json"

func presetFlag() urfave.Flag {
	return &urfave.StringFlag{Name: "preset", Value: "tiny", Usage: "start from the settings of `NAME`: " + strings.Join(job.PresetNames(), ", ")}
}

func setFlag() urfave.Flag {
	return &urfave.StringSliceFlag{Name: "set", Usage: "change a setting of the preset by `KEY=VALUE`, such as K=16 or lps.lr=0.4; \"halos init\" shows all keys; repeatable"}
}

// newJob makes a job of --preset and --set, on the text of file if there is one.
func newJob(c *urfave.Context, file string) (*job.Job, error) {
	j, err := job.Preset(c.String("preset"))
	if err != nil {
		return nil, together(c, err)
	}
	if file != "" {
		if j.Source, err = describe(file); err != nil {
			return nil, together(c, err)
		}
	}
	var errs []error
	for _, s := range c.StringSlice("set") {
		errs = append(errs, j.Set(s))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, together(c, err)
	}
	if err := j.Validate(); err != nil {
		return nil, together(c, fmt.Errorf("the job would not run:\n%w", err))
	}
	if file != "" {
		return j, together(c, checkText(j, file))
	}
	return j, nil
}

// describe makes a source of a user's text, named after the file or as NAME in
// NAME=FILE.
func describe(arg string) (data.Source, error) {
	name, file := splitData(arg)
	if name == "" {
		name = sourceName(file)
	}
	return data.Describe(name, file)
}

// checkText refuses a text that is too short for j.
func checkText(j *job.Job, arg string) error {
	_, file := splitData(arg)
	corpus, err := data.Open(j.Source, file)
	if err != nil {
		return err
	}
	return corpus.Check(j.Context(), j.Batch)
}

// splitData cuts NAME=FILE. A file whose own name looks so has precedence.
func splitData(arg string) (name, file string) {
	before, after, ok := strings.Cut(arg, "=")
	if _, err := os.Stat(arg); err == nil || !ok || strings.ContainsAny(before, `/\`) {
		return "", arg
	}
	return before, after
}

// sourceName makes a name for a text of its file's name, other than the embedded
// one's.
func sourceName(file string) string {
	base := strings.ToLower(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, base)
	name = strings.Trim(name[:min(len(name), 32)], "-.")
	if name == "" || slices.ContainsFunc(data.Embedded(), func(s data.Source) bool { return s.Name == name }) {
		name += "-text"
	}
	return strings.TrimLeft(name, "-")
}

// readManifest reads the job that a file describes.
func readManifest(file string) (*job.Job, error) {
	text, err := readBounded(file)
	if err != nil {
		return nil, fmt.Errorf("job file: %w", err)
	}
	j, err := job.ParseYAML(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return j, nil
}

// heldJob returns the job that the node's directory belongs to, nil if it belongs
// to none.
func heldJob(dir string) (*job.Job, error) {
	path := filepath.Join(dir, heldFile)
	raw, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("directory of the node: %w", err)
	}
	j, err := job.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", node.ErrMismatch, path, err)
	}
	return j, nil
}

// readBounded reads a file no longer than a manifest may be, and one byte more of
// a longer one.
func readBounded(path string) ([]byte, error) { return readAtMost(path, job.MaxBytes) }

// readAtMost reads a file of at most limit bytes, and one byte more of a longer one.
func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}
