package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"halos/job"
	"halos/node"
	"halos/testnet"
	"halos/wan"
	"halos/wire"
)

// nodeFlags are the settings of one machine, which run and join share.
func nodeFlags(region, dir string) []urfave.Flag {
	return []urfave.Flag{
		&urfave.StringFlag{Name: "region", EnvVars: []string{"HALOS_REGION"}, DefaultText: region, Usage: "work in region `NAME`, one per place with fast links inside"},
		&urfave.StringFlag{Name: "role", EnvVars: []string{"HALOS_ROLE"}, Value: "auto", Usage: "hold these `ROLES`: auto (what the job needs), or some of gps,lps,worker"},
		&urfave.StringFlag{Name: "dir", EnvVars: []string{"HALOS_DIR"}, DefaultText: dir, Usage: "keep identity, snapshots and metrics.jsonl in `DIR`"},
		&urfave.StringSliceFlag{Name: "listen", EnvVars: []string{"HALOS_LISTEN"}, DefaultText: "TCP and QUIC on all interfaces", Usage: "listen on `MULTIADDR`, such as /ip4/0.0.0.0/tcp/4001; repeatable"},
		&urfave.StringFlag{Name: "data", EnvVars: []string{"HALOS_DATA"}, Usage: "the job's text is in `FILE`, where it is not the built-in one"},
		threadsFlag(),
		&urfave.BoolFlag{Name: "recompute", DisableDefaultText: true, EnvVars: []string{"HALOS_RECOMPUTE"}, Usage: "train in less memory and up to a third more time: keep what one layer computed, not all, and compute the rest again"},
		&urfave.BoolFlag{Name: "no-mdns", DisableDefaultText: true, EnvVars: []string{"HALOS_NO_MDNS"}, Usage: "neither announce this node on the LAN nor look for others there"},
		&urfave.StringFlag{Name: "log", EnvVars: []string{"HALOS_LOG"}, Value: "info", Usage: "log from `LEVEL` up: debug, info, warn or error"},

		// For the processes of a testnet.
		&urfave.BoolFlag{Name: "supervised", Hidden: true, Usage: "end with standard input; drain at the line \"drain\" on it"},
		&urfave.StringFlag{Name: "link-default", Hidden: true, Usage: "link between regions"},
		&urfave.StringSliceFlag{Name: "link-pair", Hidden: true, Usage: "link of a pair that has its own"},
		&urfave.StringFlag{Name: "link-ports", Hidden: true, Usage: "file that tells regions by port"},
	}
}

// nodeConfig checks what nodeFlags were given. It leaves out the directory and the
// job; the region is empty unless one was named.
func (i *invocation) nodeConfig(c *urfave.Context) (node.Config, error) {
	roles, errRoles := parseRoles(c.String("role"))
	log, errLog := i.logger(c.String("log"))
	links, errLink := linkDialer(c)
	listen := commaSeparated(c.StringSlice("listen"))
	var errRegion, errListen, errData error
	for _, l := range listen {
		if !strings.HasPrefix(l, "/") {
			errListen = fmt.Errorf("flag --listen: %q is no multiaddr: it should look like /ip4/0.0.0.0/tcp/4001", l)
		}
	}
	if region := c.String("region"); region != "" {
		errRegion = wire.CheckRegion(region)
	}
	_, file := splitData(c.String("data"))
	if file != "" { // the node remembers it, and may be continued from elsewhere
		file, errData = filepath.Abs(file)
	}
	cfg := node.Config{
		Region:    c.String("region"),
		Roles:     roles,
		Listen:    listen,
		Data:      file,
		Threads:   c.Int("threads"),
		Recompute: c.Bool("recompute"),
		MDNS:      !c.Bool("no-mdns"),
		Log:       log,
	}
	if i.links = links; links != nil {
		cfg.Dial = links.DialContext
	}
	return cfg, together(c, errRoles, errLog, errLink, errRegion, errListen, errData, checkThreads(c))
}

// parseRoles reads auto, which is nil, or a list of roles.
func parseRoles(text string) ([]string, error) {
	known := []string{"gps", "lps", "worker"}
	if text == "" || text == "auto" {
		return nil, nil
	}
	var roles []string
	for _, r := range commaSeparated([]string{text}) {
		if !slices.Contains(known, r) {
			did := ""
			if near := job.Nearest(r, append(known, "auto")); near != "" {
				did = ", did you mean " + near + "?"
			}
			return nil, fmt.Errorf("role %q: there are auto, or one or more of gps,lps,worker%s", r, did)
		}
		if !slices.Contains(roles, r) {
			roles = append(roles, r)
		}
	}
	return roles, nil
}

