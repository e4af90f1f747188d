package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	urfave "github.com/urfave/cli/v2"

	"halos/job"
	"halos/node"
	"halos/testnet"
	"halos/train"
)

// fakeNode runs until it is drained or its context ends.
type fakeNode struct {
	running  chan struct{} // closed when it runs
	drained  chan struct{}
	stubborn bool  // does not end when drained
	fault    error // what Run returns in the end
}

func (f *fakeNode) Drain() { close(f.drained) }

func (f *fakeNode) Run(ctx context.Context) error {
	close(f.running)
	drained := f.drained
	if f.stubborn {
		drained = nil
	}
	select {
	case <-drained:
		return f.fault
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), errors.New("closed in a hurry"))
	}
}

func TestAttend(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name     string
		stubborn bool
		fault    error
		ready    error
		abort    bool
		want     error
	}{
		{"drains", false, nil, nil, false, nil},
		{"drains with a fault", false, broken, nil, false, broken},
		{"is aborted", true, nil, nil, true, errInterrupted},
		{"cannot tell the user", true, nil, broken, false, broken},
	} {
		i := &invocation{aborted: make(chan struct{})}
		n := &fakeNode{running: make(chan struct{}), drained: make(chan struct{}), stubborn: c.stubborn, fault: c.fault}
		wanted, drain := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- i.attend(wanted, n, slog.New(slog.DiscardHandler), func() error { return c.ready })
		}()
		<-n.running
		drain()
		if c.abort {
			<-n.drained
			close(i.aborted)
		}
		if got := <-ended; !errors.Is(got, c.want) || (got == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// A supervised process drains at its parent's word and ends when the parent dies.
func TestObey(t *testing.T) {
	for _, c := range []struct {
		name, in string
		drains   int
	}{
		{"the parent dies", "", 0},
		{"drain", "drain\n", 1},
		{"without the line's end", "drain", 1},
		{"other words", "drainage\nstop\n\n", 0},
		{"drain twice", "drain\r\n drain \n", 2},
	} {
		i := &invocation{Program: Program{In: strings.NewReader(c.in)}, abort: make(chan struct{}, 1)}
		drains := 0
		i.obey(func() { drains++ })
		if drains != c.drains || len(i.abort) != 1 {
			t.Errorf("%s: %d drains, %d aborts, want %d and 1", c.name, drains, len(i.abort), c.drains)
		}
	}
}

// A node on loopback starts, prints the line for others, and ends as it is told to.
func TestRunPrintsTheJoinLineAndEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string
		end  func(signals chan<- os.Signal, stdin *io.PipeWriter)
		code int
	}{
		{"by interrupt", nil, "halos join --region us /ip4/127.0.0.1/tcp/", func(s chan<- os.Signal, _ *io.PipeWriter) { s <- os.Interrupt }, codeOK},
		{"at its parent's word", []string{"--supervised", "--region", "us"}, "halos join --region eu /ip4/127.0.0.1/tcp/", func(_ chan<- os.Signal, in *io.PipeWriter) { io.WriteString(in, "drain\n") }, codeOK},
		{"with its parent", []string{"--supervised"}, "halos join --region us /ip4/127.0.0.1/tcp/", func(_ chan<- os.Signal, in *io.PipeWriter) { in.Close() }, codeInterrupted},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			signals := make(chan os.Signal, 1)
			in, stdin := io.Pipe()
			defer stdin.Close()
			out, stdout := io.Pipe()
			var logs lockedBuffer
			ended := make(chan int)
			args := append([]string{"halos", "run", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", "--threads", "1"}, c.args...)
			go func() {
				code := Program{In: in, Out: stdout, Err: &logs, Signals: signals}.Run(t.Context(), args)
				stdout.Close()
				ended <- code
			}()
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Fatalf("%v; stderr: %s", err, logs.String())
			}
			if !strings.HasPrefix(line, c.want) || !strings.Contains(line, "/p2p/12D3KooW") {
				t.Errorf("stdout %q, want %s...", line, c.want)
			}
			c.end(signals, stdin)
			if code := <-ended; code != c.code {
				t.Errorf("exit code %d, want %d; stderr: %s", code, c.code, logs.String())
			}
		})
	}
}

func TestSettingsOfTheComputation(t *testing.T) {
	for _, c := range []struct {
		name      string
		args      []string
		env       string // HALOS_RECOMPUTE
		threads   int
		recompute bool
	}{
		{"none", nil, "", 0, false},
		{"flags", []string{"--threads", "3", "--recompute"}, "", 3, true},
		{"environment", nil, "true", 0, true},
		{"a flag against the environment", []string{"--recompute=false"}, "1", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("HALOS_RECOMPUTE", c.env)
			i := &invocation{Program: Program{Err: io.Discard}}
			app := &urfave.App{Flags: nodeFlags(runRegion, runDir), Action: func(ctx *urfave.Context) error {
				got, err := i.nodeConfig(ctx)
				if got.Threads != c.threads || got.Recompute != c.recompute {
					t.Errorf("threads %d, recompute %t, want %d and %t", got.Threads, got.Recompute, c.threads, c.recompute)
				}
				return err
			}}
			if err := app.Run(append([]string{"halos"}, c.args...)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestParseRoles(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"auto", nil},
		{"", nil},
		{"worker", []string{"worker"}},
		{"lps,worker", []string{"lps", "worker"}},
		{" gps , lps,gps", []string{"gps", "lps"}},
	} {
		if got, err := parseRoles(c.in); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, %v, want %q", c.in, got, err, c.want)
		}
	}
	for _, bad := range []string{"auto,worker", "gsp", "Worker"} {
		if got, err := parseRoles(bad); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

func TestExitCodes(t *testing.T) {
	child := func(code int) error { return &testnet.ExitError{Process: "gps", Code: code} }
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("x"), codeFailed},
		{usage("run", errors.New("x")), codeUsage},
		{node.ErrUsage, codeUsage},
		{node.ErrUnreachable, codeUnreachable},
		{node.ErrNotRunning, codeUnreachable},
		{node.ErrMismatch, codeMismatch},
		{usage("run", job.ErrFormat), codeMismatch},
		{node.ErrDiverged, codeDiverged},
		{train.ErrDiverged, codeDiverged},
		{errInterrupted, codeInterrupted},
		{testnet.ErrAborted, codeInterrupted},
		{child(1), codeFailed},
		{child(-1), codeFailed},
		{child(codeUsage), codeFailed}, // the testnet's command line, not the user's
		{child(codeDiverged), codeDiverged},
		{errors.Join(child(codeDiverged), testnet.ErrAborted), codeInterrupted},
	} {
		if got := codeOf(fmt.Errorf("wrapped: %w", c.err)); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}
