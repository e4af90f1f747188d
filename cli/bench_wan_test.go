package cli

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"halos/node"
	"halos/wan"
)

func TestParseSize(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{
		{"64KiB", 65536}, {"1MB", 1e6}, {"1.5 mib", 1572864}, {"1GB", 1e9}, {"2GiB", 1 << 31}, {"100000B", 100000},
		{"64kB", 0}, {"3GB", 0}, {"1", 0}, {"MB", 0}, {"", 0}, {"NaNMB", 0}, {"1TB", 0},
	} {
		if got, err := parseSize(c.text); got != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%q: %d, %v; want %d", c.text, got, err, c.want)
		}
	}
}

func TestBadBenchWAN(t *testing.T) {
	addr := "/ip4/127.0.0.1/tcp/1/p2p/" + peerID
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"size without unit", []string{"--size", "64"}, []string{`size "64"`, "such as 64MB"}},
		{"size too large", []string{"--size", "1MB,4GB"}, []string{`size "4GB": want 64KiB to 2GiB`}},
		{"no size", []string{"--size", ""}, []string{"no --size"}},
		{"unknown path", []string{"--path", "raw-brb"}, []string{"did you mean raw-bbr?"}},
		{"link without netns", []string{"--link", "1gbit/30ms"}, []string{"--link needs --netns"}},
		{"link", []string{"--netns", "--link", "1gbit"}, []string{`link "1gbit": want RATE/RTT`}},
		{"two ways", []string{"--netns", addr}, []string{"--netns and an address: choose one"}},
		{"served elsewhere", []string{"--serve", addr}, []string{"--serve and an address: choose one"}},
		{"address", []string{"10.0.0.1:4100"}, []string{"is no multiaddr"}},
		{"address without peer", []string{"/ip4/10.0.0.1/tcp/4100"}, []string{"no /p2p/ part"}},
		{"flag behind the address", []string{addr, "--runs", "3"}, []string{"halos bench wan --runs 3 " + addr}},
		{"max for a client", []string{"--max", "1GB", addr}, []string{"--max is for --serve"}},
		{"listen for a client", []string{"--listen", "/ip4/0.0.0.0/tcp/0", addr}, []string{"--listen is for --serve"}},
		{"all at once", []string{"--runs", "0", "--seconds", "-1", "--path", "x"}, []string{"runs 0", "seconds -1", `path "x"`}},
		{"listen nowhere", []string{"--serve", "--listen", "/ip4/127.0.0.1/udp/0"}, []string{"cannot listen on ip4/udp"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			refused(t, run(t, append([]string{"bench", "wan"}, c.args...)...), codeUsage, c.want...)
		})
	}
}

func TestMeasurements(t *testing.T) {
	links := []wan.Link{{Rate: 1e8}, {Rate: 1e9}}
	paths := []node.ProbePath{node.ProbeDelta, node.ProbeBBR}
	for _, c := range []struct {
		name string
		b    wanBench
		want string
	}{
		{"plain streams with the largest size", wanBench{paths: paths, sizes: []int{1e6, 64e6}},
			"delta of 1.0 MB, delta of 64.0 MB, raw-bbr of 64.0 MB"},
		{"each link", wanBench{paths: paths, sizes: []int{1e6}, links: links},
			"100mbit/0s delta of 1.0 MB, 100mbit/0s raw-bbr of 1.0 MB, 1gbit/0s delta of 1.0 MB, 1gbit/0s raw-bbr of 1.0 MB"},
		{"both directions with another machine", wanBench{paths: paths, sizes: []int{1e6}, addr: "there"},
			"delta of 1.0 MB, raw-bbr of 1.0 MB, raw-bbr of 1.0 MB, down"},
	} {
		var got []string
		for _, m := range c.b.measurements() {
			got = append(got, m.String())
		}
		if all := strings.Join(got, ", "); all != c.want {
			t.Errorf("%s: got %s\nwant %s", c.name, all, c.want)
		}
	}
}

// probed is a result whose figures are easy to check.
func probed(seconds int) node.Probed {
	return node.Probed{
		Payload: 50e6, Transfers: 2, Took: time.Duration(seconds) * time.Second, RTT: 3 * time.Millisecond, Broken: 1,
		Client: node.ProbeEnd{Usage: node.Usage{CPU: time.Second, Peak: 80e6}, Vectors: 25e6, Sent: 51e6, Congestion: "bbr"},
		Server: node.ProbeEnd{Usage: node.Usage{CPU: 2 * time.Second, Peak: 200e6}, Vectors: 100e6, Sent: 1e6, Congestion: "cubic x16"},
	}
}

