package cli

import (
	"errors"
	"fmt"
	"os"
	"time"

	urfave "github.com/urfave/cli/v2"

	"halos/node"
)

// serveLimit bounds one measurement of a server, and of a client.
const serveLimit = 30 * time.Minute

// serveWAN is the other end for measurements until the program is asked to end.
func (i *invocation) serveWAN(c *urfave.Context, b *wanBench) (err error) {
	dir, remove, err := benchDir(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	level := "info"
	if c.Bool("supervised") {
		level = "warn"
	}
	log, err := i.logger(level)
	if err != nil {
		return err
	}
	s := node.ProbeServer{
		Dir: dir, Listen: b.listen, Max: b.max, Limit: serveLimit, Usage: processUsage, Forget: forgetPeak, Log: log,
		Ready: func(addrs []string) error {
			if len(addrs) == 0 {
				return errors.New("no address of this machine can be dialled")
			}
			if _, err := fmt.Fprintln(i.Out, "halos bench wan", addrs[0]); err != nil {
				return err
			}
			log.Info("the other machine measures with the line above; interrupt to end", "other_addrs", addrs[1:], "max", size(uint64(b.max)))
			return nil
		},
	}
	return s.Run(c.Context)
}

// measureOnce is the process of one measurement: it prints what node returns.
func (i *invocation) measureOnce(c *urfave.Context, b *wanBench) (err error) {
	dir, remove, err := benchDir(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	log, err := i.logger("warn")
	if err != nil {
		return err
	}
	p := node.Probe{
		Path: b.paths[0], Bytes: b.sizes[0], For: b.seconds, Down: c.Bool("down"), Limit: serveLimit, Listen: b.listen, Dir: dir, Usage: processUsage, Log: log,
	}
	got, err := p.Run(c.Context, b.addr)
	if err != nil {
		return err
	}
	return printJSON(i.Out, got)
}

// benchDir is the directory of a measuring process, and what removes it.
func benchDir(c *urfave.Context) (dir string, remove func() error, err error) {
	if dir = c.String("dir"); dir != "" {
		return dir, func() error { return nil }, nil
	}
	dir, err = os.MkdirTemp("", "halos-bench-")
	return dir, func() error { return os.RemoveAll(dir) }, err
}

// processUsage is what this process has used.
func processUsage() node.Usage { return node.Usage{CPU: cpuTime(), Peak: peakMemory()} }

// forgetPeak begins peakMemory anew, where the system can: there is no harm in a peak
// of an earlier measurement, it is only too high.
func forgetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o200) }
