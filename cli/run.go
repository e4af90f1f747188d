package cli

import (
	"fmt"
	"path/filepath"

	urfave "github.com/urfave/cli/v2"

	"halos/data"
	"halos/job"
	"halos/node"
)

// Where a node is that names no place.
const (
	runDir    = "halos-node"
	runRegion = "home"
)

// builtin is the text that needs no file.
var builtin = data.Austen()

func (i *invocation) runCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "run",
		Usage:     "start a job, or continue the one in the directory",
		UsageText: "halos run [--job FILE | --preset NAME] [flags]",
		Description: `Alone, the node is the job's global server (GPS), its region's server (LPS) and a
worker: it trains at once. It prints the line by which others join, with an
address of this machine that they can dial.

    halos run                                  the tiny preset, in ./halos-node
    halos run --preset small --set K=16
    halos run --job job.yaml                   a job made by halos init
    halos run --preset small --data moby.txt   on a text of your own
    halos run --threads 4 --recompute          on 4 cores only, in less memory
    halos run                                  again: continues where it was

Interrupt it (Ctrl-C) to let it hand over what it holds and end; interrupt again
to end at once. While it runs, ask it: halos status`,
		Flags: append([]urfave.Flag{
			&urfave.StringFlag{Name: "job", Usage: "start the job of `FILE`, which halos init printed"},
			presetFlag(),
			setFlag(),
		}, nodeFlags(runRegion, runDir)...),
		Action: i.run,
	}
}

func (i *invocation) run(c *urfave.Context) error {
	if _, err := i.arguments(c, 0, "job"); err != nil {
		return err
	}
	cfg, err := i.nodeConfig(c)
	if err != nil {
		return err
	}
	if cfg.Dir = c.String("dir"); cfg.Dir == "" {
		cfg.Dir = runDir
	}
	held, err := heldJob(cfg.Dir)
	if err != nil {
		return err
	}
	j, err := jobToRun(c, cfg.Dir, held)
	if err != nil {
		return err
	}
	if name, _ := splitData(c.String("data")); name != "" && name != j.Source.Name {
		return together(c, fmt.Errorf("--data names the text %q, the job's text is %q", name, j.Source.Name))
	}
	if held == nil {
		cfg.Job = j
		if cfg.Region == "" {
			cfg.Region = runRegion
		}
	}
	return i.serve(c, cfg, func(n *node.Node) error { return i.invite(n, cfg, j) })
}

// jobToRun returns the job to start, or held to continue it.
func jobToRun(c *urfave.Context, dir string, held *job.Job) (*job.Job, error) {
	file := c.String("job")
	switch {
	case file != "" && (c.IsSet("preset") || c.IsSet("set")):
		return nil, together(c, fmt.Errorf("--job takes all settings from its file: edit %s instead of giving --preset or --set", file))
	case file != "":
		j, err := readManifest(file)
		if err != nil {
			return nil, together(c, err)
		}
		if held != nil && j.ID() != held.ID() {
			return nil, otherJob(dir, held, "not to "+j.ID().String()+" of "+file, "--job")
		}
		return j, nil
	case held == nil:
		return newJob(c, c.String("data"))
	case c.IsSet("preset") || c.IsSet("set"):
		return held, sameSettings(c, dir, held)
	}
	return held, nil
}

// sameSettings refuses settings that differ from those of the job held: the command
// that started a job continues it, another does not change it.
func sameSettings(c *urfave.Context, dir string, held *job.Job) error {
	j, err := newJob(c, c.String("data"))
	if err != nil {
		return err
	}
	if c.String("data") == "" {
		j.Source = held.Source
	}
	if j.Salt = held.Salt; j.ID() != held.ID() {
		return otherJob(dir, held, "whose settings are others and cannot be changed", "--preset and --set")
	}
	return nil
}

// otherJob says that dir belongs to the job held, and what to do about it.
func otherJob(dir string, held *job.Job, but, flag string) error {
	return fmt.Errorf("%w: directory %s belongs to job %s (%s), %s: leave out %s to continue that job, or give another --dir",
		node.ErrMismatch, filepath.Clean(dir), held.ID(), held.Name, but, flag)
}