func commaSeparated(texts []string) []string {
	var parts []string
	for _, t := range texts {
		for p := range strings.SplitSeq(t, ",") {
			if p = strings.TrimSpace(p); p != "" {
				parts = append(parts, p)
			}
		}
	}
	return parts
}

func (i *invocation) logger(level string) (*slog.Logger, error) {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	l, ok := levels[level]
	if !ok {
		return nil, fmt.Errorf("log level %q: there are debug, info, warn and error", level)
	}
	return slog.New(slog.NewTextHandler(i.Err, &slog.HandlerOptions{Level: l})), nil
}

// linkDialer makes the dialler of a process of a testnet, nil for any other.
func linkDialer(c *urfave.Context) (*testnet.Dialer, error) {
	if !c.IsSet("link-default") {
		return nil, nil
	}
	other, errOther := wan.ParseLink(c.String("link-default"))
	links, errPairs := wan.ParseLinks(other, c.StringSlice("link-pair"), testnet.RegionNames(testnet.MaxRegions))
	if err := errors.Join(errOther, errPairs); err != nil {
		return nil, err
	}
	var ports testnet.Ports
	if file := c.String("link-ports"); file != "" {
		var err error
		if ports, err = testnet.ReadPorts(file); err != nil {
			return nil, err
		}
	}
	listen := c.StringSlice("listen")
	if len(listen) != 1 {
		return nil, fmt.Errorf("an emulated link needs one --listen, got %d", len(listen))
	}
	return testnet.NewDialer(listen[0], links, ports)
}

// serve makes the node of cfg, tells the user through ready that it is there, and
// runs it until it has ended. The first request to end, by interrupt or on standard
// input, drains it; before the node is made it ends the attempt.
func (i *invocation) serve(c *urfave.Context, cfg node.Config, ready func(*node.Node) error) error {
	wanted, drain := context.WithCancelCause(c.Context)
	defer drain(nil)
	if c.Bool("supervised") {
		go i.obey(func() { drain(errInterrupted) })
	}
	n, err := node.New(wanted, cfg)
	if err != nil {
		if context.Cause(wanted) == errInterrupted {
			return errInterrupted
		}
		return err
	}
	return i.attend(wanted, n, cfg.Log, func() error { return ready(n) })
}

// runner is a node that has been made.
type runner interface {
	Run(ctx context.Context) error
	Drain()
}

// attend runs n. It drains n when wanted ends and aborts it when the program is to
// end at once.
func (i *invocation) attend(wanted context.Context, n runner, log *slog.Logger, ready func() error) error {
	life, abort := context.WithCancelCause(context.WithoutCancel(wanted))
	defer abort(nil)
	go func() {
		select {
		case <-i.aborted:
			abort(errInterrupted)
		case <-life.Done():
		}
	}()
	defer context.AfterFunc(wanted, func() {
		log.Info("draining: handing over what is held; interrupt again to abort at once")
		n.Drain()
	})()
	if err := ready(); err != nil {
		abort(err) // Run releases what n holds
	}
	err := n.Run(life)
	if cause := context.Cause(life); cause != nil {
		return cause
	}
	return err
}

// obey follows the orders of the testnet on standard input, whose end aborts: the
// parent has died.
func (i *invocation) obey(drain func()) {
	testnet.Obey(i.In, i.links, drain)
	select {
	case i.abort <- struct{}{}:
	default: // asked for already
	}
}

// invite prints the line by which others join, and says what it is for.
func (i *invocation) invite(n *node.Node, cfg node.Config, j *job.Job) error {
	addrs := n.JoinAddrs()
	if len(addrs) == 0 {
		cfg.Log.Warn("this node listens nowhere: nobody can join by it")
		return nil
	}
	region := "us"
	if cfg.Region == region {
		region = "eu"
	}
	line := []string{"halos", "join", "--region", region}
	if j.Source != builtin {
		line = append(line, "--data", quoted(cmp.Or(cfg.Data, j.Source.Name+".txt")))
	}
	if _, err := fmt.Fprintln(i.Out, strings.Join(append(line, addrs[0]), " ")); err != nil {
		return err
	}
	log := cfg.Log.With("job", j.ID().Short(), "name", j.Name)
	log.Info("others join with the line above; they give the region of this node to work in it", "other_addrs", addrs[1:])
	return nil
}
