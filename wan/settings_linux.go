package wan

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// sysctls is where the kernel's settings of the thread's namespace are files.
const sysctls = "/proc/sys/net"

// bufferMost is how far the buffers of a connection may grow: the bandwidth-delay
// product of 1 Gbit/s over 250 ms.
const bufferMost = 32 << 20

// growBuffers raises the limits of the thread's namespace to bufferMost.
func growBuffers() error {
	for _, name := range []string{"ipv4/tcp_rmem", "ipv4/tcp_wmem"} {
		var x [3]int
		if err := readSetting(name, &x[0], &x[1], &x[2]); err != nil {
			return err
		}
		x[2] = bufferMost
		if err := os.WriteFile(filepath.Join(sysctls, name), []byte(three(x)), 0o644); err != nil {
			return explain("set "+name, err)
		}
	}
	return nil
}

// readSetting reads the numbers or words that a setting consists of.
func readSetting(name string, into ...any) error {
	text, err := os.ReadFile(filepath.Join(sysctls, name))
	if err == nil {
		_, err = fmt.Sscan(string(text), into...)
	}
	if err != nil {
		return fmt.Errorf("setting %s: %w", name, err)
	}
	return nil
}

// Settings reads those of the first region; all have the same.
func (n *Network) Settings() (Settings, error) {
	s := Settings{MTU: mtu, TxQueue: tunQueue}
	outside := readSetting("core/default_qdisc", &s.Qdisc) // namespaces do not have it
	return s, errors.Join(outside, n.Do(n.regions[0].name, func() error {
		text, err := os.ReadFile(filepath.Join(sysctls, "ipv4/tcp_available_congestion_control"))
		s.Available = strings.Fields(string(text))
		return errors.Join(err,
			readSetting("ipv4/tcp_congestion_control", &s.Congestion),
			readSetting("ipv4/tcp_rmem", &s.TCPRmem[0], &s.TCPRmem[1], &s.TCPRmem[2]),
			readSetting("ipv4/tcp_wmem", &s.TCPWmem[0], &s.TCPWmem[1], &s.TCPWmem[2]),
			readSetting("core/rmem_max", &s.RmemMax),
			readSetting("core/wmem_max", &s.WmemMax))
	}))
}
