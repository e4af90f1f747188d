package testnet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"halos/node"
)

const (
	logFile = "log" // stdout and stderr of a process, in its directory
	// logTail is how much of it is looked at when a process has failed.
	logTail = 4 << 10
	// interrupted is the exit code of a process that was asked to drain and did.
	interrupted = 130
)

// ExitError says that a process of a testnet failed.
type ExitError struct {
	Process string // its name, such as eu-lps
	Code    int    // exit code; -1 if a signal ended it
	Status  string // such as "exit status 1" or "signal: killed"
	Log     string // file with all it printed
	Last    string // the last line of it, as a rule the reason
}

func (e *ExitError) Error() string {
	if e.Last == "" {
		return fmt.Sprintf("%s ended with %s and printed nothing (log %s)", e.Process, e.Status, e.Log)
	}
	return fmt.Sprintf("%s ended with %s: %s (log %s)", e.Process, e.Status, e.Last, e.Log)
}

// process is one member that was started. Closing its standard input, which the
// system does when the parent dies, makes it exit.
type process struct {
	member
	dir     string
	journal *journal
	cmd     *exec.Cmd
	stdin   io.WriteCloser

	before int   // starts that its journal held when it was started
	asked  bool  // to drain, or killed: its end is expected
	killed bool  // as a fault of the plan: its end is none of its own
	ended  bool  // the fields below are valid
	fault  error // *ExitError unless it ended well
}

// exit reports the end of a process; err is that of exec.Cmd.Wait.
type exit struct {
	process *process
	err     error
}

// start runs binary as member m by launch, which starts a command. The end of the
// process goes to exits, which must have room for it.
func start(launch func(*exec.Cmd) error, binary string, m member, args []string, dir string, exits chan<- exit) (*process, error) {
	p := &process{member: m, dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("start %s: %w", m.name, err)
	}
	log, err := os.OpenFile(p.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", m.name, err)
	}
	defer log.Close()
	p.cmd = exec.Command(binary, args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = ownGroup()
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", m.name, err)
	}
	if err := launch(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", m.name, err)
	}
	go func() { exits <- exit{p, p.cmd.Wait()} }()
	return p, nil
}

func (p *process) log() string { return filepath.Join(p.dir, logFile) }

func (p *process) metrics() string { return filepath.Join(p.dir, node.MetricsFile) }

// up reports whether the node has said that it listens.
func (p *process) up() bool { return p.journal.starts > p.before }

// addr is the multiaddr under which others join at p, which is up.
func (p *process) addr() (string, error) {
	host := fmt.Sprintf("/ip4/%s/tcp/", p.listen.Addr())
	for _, a := range p.journal.addrs {
		if strings.HasPrefix(a, host) && strings.Contains(a, "/p2p/") {
			return a, nil
		}
	}
	return "", fmt.Errorf("%s listens on %q, not on %s", p.name, p.journal.addrs, host)
}

// drain asks p to finish its round, hand over what it holds and exit.
func (p *process) drain() {
	p.asked = true
	p.order(orderDrain)
}

// kill ends p at once.
func (p *process) kill() {
	p.asked = true
	_ = p.cmd.Process.Kill() // fails if it has just ended, which exits reports
}

// end notes how p ended. Only a process that was asked to may end as interrupted.
func (p *process) end(err error) {
	p.ended = true
	p.journal.ended = true
	_ = p.stdin.Close() // Wait has closed it already
	if p.killed {
		return
	}
	var status *exec.ExitError
	if errors.As(err, &status) {
		if p.asked && status.ExitCode() == interrupted {
			return
		}
		lines := p.lastLines(1)
		p.fault = &ExitError{p.name, status.ExitCode(), status.String(), p.log(), strings.Join(lines, "")}
		return
	}
	if err != nil {
		p.fault = fmt.Errorf("%s: %w", p.name, err)
	}
}

// lastLines returns up to n lines that p printed last.
func (p *process) lastLines(n int) []string {
	file, err := os.Open(p.log())
	if err != nil {
		return nil
	}
	defer file.Close()
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil
	}
	text := make([]byte, min(end, logTail))
	if _, err := file.ReadAt(text, end-int64(len(text))); err != nil {
		return nil
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return nil
	}
	lines := strings.Split(string(text), "\n")
	return lines[max(0, len(lines)-n):]
}