func TestRowOfAMeasurement(t *testing.T) {
	link := &wan.Link{Rate: 1e8, RTT: 100 * time.Millisecond, Loss: 0.01}
	got := newRow(measurement{link, node.ProbeDelta, 25e6, false}, probed(5))
	want := wanRow{
		Path: "delta", Mbit: 100, RTT: 100, Loss: 0.01, Bytes: 25e6, Transfers: 2, Payload: 50e6, Seconds: 5, Congestion: "bbr",
		Goodput: 80, WireRatio: 1.02, CPU: 3, PeakRSS: 200, Vectors: 100,
		SenderCPU: 1, ReceiverCPU: 2, SenderRSS: 80, ReceiverRSS: 200, SenderVectors: 25, ReceiverVectors: 100, Reconnects: 1,
	}
	if a, b := asJSON(t, got), asJSON(t, want); a != b {
		t.Errorf("got  %s\nwant %s", a, b)
	}
	down := newRow(measurement{nil, node.ProbeModel, 25e6, false}, probed(5))
	if down.SenderCPU != 2 || down.WireRatio != 0.02 || down.Congestion != "cubic x16" || !down.Down || down.RTT != 3 || down.Mbit != 0 {
		t.Errorf("a model, which goes down: %+v", down)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestMiddleOfSeveralRuns(t *testing.T) {
	run := func(seconds int) wanRow {
		return newRow(measurement{nil, node.ProbeDelta, 25e6, false}, probed(seconds))
	}
	failed := wanRow{Path: "delta", Error: "no bbr"}
	if m := middle([]wanRow{run(5), run(4), failed, run(8)}); m.Goodput != 80 || !slices.Equal(m.Runs, []float64{50, 80, 100}) || m.Error != "1 of 4 runs failed: no bbr" {
		t.Errorf("%+v", m)
	}
	if m := middle([]wanRow{run(5)}); m.Goodput != 80 || m.Runs != nil || m.Error != "" {
		t.Errorf("%+v", m)
	}
	if m := middle([]wanRow{failed, failed}); m.Goodput != 0 || m.Error != "no bbr" {
		t.Errorf("%+v", m)
	}
}

func TestTableOfAReport(t *testing.T) {
	good := newRow(measurement{&wan.Link{Rate: 1e8, RTT: 100 * time.Millisecond, Loss: 0.001}, node.ProbeDelta, 25e6, false}, probed(5))
	bad := wanRow{Path: "raw-bbr", Down: true, Bytes: 25e6, RTT: 0.25, Error: "no bbr"}
	report := wanReport{Way: "emulated", Kernel: "tcp cubic", Rows: []wanRow{good, bad}}
	var out strings.Builder
	if err := table(&out, report.String()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"emulated: tcp cubic\n", "100/100ms/0.1%  2 x 25.0 MB    80.0     5.00    1.0200 x   3.00      200            100\n", "raw-bbr down", "failed",
		"raw-bbr down 0.25 ms: no bbr\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if report.Rows = report.Rows[1:]; report.worked() {
		t.Error("nothing was measured")
	}
}

// What scripts read keeps its names.
func TestRowKeys(t *testing.T) {
	var row map[string]any
	if err := json.Unmarshal([]byte(asJSON(t, wanRow{Error: "x", Runs: []float64{1}})), &row); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"bytes", "congestion", "cpu_seconds", "down", "emulator_cpu_seconds", "error", "goodput_mbit", "ip_ratio", "loss", "mbit", "packets_dropped",
		"packets_lost", "path", "payload_bytes", "peak_rss_mb", "receiver_cpu_seconds", "receiver_peak_rss_mb", "receiver_vectors_mb", "reconnects",
		"rtt_ms", "runs_mbit", "seconds", "sender_cpu_seconds", "sender_peak_rss_mb", "sender_vectors_mb", "transfers", "vectors_mb", "wire_ratio",
	}
	if got := slices.Sorted(maps.Keys(row)); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestFailureInItsOwnWords(t *testing.T) {
	cause := errors.New("exit status 1")
	p := benchProcess{}
	p.log.WriteString("time=12:00 level=WARN msg=x\nhalos: first\nhalos: not reachable: closed\n\"halos --help\" explains\n")
	if err := p.failure(cause); err.Error() != "not reachable: closed" || !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	p.log.Reset()
	if err := p.failure(cause); err != cause {
		t.Errorf("%v", err)
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	before := processUsage()
	for range 1000 {
		before.Peak += uint64(len(asJSON(t, wanRow{}))) % 2 // some work
	}
	if u := processUsage(); u.CPU < before.CPU || u.CPU == 0 || u.Peak < 1<<20 {
		t.Errorf("%+v after %+v", u, before)
	}
}

func TestBenchWANEndsWhenInterrupted(t *testing.T) {
	signals := make(chan os.Signal, 1)
	signals <- os.Interrupt
	if o := runWith(t, Program{Signals: signals}, "bench", "wan"); o.code != codeInterrupted || o.out != "" {
		t.Errorf("%+v", o)
	}
}

func TestBenchWANHelpTeaches(t *testing.T) {
	help := run(t, "bench", "wan", "--help")
	if help.code != codeOK || help.err != "" || !strings.Contains(help.out, "halos bench wan --netns --link") {
		t.Errorf("%+v", help)
	}
	for _, hidden := range []string{"--once", "--supervised", "--down", "--dir"} {
		if strings.Contains(help.out, hidden) {
			t.Errorf("%s is none of the user's business: %s", hidden, help.out)
		}
	}
}
