package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"halos/wan"
)

// readyWait is how long a server's process may take to listen, endWait to end.
const (
	readyWait = 30 * time.Second
	endWait   = 10 * time.Second
)

// benchProcess is a process of this program that measures.
type benchProcess struct {
	cmd  *exec.Cmd
	in   io.Closer // its end ends the process
	out  io.Reader
	log  bytes.Buffer // what it said on stderr
	addr string       // of a server
}

// start runs this program's bench wan with flags and operands, in a region where
// there is a network.
func (b *wanBench) start(ctx context.Context, network *wan.Network, region string, args ...string) (*benchProcess, error) {
	dir, err := os.MkdirTemp(b.dir, region)
	if err != nil {
		return nil, err
	}
	p := &benchProcess{cmd: exec.CommandContext(ctx, b.binary, append([]string{"bench", "wan", "--supervised", "--dir", dir}, args...)...)}
	p.cmd.Stderr = &p.log
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if p.out, err = p.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	run := p.cmd.Start
	if network != nil {
		run = func() error { return network.Start(region, p.cmd) }
	}
	if err := run(); err != nil {
		return nil, fmt.Errorf("start %s: %w", region, err)
	}
	return p, nil
}

// serve starts a server's process and learns its address.
func (b *wanBench) serve(ctx context.Context, network *wan.Network) (*benchProcess, error) {
	at := "127.0.0.1"
	if network != nil {
		at = network.Addr(benchServer).String()
	}
	p, err := b.start(ctx, network, benchServer, "--serve", "--max", fmt.Sprint(b.max, "B"),
		"--listen", fmt.Sprintf("/ip4/%s/tcp/0", at), "--listen", fmt.Sprintf("/ip4/%s/udp/0/quic-v1", at))
	if err != nil {
		return nil, err
	}
	slow := time.AfterFunc(readyWait, func() { _ = p.cmd.Process.Kill() }) // the read fails then
	line, err := bufio.NewReader(p.out).ReadString('\n')
	slow.Stop()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the server's process did not listen: %w", err), p.end())
	}
	words := strings.Fields(line)
	p.addr = words[len(words)-1]
	return p, nil
}

// end asks a process to end and waits for it.
func (p *benchProcess) end() error {
	_ = p.in.Close() // it may have ended by itself
	slow := time.AfterFunc(endWait, func() { _ = p.cmd.Process.Kill() })
	defer slow.Stop()
	err := p.wait()
	var status *exec.ExitError
	if errors.As(err, &status) && status.ExitCode() == codeInterrupted {
		return nil
	}
	return err
}

// wait waits for the process to end.
func (p *benchProcess) wait() error { return p.failure(p.cmd.Wait()) }

// failure puts the end of a process into the words it said last.
func (p *benchProcess) failure(err error) error {
	if err == nil {
		return nil
	}
	said := ""
	for line := range strings.Lines(p.log.String()) {
		if text, ok := strings.CutPrefix(line, "halos: "); ok {
			said = strings.TrimSpace(text)
		}
	}
	if said == "" {
		return err
	}
	return &benchFailure{said, err}
}

// benchFailure is the error of a process in its own words.
type benchFailure struct {
	said string
	err  error
}

func (f *benchFailure) Error() string { return f.said }
func (f *benchFailure) Unwrap() error { return f.err }
