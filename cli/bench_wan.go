package cli

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"halos/job"
	"halos/node"
	"halos/wan"
)

const (
	mostRuns    = 99
	mostSeconds = 1200
	// loopSeconds and linkSeconds are how long a transfer is repeated where --seconds
	// leaves it open: loopback needs no time to come up to speed.
	loopSeconds = 5
	linkSeconds = 25
)

func (i *invocation) benchWANCommand() *urfave.Command {
	paths := strings.Join(pathNames(), ",")
	return &urfave.Command{
		Name:  "wan",
		Usage: "measure transfers of deltas and models over a link",
		UsageText: `halos bench wan [flags]
halos bench wan --netns --link RATE/RTT[/LOSS] [flags]
halos bench wan --serve [flags]
halos bench wan [flags] MULTIADDR`,
		Description: `Sends deltas and models between two processes the way a job does, and beside them a
plain libp2p stream over TCP with BBR, TCP with cubic and QUIC. Goodput is payload
per time from the first byte to the word that the last has been applied or read.

    halos bench wan                                       over loopback, about a minute
    halos bench wan --size 1GB --path delta --seconds 0   one delta of 1 GB

Over an emulated link, or several (Linux, root):

    halos bench wan --netns --link 100mbit/100ms/1% --link 1gbit/30ms

Over your own, with the line that the first machine prints:

    halos bench wan --serve --listen /ip4/0.0.0.0/tcp/4100   on the first
    halos bench wan /ip4/.../tcp/4100/p2p/...                on the second

Deltas are measured from the second machine to the first, models from the first to
the second, plain streams both ways. Whoever reaches the port can measure, one at a
time and no more than --max bytes a transfer.`,
		Flags: []urfave.Flag{
			&urfave.StringSliceFlag{Name: "size", Value: urfave.NewStringSlice("1MB,64MB"), DefaultText: "1MB,64MB", Usage: "payload of a transfer as `SIZES`; plain streams are measured with the largest"},
			&urfave.StringSliceFlag{Name: "path", DefaultText: "all: " + paths, Usage: "measure these `PATHS`"},
			&urfave.Float64Flag{Name: "seconds", DefaultText: fmt.Sprintf("%d on loopback, else %d", loopSeconds, linkSeconds), Usage: "repeat transfers for `N` seconds; one is made at least"},
			&urfave.IntFlag{Name: "runs", Value: 1, Usage: "measure `N` times and show the median"},
			&urfave.BoolFlag{Name: "netns", DisableDefaultText: true, Usage: "put the processes into network namespaces with an emulated link between them (Linux, root)"},
			&urfave.StringSliceFlag{Name: "link", DefaultText: "100mbit/100ms/1%", Usage: "emulate `RATE/RTT[/LOSS[/QUEUE]]`; repeatable"},
			&urfave.BoolFlag{Name: "serve", DisableDefaultText: true, Usage: "be the other end for another machine"},
			&urfave.StringSliceFlag{Name: "listen", DefaultText: "TCP and QUIC on all interfaces", Usage: "with --serve, listen on `MULTIADDR`, such as /ip4/0.0.0.0/tcp/4100; repeatable"},
			&urfave.StringFlag{Name: "max", Value: "1GB", Usage: "with --serve, take transfers of `SIZE` at most: they need up to eight times as much memory"},
			jsonFlag(),

			// For the processes that measure.
			&urfave.BoolFlag{Name: "once", Hidden: true, Usage: "measure in this process, print what node returns"},
			&urfave.BoolFlag{Name: "down", Hidden: true, Usage: "from the server to the client"},
			&urfave.BoolFlag{Name: "supervised", Hidden: true, Usage: "end with standard input"},
			&urfave.StringFlag{Name: "dir", Hidden: true, Usage: "keep files there"},
		},
		Action: i.benchWAN,
	}
}

func (i *invocation) benchWAN(c *urfave.Context) error {
	args, err := i.arguments(c, 1, "")
	if err != nil {
		return err
	}
	b, err := i.wanBench(c, args)
	if err != nil {
		return err
	}
	if c.Bool("supervised") {
		go i.obey(func() {})
	}
	switch {
	case c.Bool("serve"):
		return i.serveWAN(c, b)
	case c.Bool("once"):
		return i.measureOnce(c, b)
	}
	report, err := b.run(c.Context)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		err = printJSON(i.Out, report)
	} else {
		err = table(i.Out, report.String())
	}
	if err == nil && !report.worked() {
		return errors.New("nothing could be measured")
	}
	return err
}

