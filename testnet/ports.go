package testnet

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Ports tells the region of a listener by its port, where a system has no loopback
// address but 127.0.0.1. With nil Ports, 127.0.R.x is in region R.
type Ports map[uint16]int

// ReadPorts reads the file that a testnet passes to its processes: a line
// "PORT REGION" for each.
func ReadPorts(path string) (Ports, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := make(Ports)
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		left, right, _ := strings.Cut(line, " ")
		port, errPort := strconv.ParseUint(left, 10, 16)
		region, errRegion := strconv.Atoi(right)
		if errPort != nil || errRegion != nil || region < 1 || region > MaxRegions {
			return nil, fmt.Errorf("%s:%d: %q is not a port and a region of 1 to %d", path, i+1, line, MaxRegions)
		}
		p[uint16(port)] = region
	}
	return p, nil
}

// write makes the file that ReadPorts reads.
func (p Ports) write(path string) error {
	var b bytes.Buffer
	for _, port := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintln(&b, port, p[port])
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// region is the region that a listener at addr belongs to.
func (p Ports) region(addr netip.AddrPort) (int, error) {
	ip := addr.Addr().Unmap()
	if p != nil {
		if r, ok := p[addr.Port()]; ok && ip.IsLoopback() {
			return r, nil
		}
		return 0, fmt.Errorf("%v is no port of this testnet", addr)
	}
	if ip.Is4() {
		if b := ip.As4(); b[0] == 127 && b[1] == 0 && b[2] >= 1 && b[2] <= MaxRegions {
			return int(b[2]), nil
		}
	}
	return 0, fmt.Errorf("%v is in no region of this testnet: want 127.0.R.x with R from 1 to %d", addr, MaxRegions)
}

// regionHost is where the processes of a region listen.
func regionHost(region int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 0, byte(region), 1})
}

// hasRegionHosts reports whether this system answers for 127.0.R.1 of all regions,
// as Linux and Windows do and macOS does not.
func hasRegionHosts(regions int) bool {
	for r := 1; r <= regions; r++ {
		l, err := net.Listen("tcp4", netip.AddrPortFrom(regionHost(r), 0).String())
		if err != nil {
			return false
		}
		_ = l.Close() // it was only asked for its existence
	}
	return true
}

// Ports that a process is given for good lie below those that any system hands out by
// itself, so that while it is down no other connection gets its port.
const firstPort, behindPorts = 20_000, 32_000

// fixPorts gives each member a port of its address that nobody listens on, no two the
// same. Between now and their use somebody else may take one; that process then says
// so at its start.
func fixPorts(members []member) error {
	port := firstPort + rand.IntN(behindPorts-firstPort)
	for i := range members {
		host := members[i].listen.Addr()
		for tried := 0; ; tried++ {
			if tried == behindPorts-firstPort {
				return fmt.Errorf("no free port of %v from %d to %d for %s", host, firstPort, behindPorts-1, members[i].name)
			}
			if port++; port >= behindPorts {
				port = firstPort
			}
			members[i].listen = netip.AddrPortFrom(host, uint16(port))
			if l, err := net.Listen("tcp4", members[i].listen.String()); err == nil {
				_ = l.Close() // it was only asked for
				break
			}
		}
	}
	return nil
}
