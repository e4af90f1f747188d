package cli

import (
	urfave "github.com/urfave/cli/v2"
)

func (i *invocation) initCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "init",
		Usage:     "print the manifest of a new job",
		UsageText: "halos init [--preset NAME] [--set KEY=VALUE]... > job.yaml",
		Description: `The manifest holds all that the machines of a job must agree on: model, text,
tokens, steps, momenta. Edit it, then start the job with it:

    halos init --preset small --set K=16 --set tokens=100_000_000 > job.yaml
    halos run --job job.yaml

Each call draws a salt, so that two jobs of the same settings stay apart. On a
text of your own (the last 5 % of it are held out to measure the loss on):

    halos init --data moby-dick.txt > job.yaml
    halos run --job job.yaml --data moby-dick.txt`,
		Flags: []urfave.Flag{
			presetFlag(),
			setFlag(),
			&urfave.StringFlag{Name: "data", Usage: "train on the text `FILE`, or NAME=FILE to name it"},
		},
		Action: func(c *urfave.Context) error {
			if _, err := i.arguments(c, 0, "preset"); err != nil {
				return err
			}
			j, err := newJob(c, c.String("data"))
			if err != nil {
				return err
			}
			_, err = i.Out.Write(j.YAML())
			return err
		},
	}
}
