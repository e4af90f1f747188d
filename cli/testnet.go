package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	urfave "github.com/urfave/cli/v2"

	"halos/job"
	"halos/testnet"
	"halos/wan"
)

func (i *invocation) testnetCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "testnet",
		Usage:     "train on this machine with processes in several regions",
		UsageText: "halos testnet [flags]",
		Description: `Starts a process of this program for every node: one GPS, and in each region a
server and its workers, joined by links with a round-trip time and a rate. Shows
how the model learns, then sums up. Afterwards:

    halos testnet --dir demo
    halos generate --checkpoint demo -p "It is a truth"

Slower links, more regions, other settings of the job:

    halos testnet --regions 3 --workers 1 --rtt 200ms --rate 20mbit --set K=8

Regions are called eu, us, ap, sa, af, r6, r7 and so on. A pair of them can have a link
of its own, with loss; --netns (Linux, root) lets the kernel's own TCP and QUIC meet
rates, queues and losses, packet by packet:

    halos testnet --regions 3 --link eu-us=50mbit/120ms/1% --link us-ap=20mbit/180ms
    sudo halos testnet --netns --link eu-us=50mbit/120ms/1%/512KiB

Interrupt it (Ctrl-C) to end before the time is over: the processes hand over what
they hold, the summary follows, the exit code is 130. Interrupt again to abort.

"halos testnet chaos" kills, stops and cuts off its processes and judges what is left.`,
		Subcommands: []*urfave.Command{i.chaosCommand()},
		Flags: append(networkFlags(),
			&urfave.DurationFlag{Name: "duration", Value: time.Minute, Usage: "end after `TIME`, 0s with the job's tokens"},
			&urfave.StringFlag{Name: "job", Usage: "train the job of `FILE` instead of a preset"},
			&urfave.Uint64Flag{Name: "seed", Value: 1, Usage: "draw parameters and samples by `SEED`"},
			&urfave.StringFlag{Name: "data", Usage: "train on the text `FILE`"},
			&urfave.BoolFlag{Name: "json", DisableDefaultText: true, Usage: "print the result as one JSON object on stdout, the progress on stderr"},
		),
		Action: i.testnet,
	}
}

// networkFlags say what a testnet and its chaos run on.
func networkFlags() []urfave.Flag {
	return []urfave.Flag{
		&urfave.IntFlag{Name: "regions", Value: 2, Usage: "have `N` regions"},
		&urfave.IntFlag{Name: "workers", Value: 2, Usage: "have `N` workers in each region"},
		&urfave.StringFlag{Name: "rtt", Value: "80ms", Usage: "round-trip `TIME` between regions"},
		&urfave.StringFlag{Name: "rate", Value: "100mbit", Usage: "bits per second between regions as `RATE`, 0 = no limit"},
		&urfave.StringSliceFlag{Name: "link", Usage: "give a pair of regions a link of its own, as `A-B=RATE/RTT[/LOSS[/QUEUE]]`, such as eu-us=50mbit/120ms/1%; repeatable"},
		&urfave.BoolFlag{Name: "netns", DisableDefaultText: true, Usage: "put each region into a network namespace, under the kernel's own TCP and UDP; takes Linux and root"},
		presetFlag(),
		setFlag(),
		&urfave.StringFlag{Name: "dir", DefaultText: "a temporary one, named at the start", Usage: "keep all files in `DIR`, empty or new"},
	}
}

func (i *invocation) testnet(c *urfave.Context) error {
	if _, err := i.arguments(c, 0, ""); err != nil {
		return err
	}
	cfg, err := i.testnetConfig(c)
	if err != nil {
		return err
	}
	result, err := testnet.Run(c.Context, cfg)
	if err == nil && c.Context.Err() != nil {
		err = errInterrupted
	}
	if c.Bool("json") && result.Schema != "" {
		if failed := printJSON(i.Out, result); failed != nil {
			return failed
		}
	}
	return err
}

// testnetConfig checks the flags of a testnet.
func (i *invocation) testnetConfig(c *urfave.Context) (testnet.Config, error) {
	cfg, err := i.networkConfig(c)
	if err != nil {
		return cfg, err
	}
	j, err := testnetJob(c)
	if err != nil {
		return cfg, err
	}
	cfg.Manifest, cfg.Duration = j.YAML(), c.Duration("duration")
	if _, file := splitData(c.String("data")); file != "" {
		if file, err = filepath.Abs(file); err != nil {
			return cfg, err
		}
		cfg.Args = append(cfg.Args, "--data", file)
	}
	return cfg, together(c, cfg.Validate())
}

// networkConfig checks networkFlags, but for those of the job.
func (i *invocation) networkConfig(c *urfave.Context) (testnet.Config, error) {
	rtt, errRTT := wan.ParseRTT(c.String("rtt"))
	rate, errRate := wan.ParseRate(c.String("rate"))
	links, errLinks := wan.ParseLinks(wan.Link{RTT: rtt, Rate: rate}, c.StringSlice("link"), testnet.RegionNames(c.Int("regions")))
	if err := together(c, errRTT, errRate, errLinks); err != nil {
		return testnet.Config{}, err
	}
	binary, err := os.Executable()
	if err != nil {
		return testnet.Config{}, fmt.Errorf("find this program: %w", err)
	}
	cfg := testnet.Config{
		Binary:  binary,
		Regions: c.Int("regions"),
		Workers: c.Int("workers"),
		Links:   links,
		Netns:   c.Bool("netns"),
		Dir:     c.String("dir"),
		Log:     i.Out,
		Abort:   i.aborted,
	}
	if c.Bool("json") {
		cfg.Log = i.Err
	}
	return cfg, nil
}

// testnetJob makes the job of a testnet.
func testnetJob(c *urfave.Context) (*job.Job, error) {
	if file := c.String("job"); file != "" {
		if c.IsSet("preset") || c.IsSet("set") || c.IsSet("seed") {
			return nil, together(c, fmt.Errorf("--job takes all settings from its file: edit %s instead of giving --preset, --set or --seed", file))
		}
		j, err := readManifest(file)
		return j, together(c, err)
	}
	j, err := newJob(c, c.String("data"))
	if err != nil {
		return nil, err
	}
	if c.IsSet("seed") {
		j.Seed = c.Uint64("seed")
	}
	return j, nil
}

// printJSON prints v alone on its lines.
func printJSON(w io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}
