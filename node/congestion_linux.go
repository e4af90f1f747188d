package node

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// allowedControls lists what processes without privileges may choose.
const allowedControls = "/proc/sys/net/ipv4/tcp_allowed_congestion_control"

// tryCongestion says whether this process may use a congestion control.
func tryCongestion(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket to try it on: %w", err)
	}
	defer unix.Close(fd)
	err = unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, name)
	switch {
	case errors.Is(err, unix.ENOENT):
		return errNoControl
	case errors.Is(err, unix.EPERM):
		return errNotAllowed
	case err != nil:
		return fmt.Errorf("%w (%w)", errNoChoice, err)
	}
	return nil
}

// set puts t on the socket fd.
func (t tuning) set(fd uintptr) error {
	if t.congestion != "" {
		if err := unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, t.congestion); err != nil {
			return fmt.Errorf("congestion control %s: %w", t.congestion, err)
		}
	}
	if t.unsent > 0 {
		if err := unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, t.unsent); err != nil {
			return fmt.Errorf("bound of unsent bytes: %w", err)
		}
	}
	return nil
}

// congestionOn returns the congestion control of a socket. ok is false of one that is closed.
func congestionOn(c *net.TCPConn) (name string, ok bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return "", false
	}
	var fault error
	err = raw.Control(func(fd uintptr) {
		name, fault = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	})
	return name, err == nil && fault == nil
}

// systemCongestion is what sockets have that choose nothing.
func systemCongestion() string {
	return firstLine("/proc/sys/net/ipv4/tcp_congestion_control")
}

// allowedCongestion lists what this process may choose without privileges, as the kernel writes it.
func allowedCongestion() string { return firstLine(allowedControls) }

// firstLine of a setting of the kernel, "unknown" where it cannot be read.
func firstLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}
