package main

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// wanRow is what a script needs of a row of halos bench wan --json.
type wanRow struct {
	Path      string  `json:"path"`
	Down      bool    `json:"down"`
	Mbit      float64 `json:"mbit"`
	Bytes     int     `json:"bytes"`
	Transfers int     `json:"transfers"`
	Goodput   float64 `json:"goodput_mbit"`
	WireRatio float64 `json:"wire_ratio"`
	IPRatio   float64 `json:"ip_ratio"`
	Error     string  `json:"error"`
}

// benchWAN runs halos bench wan --json and returns its rows.
func benchWAN(ctx context.Context, t *testing.T, binary string, args ...string) []wanRow {
	t.Helper()
	cmd := exec.CommandContext(ctx, binary, append([]string{"bench", "wan", "--json", "--size", "100kB", "--seconds", "0"}, args...)...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	var report struct {
		Schema string   `json:"schema"`
		Rows   []wanRow `json:"rows"`
	}
	if strings.Contains(said.String(), "not available here") && runtime.GOOS != "linux" || os.Geteuid() != 0 && strings.Contains(said.String(), "it takes root") {
		t.Skip(said.String())
	}
	if failed := json.Unmarshal(out, &report); err != nil || failed != nil || report.Schema != "halos.bench.wan/1" {
		t.Fatalf("%v, %v: %s%s", err, failed, out, said.String())
	}
	return report.Rows
}

// check sees that rows are of these paths, in order, and what they measured. A
// congestion control that the system does not have is a row that says so.
func check(t *testing.T, rows []wanRow, paths string) {
	t.Helper()
	var got []string
	for _, r := range rows {
		name := r.Path
		if r.Down {
			name += "-down"
		}
		got = append(got, name)
		switch {
		case r.Error != "":
			if !strings.Contains(r.Error, "congestion control "+strings.TrimPrefix(r.Path, "raw-")) {
				t.Errorf("%s: %s", name, r.Error)
			}
		case !(r.Goodput > 0) || r.Bytes != 100_000 || r.Transfers != 1 || r.WireRatio < 1 || r.WireRatio > 1.2:
			t.Errorf("%+v", r)
		}
	}
	if all := strings.Join(got, " "); all != paths {
		t.Errorf("rows of %s, want %s", all, paths)
	}
}

func TestBenchWAN(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	binary := program(t)
	t.Run("loopback", func(t *testing.T) {
		check(t, benchWAN(ctx, t, binary, "--path", "delta,raw-quic"), "delta raw-quic")
	})
	t.Run("emulated link", func(t *testing.T) {
		rows := benchWAN(ctx, t, binary, "--netns", "--link", "100mbit/20ms", "--path", "delta")
		check(t, rows, "delta")
		for _, r := range rows {
			if r.Mbit != 100 || r.IPRatio < r.WireRatio || r.IPRatio > 2 {
				t.Errorf("%+v", r)
			}
		}
	})
	t.Run("another machine", func(t *testing.T) {
		server, addr := serveBench(ctx, t, binary)
		check(t, benchWAN(ctx, t, binary, "--path", "model,raw-cubic", addr), "model-down raw-cubic raw-cubic-down")
		if runtime.GOOS == "windows" { // has no signal for a request to end
			return
		}
		if err := server.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = server.Wait() // the exit code tells
		if code := server.ProcessState.ExitCode(); code != 130 {
			t.Errorf("the server ended with %d, want 130", code)
		}
	})
}

// serveBench starts the other end of a link until ctx ends.
func serveBench(ctx context.Context, t *testing.T, binary string) (server *exec.Cmd, addr string) {
	t.Helper()
	server = exec.CommandContext(ctx, binary, "bench", "wan", "--serve", "--max", "1MB", "--listen", "/ip4/127.0.0.1/tcp/0")
	server.Stderr = t.Output()
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	words := strings.Fields(line)
	if err != nil || len(words) != 4 || words[0] != "halos" {
		t.Fatalf("%q, %v", line, err)
	}
	return server, words[3]
}
