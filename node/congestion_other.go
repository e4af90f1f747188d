//go:build !linux

package node

import "net"

// tryCongestion says whether this process may use a congestion control.
func tryCongestion(string) error { return errNoChoice }

// set leaves the system's settings.
func (tuning) set(uintptr) error { return nil }

// congestionOn returns "system" for a socket that is open.
func congestionOn(c *net.TCPConn) (name string, ok bool) {
	raw, err := c.SyscallConn()
	return "system", err == nil && raw.Control(func(uintptr) {}) == nil
}

// systemCongestion is what sockets have that choose nothing.
func systemCongestion() string { return "system" }

// allowedCongestion lists what this process may choose without privileges.
func allowedCongestion() string { return "" }
