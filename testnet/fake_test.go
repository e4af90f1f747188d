package testnet

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"halos/node"
)

// The test binary plays the program that a testnet runs: started with fakeMode in
// its environment, it is a node that trains nothing and writes metrics.jsonl.
const fakeMode = "TESTNET_FAKE"

// Modes: what goes wrong, and with whom.
const (
	fakeWell       = "well"
	fakeBusyPort   = "busy port"   // us-lps cannot listen
	fakeMute       = "mute"        // us-lps never says that it listens
	fakeDeadWorker = "dead worker" // eu-w1 panics after a few rounds
	fakeDeadRegion = "dead region" // all workers do
	fakeDeadGPS    = "dead gps"    // after half a second
	fakeJobEnds    = "job ends"    // after half a second
	fakeJobLasts   = "job lasts"   // for three seconds after the last start of the gps
	fakeStubborn   = "stubborn"    // us-w1 does not drain
	fakeParent     = "parent"      // the program is a parent with such children, mode fakeWell
)

func TestMain(m *testing.M) {
	switch mode := os.Getenv(fakeMode); mode {
	case "":
		os.Exit(m.Run())
	case fakeParent:
		os.Exit(playParent())
	default:
		os.Exit(play(mode, os.Args[1:]))
	}
}

var portZero = regexp.MustCompile("/tcp/0$")

// fake is one pretended node.
type fake struct {
	mode, name, role, region, dir, listen string

	metrics *os.File
	seq     uint64
}

// flag returns the value behind --name.
func flag(args []string, name string) string {
	if i := slices.Index(args, "--"+name); i >= 0 && i+1 < len(args) {
		return args[i+1]
	}
	return ""
}

// play is the whole life of a pretended node; it returns its exit code.
func play(mode string, args []string) int {
	f := fake{mode: mode, dir: flag(args, "dir"), role: flag(args, "role"), region: flag(args, "region"), listen: flag(args, "listen")}
	f.name = filepath.Base(f.dir)
	fmt.Println("arguments", strings.Join(args, " "))
	switch {
	case mode == fakeBusyPort && f.name == "us-lps":
		fmt.Fprintln(os.Stderr, "listen on "+f.listen+": the port is in use")
		return 1
	case mode == fakeMute && f.name == "us-lps":
		fmt.Fprintln(os.Stderr, "looking for peers")
		select {}
	}
	var err error
	if f.metrics, err = os.OpenFile(filepath.Join(f.dir, node.MetricsFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer f.metrics.Close()
	f.write(node.Record{Event: node.EventStart, Node: "id-" + f.name, Region: f.region, Roles: []string{f.role},
		Addrs: []string{"/ip4/192.0.2.1/tcp/1/p2p/x", portZero.ReplaceAllString(f.listen, "/tcp/4001") + "/p2p/id-" + f.name},
		Job:   strings.Repeat("0123456789abcdef", 4)})
	return f.live()
}

// live trains until the parent asks for the end, dies, or the mode says so.
func (f *fake) live() int {
	orders := make(chan string)
	go func() {
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			orders <- in.Text()
		}
		close(orders)
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	for rounds := 1; ; rounds++ {
		select {
		case order, open := <-orders:
			if open && f.mode == fakeStubborn && f.name == "us-w1" {
				orders = make(chan string)
				continue
			}
			if !open {
				f.write(node.Record{Event: node.EventStop, Reason: "parent is gone"})
				return 1
			}
			f.write(node.Record{Event: node.EventStop, Reason: order})
			return interrupted
		case <-tick.C:
			f.work(rounds)
		}
		switch {
		case rounds == 3 && f.role == "worker" && (f.mode == fakeDeadRegion || f.mode == fakeDeadWorker && f.name == "eu-w1"):
			fmt.Fprintln(os.Stderr, "loss is not finite")
			return 5
		case rounds == 25 && f.role == "gps" && f.mode == fakeDeadGPS:
			fmt.Fprintln(os.Stderr, "disk full")
			return 1
		case f.role == "gps" && (rounds == 25 && f.mode == fakeJobEnds || rounds == 150 && f.mode == fakeJobLasts):
			return 0
		}
	}
}

// work writes the records of one tick. A worker pretends to be its server, too.
func (f *fake) work(n int) {
	switch f.role {
	case "gps":
		f.write(node.Record{Event: node.EventEval, Loss: 5.5 - min(3, float64(n)/10), Version: uint64(n)})
		f.write(node.Record{Event: node.EventApplied, Tier: node.TierGlobal, Client: f.region, Session: 1, Seq: uint64(n), Version: uint64(n)})
		f.write(node.Record{Event: node.EventCheckpoint, Tier: node.TierGlobal, Path: filepath.Join(f.dir, "v1")})
	case "worker":
		delta := node.Record{Tier: node.TierRegion, Client: "id-" + f.name, Session: 1, Seq: uint64(n), Steps: 4}
		for _, event := range []string{node.EventSent, node.EventApplied, node.EventReleased} {
			delta.Event = event
			f.write(delta)
		}
		f.write(node.Record{Event: node.EventRound, Steps: 4, Tokens: 1000, Loss: 3, Seconds: 0.03, Blocked: 0.01})
	}
	f.write(node.Record{Event: node.EventBytes, WAN: uint64(100 * n), LAN: uint64(1000 * n)})
}

func (f *fake) write(r node.Record) {
	r.Time = time.Now()
	line, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	_, _ = f.metrics.Write(append(line, '\n'))
}

// playParent runs a testnet until it is killed.
func playParent() int {
	if err := os.Setenv(fakeMode, fakeWell); err != nil {
		return 1
	}
	_, err := Run(context.Background(), Config{Binary: os.Args[0], Regions: 1, Workers: 1, Dir: os.Args[1], Log: os.Stderr})
	fmt.Fprintln(os.Stderr, err)
	return 1
}
