//go:build unix

package testnet

import "syscall"

// ownGroup keeps a terminal's Ctrl-C from a process: only the parent gets it, and
// drains.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
