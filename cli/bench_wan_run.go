package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"halos/node"
	"halos/wan"
)

// The regions of an emulated link, and the processes in them.
const (
	benchClient = "client"
	benchServer = "server"
)

// wanBench is what to measure. Each measurement has two processes of its own, so that
// none inherits another's memory; with an address one, for the other is there.
type wanBench struct {
	paths   []node.ProbePath
	sizes   []int // ascending
	seconds time.Duration
	runs    int
	links   []wan.Link // emulated; none: loopback, or what leads to addr
	addr    string     // of the server on another machine
	listen  []string
	max     int // payload that a server takes

	binary   string
	dir      string
	progress io.Writer
}

// measurement is one row in the making.
type measurement struct {
	link  *wan.Link // nil where none is emulated
	path  node.ProbePath
	bytes int
	down  bool // of a plain stream: from the server to the client
}

func (m measurement) String() string {
	text := fmt.Sprintf("%s of %s", m.path, size(uint64(m.bytes)))
	if m.down {
		text += ", down"
	}
	if m.link != nil {
		text = m.link.String() + " " + text
	}
	return text
}

// measurements lists the rows: transfers by size, then plain streams, which know no
// transfers, with the largest size alone.
func (b *wanBench) measurements() (ms []measurement) {
	links := []*wan.Link{nil}
	if len(b.links) > 0 {
		links = nil
	}
	for i := range b.links {
		links = append(links, &b.links[i])
	}
	for _, l := range links {
		for i, bytes := range b.sizes {
			for _, p := range b.paths {
				if p.Raw() && i < len(b.sizes)-1 {
					continue
				}
				ms = append(ms, measurement{l, p, bytes, false})
				if p.Raw() && b.addr != "" {
					ms = append(ms, measurement{l, p, bytes, true})
				}
			}
		}
	}
	return ms
}

// run measures all. A measurement that fails is a row that says why.
func (b *wanBench) run(ctx context.Context) (report wanReport, err error) {
	report = wanReport{Schema: wanSchema, Way: b.way(), Kernel: defaultCongestion()}
	if b.binary, err = os.Executable(); err != nil {
		return report, fmt.Errorf("find this program: %w", err)
	}
	if b.dir, err = os.MkdirTemp("", "halos-bench-"); err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	for _, m := range b.measurements() {
		var rows []wanRow
		for run := range b.runs {
			fmt.Fprintf(b.progress, "measuring %v%s\n", m, nth(run, b.runs))
			row, kernel, err := b.once(ctx, m, uint64(run))
			if err != nil {
				return report, err
			}
			if kernel != "" {
				report.Kernel = kernel
			}
			rows = append(rows, row)
		}
		report.Rows = append(report.Rows, middle(rows))
	}
	return report, nil
}

func nth(run, runs int) string {
	if runs == 1 {
		return ""
	}
	return fmt.Sprintf(", %d of %d", run+1, runs)
}

func (b *wanBench) way() string {
	switch {
	case b.addr != "":
		return b.addr
	case len(b.links) > 0:
		return "emulated"
	}
	return "loopback"
}

// once makes one measurement. The error is one that the others would meet too.
func (b *wanBench) once(ctx context.Context, m measurement, seed uint64) (row wanRow, kernel string, err error) {
	var network *wan.Network
	if m.link != nil {
		if network, err = wan.New([]string{benchClient, benchServer}, wan.Links{Default: *m.link}, seed); err != nil {
			return row, "", err
		}
		defer func() { err = errors.Join(err, network.Close()) }()
		settings, err := network.Settings()
		if err != nil {
			return row, "", err
		}
		kernel = settings.String()
	}
	before := cpuTime()
	got, failed := b.between(ctx, m, network)
	if ctx.Err() != nil {
		return row, kernel, context.Cause(ctx)
	}
	row = newRow(m, got)
	if failed != nil {
		row.Error = failed.Error()
		fmt.Fprintf(b.progress, "  failed: %v\n", failed)
	} else {
		fmt.Fprintf(b.progress, "  %.1f Mbit/s\n", row.Goodput)
	}
	if network != nil {
		row.EmulatorCPU = (cpuTime() - before).Seconds()
		row.addLink(network, m)
	}
	return row, kernel, nil
}

// between measures between two processes in a network, on this machine where that is
// nil, or with the other machine.
func (b *wanBench) between(ctx context.Context, m measurement, network *wan.Network) (got node.Probed, err error) {
	addr := b.addr
	if addr == "" {
		ctx, stop := context.WithCancel(ctx) // whatever happens, it ends before this returns
		defer stop()
		server, err := b.serve(ctx, network)
		if err != nil {
			return got, err
		}
		defer func() { err = errors.Join(err, server.end()) }()
		addr = server.addr
	}
	args := []string{
		"--once", "--path", string(m.path), "--size", fmt.Sprint(m.bytes, "B"), "--seconds", strconv.FormatFloat(b.seconds.Seconds(), 'f', -1, 64),
	}
	if network != nil {
		args = append(args, "--listen", fmt.Sprintf("/ip4/%s/tcp/0", network.Addr(benchClient)))
	}
	if m.down {
		args = append(args, "--down")
	}
	p, err := b.start(ctx, network, benchClient, append(args, addr)...)
	if err != nil {
		return got, err
	}
	out, err := io.ReadAll(p.out)
	if failed := p.wait(); failed != nil {
		return got, failed
	}
	if err == nil {
		err = json.Unmarshal(out, &got)
	}
	return got, err
}

// defaultCongestion names the kernel's congestion control of a socket that chooses
// none.
func defaultCongestion() string {
	name, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control")
	if err != nil {
		return "not known"
	}
	return "tcp " + strings.TrimSpace(string(name))
}
