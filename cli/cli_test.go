package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"halos/job"
)

// outcome is what a run of the program left.
type outcome struct {
	code     int
	out, err string
}

// run runs the program with arguments, without its name.
func run(t *testing.T, args ...string) outcome {
	t.Helper()
	return runWith(t, Program{In: strings.NewReader("")}, args...)
}

// runWith runs p with arguments and captures what it prints.
func runWith(t *testing.T, p Program, args ...string) outcome {
	t.Helper()
	var out, err lockedBuffer
	p.Out, p.Err = &out, &err
	code := p.Run(t.Context(), append([]string{"halos"}, args...))
	return outcome{code, out.String(), err.String()}
}

// lockedBuffer is a buffer that logs of several goroutines may go to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var _ io.Writer = (*lockedBuffer)(nil)

// write makes a file in a directory of the test and returns its path.
func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tinyJob is a job of the tiny preset.
func tinyJob(t *testing.T) *job.Job {
	t.Helper()
	j, err := job.Preset("tiny")
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// dirOf makes a directory that belongs to j.
func dirOf(t *testing.T, j *job.Job) string {
	t.Helper()
	return filepath.Dir(write(t, heldFile, j.Canonical()))
}

// refused checks that a command failed as wanted: with nothing on stdout, the
// fault in few lines on stderr, and no trace of our code.
func refused(t *testing.T, o outcome, code int, want ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit code %d, want %d; stderr: %s", o.code, code, o.err)
	}
	for _, w := range want {
		if !strings.Contains(o.err, w) {
			t.Errorf("stderr %q, want %q in it", o.err, w)
		}
	}
	if o.out != "" {
		t.Errorf("stdout %q, want nothing", o.out)
	}
	if strings.Contains(o.err, "goroutine ") || strings.Contains(o.err, ".go:") {
		t.Errorf("stderr has a stack trace: %s", o.err)
	}
}

func TestHelpTeachesEachCommand(t *testing.T) {
	commands := []string{"testnet", "init", "run", "join", "status", "generate", "eval", "sim", "bench", "version"}
	top := run(t)
	if top.code != codeOK || top.err != "" {
		t.Errorf("halos alone: code %d, stderr %q", top.code, top.err)
	}
	for _, name := range commands {
		if !strings.Contains(top.out, "\n   "+name+" ") {
			t.Errorf("halos does not list %s: %s", name, top.out)
		}
		help := run(t, name, "--help")
		if help.code != codeOK || help.err != "" || !strings.Contains(help.out, "halos "+name) {
			t.Errorf("%s --help: code %d, stderr %q, stdout %s", name, help.code, help.err, help.out)
		}
		if same := run(t, "help", name); same != help {
			t.Errorf("help %s differs from %s --help: %+v", name, name, same)
		}
		if strings.Contains(help.out, "link-default") || strings.Contains(help.out, "supervised") {
			t.Errorf("%s --help shows flags of the testnet's processes", name)
		}
	}
	for _, args := range [][]string{{"help"}, {"--help"}, {"-h"}} {
		if o := run(t, args...); o != top {
			t.Errorf("%v differs from halos alone", args)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--version"}, {"-v"}} {
		o := run(t, args...)
		if o.code != codeOK || !strings.Contains(o.out, "kernel ") || !strings.Contains(o.out, "wire protocol ") {
			t.Errorf("%v: %+v", args, o)
		}
	}
	var v version
	o := run(t, "version", "--json")
	if err := json.Unmarshal([]byte(o.out), &v); err != nil || v.Schema != versionSchema || v.Go == "" || v.Kernel == "" || v.Protocol == 0 || v.Format != job.Format {
		t.Errorf("%v: %+v of %s", err, v, o.out)
	}
}

func TestInitPrintsAManifest(t *testing.T) {
	text := write(t, "Moby Dick.txt", bytes.Repeat([]byte("Call me Ishmael. "), 4000))
	for _, c := range []struct {
		name string
		args []string
		want func(*job.Job) bool
	}{
		{"default", nil, func(j *job.Job) bool { return j.Name == "tiny" && j.Source == builtin }},
		{"preset", []string{"--preset", "small"}, func(j *job.Job) bool { return j.Name == "small" && j.Context() == 256 }},
		{"settings", []string{"--set", "K=16", "--set", "lps.lr=0.4", "--set", "name=mine"}, func(j *job.Job) bool { return j.K == 16 && j.LPS.LR == 0.4 && j.Name == "mine" }},
		{"own text", []string{"--data", text}, func(j *job.Job) bool { return j.Source.Name == "moby-dick" && j.Source.Bytes == 68_000 }},
		{"own text by name", []string{"--data", "whale=" + text}, func(j *job.Job) bool { return j.Source.Name == "whale" }},
	} {
		o := run(t, append([]string{"init"}, c.args...)...)
		j, err := job.ParseYAML([]byte(o.out))
		if o.code != codeOK || o.err != "" || err != nil || !c.want(j) {
			t.Errorf("%s: code %d, stderr %q, %v: %s", c.name, o.code, o.err, err, o.out)
		}
	}
}

func TestSourceName(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"moby.txt", "moby"},
		{"/a/b/Moby Dick (1851).txt", "moby-dick--1851"},
		{"austen.txt", "austen-text"},
		{"...", "text"},
		{"Ωμέγα.txt", "text"},
		{strings.Repeat("a", 99), strings.Repeat("a", 32)},
	} {
		got := sourceName(c.file)
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.file, got, c.want)
		}
		j := tinyJob(t)
		if j.Source.Name = got; j.Validate() != nil {
			t.Errorf("%s: %v", c.file, j.Validate())
		}
	}
}
