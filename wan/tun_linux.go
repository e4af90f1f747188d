package wan

import (
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

const (
	mtu     = 1500
	tunName = "wan0"
	tunPath = "/dev/net/tun"
	// tunQueue is how many packets wait for the reader while it has no processor: at
	// 1 Gbit/s as many come in 50 ms.
	tunQueue = 4096
)

// openTUN makes the device of a region in the namespace of the calling thread. If
// whole, the kernel hands over packets of up to 64 KiB and leaves it to others to cut
// them. Frames carry their virtio header either way.
func openTUN(addr netip.Addr, whole bool) (*os.File, error) {
	fd, err := unix.Open(tunPath, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, explain("open "+tunPath, err)
	}
	if err := attach(fd, whole); err != nil {
		return nil, giveUp(fd, explain("make a TUN device", err))
	}
	if err := configure(addr); err != nil {
		return nil, giveUp(fd, fmt.Errorf("configure a TUN device: %w", err))
	}
	return os.NewFile(uintptr(fd), tunPath), nil // only now can it be polled
}

// giveUp closes fd because of err.
func giveUp(fd int, err error) error {
	_ = unix.Close(fd) // err is what matters
	return err
}

// attach makes fd a TUN device.
func attach(fd int, whole bool) error {
	req, err := unix.NewIfreq(tunName)
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return err
	}
	if !whole {
		return unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM)
	}
	const tcp = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, tcp|unix.TUN_F_USO4|unix.TUN_F_USO6); err == nil {
		return nil
	}
	return unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, tcp) // before Linux 6.2
}

// configure gives the TUN device its address, by which all regions are reached, and
// takes it and loopback up.
func configure(addr netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	host := func(b [4]byte) func(*unix.Ifreq) { return func(r *unix.Ifreq) { _ = r.SetInet4Addr(b[:]) } } // 4 bytes fit
	number := func(x uint32) func(*unix.Ifreq) { return func(r *unix.Ifreq) { r.SetUint32(x) } }
	up := func(r *unix.Ifreq) { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING) }
	for _, step := range []struct {
		what, device string
		request      uint
		value        func(*unix.Ifreq)
	}{
		{"loopback", "lo", unix.SIOCSIFFLAGS, up},
		{"address", tunName, unix.SIOCSIFADDR, host(addr.As4())},
		{"netmask", tunName, unix.SIOCSIFNETMASK, host([4]byte{255, 255, 0, 0})},
		{"mtu", tunName, unix.SIOCSIFMTU, number(mtu)},
		{"queue", tunName, unix.SIOCSIFTXQLEN, number(tunQueue)},
		{"state", tunName, unix.SIOCSIFFLAGS, up},
	} {
		req, err := unix.NewIfreq(step.device)
		if err != nil {
			return err
		}
		step.value(req)
		if err := unix.IoctlIfreq(fd, step.request, req); err != nil {
			return fmt.Errorf("%s of %s: %w", step.what, step.device, err)
		}
	}
	return nil
}
