//go:build unix

package testnet

import "syscall"

// canPause says that processes can be stopped and continued here.
const canPause = true

// pause stops p where it is, resume lets it go on. They fail if it has just ended,
// which exits reports.
func (p *process) pause()  { _ = p.cmd.Process.Signal(syscall.SIGSTOP) }
func (p *process) resume() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }
