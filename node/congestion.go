package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
)

const (
	// lossProof is the congestion control that bulk between regions wants: it follows the rate at which bytes
	// arrive, where the others take each lost packet for a full link. Of 100 Mbit/s at 100 ms and a loss of 1 %
	// it moves 92, cubic and reno 1.3.
	lossProof = "bbr"
	// unsent is how much a socket holds that it may not send yet (TCP_NOTSENT_LOWAT): what is written later
	// waits behind it. A writer is woken at half of it, which lasts for half a millisecond at 1 Gbit/s. With
	// 64 to 256 KiB the link above is full and an answer beside bulk takes 0.2 s, without a bound 0.6 s; with
	// 32 KiB writers come too late, and send in bursts.
	unsent = 128 << 10
)

var (
	// errNoControl says that the kernel does not have a congestion control: load its module.
	errNoControl = errors.New("the kernel has not loaded it")
	// errNotAllowed says that it is for privileged processes only: allow it to all.
	errNotAllowed = errors.New("the kernel keeps it for privileged processes")
	// errNoChoice says that sockets of this system cannot choose their congestion control.
	errNoChoice = errors.New("this system's sockets cannot choose it")
)

// tuning is what the TCP sockets of a host have in common. The zero tuning leaves the system's choice.
type tuning struct {
	congestion string // the control's name; "": the system's own
	unsent     int    // bytes; 0: no bound
}

// chooseCongestion returns the congestion control for a host's sockets: want, or an error where this process may
// not use it; where nothing is wanted lossProof or, with a warning, "", the system's own.
func chooseCongestion(want string, log *slog.Logger) (string, error) {
	if want == "" {
		return settleFor(lossProof, log), nil
	}
	if err := tryCongestion(want); err != nil {
		return "", fmt.Errorf("congestion control %s: %w: %s", want, err, remedy(want, err))
	}
	log.Info("congestion control", "tcp", want)
	return want, nil
}

// settleFor returns control if this process may use it, or else, with a warning, "".
func settleFor(control string, log *slog.Logger) string {
	err := tryCongestion(control)
	if err == nil {
		log.Info("congestion control", "tcp", control)
		return control
	}
	log.Info("congestion control", "tcp", systemCongestion(), "sockets", manySockets)
	log.Warn("without "+control+" this node is slow over links that lose packets", "because", err, "try", remedy(control, err))
	return ""
}

// remedy is what to type so that this process may use a congestion control, which it was refused for err.
func remedy(name string, err error) string {
	const where = " (for a container: on its host)"
	switch {
	case errors.Is(err, errNoControl):
		return fmt.Sprintf("sudo modprobe tcp_%s && echo tcp_%s | sudo tee /etc/modules-load.d/halos.conf", name, name) + where
	case errors.Is(err, errNotAllowed):
		return fmt.Sprintf(`echo "net.ipv4.tcp_allowed_congestion_control = %s %s" | sudo tee /etc/sysctl.d/90-halos.conf && sudo sysctl -p /etc/sysctl.d/90-halos.conf`,
			allowedCongestion(), name) + where
	}
	return "nothing here: let a Linux machine be the server"
}

// control sets t on a socket before it listens or connects. Accepted sockets have what the listener was given.
func (t tuning) control(_, _ string, c syscall.RawConn) error {
	var fault error
	err := c.Control(func(fd uintptr) { fault = t.set(fd) })
	return errors.Join(err, fault)
}

// of sets t on a connected socket.
func (t tuning) of(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return t.control("", "", raw)
}
