package testnet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"halos/wan"
)

// pollEvery is how often the processes' files are read.
const pollEvery = 200 * time.Millisecond

// Phases of a run, as they are shown; those of its end name the processes.
const (
	phaseStarting = "starting"
	phaseTraining = "training"
)

// network is a testnet that runs. It is used by the goroutine of Run alone.
type network struct {
	config    Config
	env       environment
	members   []member
	processes []*process // by member, nil until started
	exits     chan exit  // room for all
	tally     *tally
	display   *display
	phase     string
	started   time.Time
	limits    map[*process]time.Time // until when it must be up
	poll      time.Duration
	wan       *wan.Network // nil where the processes shape their links themselves
}

// newNetwork makes the directory of a testnet and lays out its members; it starts
// nothing. Its owner closes it.
func newNetwork(c Config) (_ *network, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	emulated, err := emulate(c) // first: who may not have it leaves no directory
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && emulated != nil {
			err = errors.Join(err, emulated.Close())
		}
	}()
	dir, err := makeDir(c.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, manifestFile), c.Manifest, 0o644); err != nil {
		return nil, fmt.Errorf("write the job: %w", err)
	}
	c.startLimit = cmp.Or(c.startLimit, startLimit)
	c.drainLimit = cmp.Or(c.drainLimit, drainLimit)
	n := &network{
		config:  c,
		members: plan(c.Regions, c.Workers),
		env: environment{
			dir:     dir,
			links:   c.Links,
			netns:   c.Netns,
			threads: max(1, runtime.GOMAXPROCS(0)/(c.Regions*c.Workers)),
			further: c.Args,
		},
		tally:   newTally(),
		display: newDisplay(c.Log),
		phase:   phaseStarting,
		poll:    pollEvery,
		wan:     emulated,
		limits:  make(map[*process]time.Time),
	}
	n.processes = make([]*process, len(n.members))
	n.exits = make(chan exit, len(n.members)) // a member is started again once its end has been taken
	if n.wan != nil {
		n.useNamespaces()
		return n, nil
	}
	if c.oneHost || !hasRegionHosts(c.Regions) {
		return n, n.usePorts()
	}
	return n, nil
}

// usePorts tells the regions apart by port.
func (n *network) usePorts() error {
	for i := range n.members {
		n.members[i].listen = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	}
	if err := fixPorts(n.members); err != nil {
		return err
	}
	n.env.ports = filepath.Join(n.env.dir, "ports")
	return portTable(n.members).write(n.env.ports)
}

// until polls, shows and notes what happens until done says so or fails, ctx ends,
// or the run is aborted.
func (n *network) until(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(n.poll)
	defer tick.Stop()
	for {
		n.tally.read()
		n.display.progress(time.Now(), n.state)
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case e := <-n.exits:
			n.exited(e)
		case <-ctx.Done():
			return ctx.Err()
		case <-n.config.Abort:
			return ErrAborted
		}
	}
}

// exited notes the end of a process and says so if it failed.
func (n *network) exited(e exit) {
	const shown = 8
	p := e.process
	p.end(e.err)
	if p.fault == nil {
		return
	}
	lines := append([]string{p.fault.Error()}, p.lastLines(shown)...)
	n.display.note("%s", strings.Join(lines, "\n  "))
}

// state is what the display shows now.
func (n *network) state() state {
	now := time.Now()
	s := n.tally.state(RegionNames(n.config.Regions), now)
	s.elapsed, s.duration = now.Sub(n.started), n.config.Duration
	s.phase, s.workers = n.phase, n.config.Workers
	return s
}
