package testnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"halos/wan"
)

// MaxRegions is how many regions a testnet can have.
const MaxRegions = 200

// Dialer opens the TCP connections of one process of a testnet, which sits in one
// region: straight to its own region, over the emulated link to any other. It
// dials from its region's address, so that the other end sees the region, and
// refuses addresses of no region, so that nothing bypasses the links.
type Dialer struct {
	region int
	links  wan.Links
	ports  Ports
	from   net.Dialer

	mu    sync.Mutex
	lanes map[int]*lanes // by the region at the other end
}

// NewDialer makes the dialler of the process that listens on listen, a multiaddr
// such as /ip4/127.0.2.1/tcp/0: region 2. Where ports is not nil, the port tells
// the region and must be in it.
func NewDialer(listen string, links wan.Links, ports Ports) (*Dialer, error) {
	if err := links.Validate(RegionNames(MaxRegions)); err != nil {
		return nil, err
	}
	addr, err := parseListen(listen)
	if err != nil {
		return nil, err
	}
	region, err := ports.region(addr)
	if err != nil {
		return nil, fmt.Errorf("listen address %s: %w", listen, err)
	}
	local := net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr.Addr(), 0))
	return &Dialer{
		region: region,
		links:  links,
		ports:  ports,
		from:   net.Dialer{LocalAddr: local},
		lanes:  make(map[int]*lanes),
	}, nil
}

// DialContext connects to address, 127.0.R.x:port. To another region it takes one
// round trip of the link, as a handshake does.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil, fmt.Errorf("dial %s %s: links of a testnet carry tcp only", network, address)
	}
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	region, err := d.ports.region(addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	if region == d.region {
		return d.from.DialContext(ctx, network, address)
	}
	link := d.to(region)
	if !link.gate.wait(ctx.Done()) {
		return nil, fmt.Errorf("dial %s: %w", address, ctx.Err())
	}
	arrived := time.NewTimer(link.up.link.RTT)
	defer arrived.Stop()
	socket, failure := d.from.DialContext(ctx, network, address)
	select {
	case <-arrived.C:
	case <-ctx.Done():
		failure = ctx.Err()
	}
	if failure != nil {
		if socket != nil {
			_ = socket.Close() // it never carried a byte
		}
		return nil, fmt.Errorf("dial %s: %w", address, failure)
	}
	if tcp, ok := socket.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(queueSlack) // a hint: what waits in the kernel delays what follows
	}
	return newConn(socket, link), nil
}

// Cut makes the link to a region carry nothing: what is sent waits, new connections
// do not come about.
func (d *Dialer) Cut(region int) { d.to(region).gate.shut() }

// Mend makes the link to a region carry again what was held and what follows.
func (d *Dialer) Mend(region int) { d.to(region).gate.lift() }

// to returns the lanes to and from region. Each process draws its own losses.
func (d *Dialer) to(region int) *lanes {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lanes[region]
	if l == nil {
		seed := uint64(os.Getpid())<<32 | uint64(region)
		l = newLanes(d.links.Of(regionName(d.region), regionName(region)), seed)
		d.lanes[region] = l
	}
	return l
}

// listenAddr is what a process of region listens on, as a multiaddr; port 0 lets
// the system choose.
func listenAddr(addr netip.AddrPort) string {
	return fmt.Sprintf("/ip4/%s/tcp/%d", addr.Addr(), addr.Port())
}

func parseListen(listen string) (netip.AddrPort, error) {
	part := strings.Split(listen, "/")
	if len(part) == 5 && part[0] == "" && part[1] == "ip4" && part[3] == "tcp" {
		if addr, err := netip.ParseAddrPort(part[2] + ":" + part[4]); err == nil {
			return addr, nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("listen address %q: with a link it must be like /ip4/127.0.1.1/tcp/0", listen)
}