// wanBench checks the flags and makes of them what to measure.
func (i *invocation) wanBench(c *urfave.Context, args []string) (*wanBench, error) {
	b := &wanBench{progress: i.Err, runs: c.Int("runs"), listen: commaSeparated(c.StringSlice("listen")), max: mostPayload}
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(args) > 0 {
		b.addr = args[0]
		errs = append(errs, checkAddr(b.addr))
	}
	serve, netns := c.Bool("serve"), c.Bool("netns")
	var modes []string
	for name, on := range map[string]bool{"--serve": serve, "--netns": netns, "an address": b.addr != ""} {
		if on {
			modes = append(modes, name)
		}
	}
	if slices.Sort(modes); len(modes) > 1 {
		fault("%s and %s: choose one", modes[0], modes[1])
	}
	if c.IsSet("link") && !netns {
		fault("--link needs --netns: without, the link is the one that there is")
	}
	if c.IsSet("max") && !serve {
		fault("--max is for --serve")
	}
	if len(b.listen) > 0 && !serve && !c.Bool("once") {
		fault("--listen is for --serve")
	}
	if netns {
		b.links = parseLinks(c, &errs)
	}
	b.paths, b.sizes = parsePaths(c, &errs), parseSizes(c, &errs)
	if serve {
		var err error
		b.max, err = parseSize(c.String("max"))
		errs = append(errs, err)
	}
	b.seconds = linkSeconds * time.Second
	if b.addr == "" && !netns {
		b.seconds = loopSeconds * time.Second
	}
	if c.IsSet("seconds") {
		s := c.Float64("seconds")
		if !(s >= 0 && s <= mostSeconds) {
			fault("seconds %v: want 0 to %d", s, mostSeconds)
		}
		b.seconds = time.Duration(math.Round(s * float64(time.Second)))
	}
	if b.runs < 1 || b.runs > mostRuns {
		fault("runs %d: want 1 to %d", b.runs, mostRuns)
	}
	return b, together(c, errs...)
}

func parseLinks(c *urfave.Context, errs *[]error) (links []wan.Link) {
	texts := commaSeparated(c.StringSlice("link"))
	if len(texts) == 0 {
		texts = []string{"100mbit/100ms/1%"}
	}
	for _, t := range texts {
		l, err := wan.ParseLink(t)
		links, *errs = append(links, l), append(*errs, err)
	}
	return links
}

func pathNames() (names []string) {
	for _, p := range node.ProbePaths {
		names = append(names, string(p))
	}
	return names
}

func parsePaths(c *urfave.Context, errs *[]error) (paths []node.ProbePath) {
	for _, name := range commaSeparated(c.StringSlice("path")) {
		p := node.ProbePath(name)
		if !slices.Contains(node.ProbePaths, p) {
			did := ""
			if near := job.Nearest(name, pathNames()); near != "" {
				did = ", did you mean " + near + "?"
			}
			*errs = append(*errs, fmt.Errorf("path %q: there are %s%s", name, strings.Join(pathNames(), ", "), did))
		}
		if !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	if len(paths) == 0 {
		return node.ProbePaths
	}
	return paths
}

func parseSizes(c *urfave.Context, errs *[]error) (sizes []int) {
	for _, text := range commaSeparated(c.StringSlice("size")) {
		n, err := parseSize(text)
		*errs = append(*errs, err)
		if !slices.Contains(sizes, n) {
			sizes = append(sizes, n)
		}
	}
	if len(sizes) == 0 {
		*errs = append(*errs, errors.New("no --size: want one such as 64MB"))
	}
	slices.Sort(sizes)
	return sizes
}

// Bounds of a transfer's payload.
const leastPayload, mostPayload = 64 << 10, 2 << 30

// parseSize reads a number of bytes with its unit, such as 64MB or 1.5GiB.
func parseSize(text string) (int, error) {
	units := []struct {
		name  string
		bytes float64
	}{{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"b", 1}}
	for _, u := range units {
		number, ok := strings.CutSuffix(strings.ToLower(text), u.name)
		if !ok {
			continue
		}
		x, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if n := x * u.bytes; err == nil && n >= leastPayload && n <= mostPayload {
			return int(math.Round(n)), nil
		}
		return 0, fmt.Errorf("size %q: want 64KiB to 2GiB", text)
	}
	return 0, fmt.Errorf("size %q: want a number with kB, MB, GB, KiB, MiB or GiB, such as 64MB", text)
}
