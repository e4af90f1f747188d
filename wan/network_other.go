//go:build !linux

package wan

import (
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"
)

// Network needs Linux; here there is none.
type Network struct{}

// New returns ErrUnavailable.
func New(regions []string, links Links, _ uint64) (*Network, error) {
	if err := checkRegions(regions, links); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: they take Linux's network namespaces, this is %s", ErrUnavailable, runtime.GOOS)
}

// The methods of a Network are for callers that are the same on all systems: none is
// called.

// Addr is not called.
func (*Network) Addr(string) netip.Addr { return netip.Addr{} }

// Do is not called.
func (*Network) Do(string, func() error) error { return ErrUnavailable }

// Start is not called.
func (*Network) Start(string, *exec.Cmd) error { return ErrUnavailable }

// Cut is not called.
func (*Network) Cut(string, string) {}

// Mend is not called.
func (*Network) Mend(string, string) {}

// Count is not called.
func (*Network) Count(string, string) Count { return Count{} }

// Settings is not called.
func (*Network) Settings() (Settings, error) { return Settings{}, ErrUnavailable }

// Close is not called.
func (*Network) Close() error { return nil }
