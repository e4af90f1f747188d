package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"github.com/libp2p/go-libp2p/core/host"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// defaultListen is where a node listens that was not told: what of it the machine does not have is left out.
var defaultListen = []string{
	"/ip4/0.0.0.0/tcp/0", "/ip6/::/tcp/0",
	"/ip4/0.0.0.0/udp/0/quic-v1", "/ip6/::/udp/0/quic-v1",
}

// parseListen parses listen addresses, the default ones if there are none.
func parseListen(addrs []string, tcpOnly bool) ([]ma.Multiaddr, error) {
	if len(addrs) == 0 {
		addrs = defaultListen
		if tcpOnly {
			addrs = defaultListen[:2]
		}
	}
	var parsed []ma.Multiaddr
	for _, s := range addrs {
		a, err := ma.NewMultiaddr(s)
		if err == nil {
			err = checkListen(a, tcpOnly)
		}
		if err != nil {
			return nil, fmt.Errorf("listen address %q: %w: it should look like /ip4/0.0.0.0/tcp/4001 or /ip4/0.0.0.0/udp/4001/quic-v1", s, err)
		}
		parsed = append(parsed, a)
	}
	return parsed, nil
}

// checkListen refuses what newHost has no transport for.
func checkListen(a ma.Multiaddr, tcpOnly bool) error {
	var names []string
	for _, c := range a {
		names = append(names, c.Protocol().Name)
	}
	switch shape := strings.Join(names, "/"); shape {
	case "ip4/tcp", "ip6/tcp":
		return nil
	case "ip4/udp/quic-v1", "ip6/udp/quic-v1":
		if tcpOnly {
			return errors.New("this node speaks TCP only")
		}
		return nil
	default:
		return fmt.Errorf("cannot listen on %s", shape)
	}
}

// listen makes h listen on want. A port left open is that of before, so that a restarted node keeps its
// addresses, or a free one with a warning. If all is set each address must work, else at least one.
func listen(h host.Host, want, before []ma.Multiaddr, all bool, log *slog.Logger) error {
	var errs []error
	for _, a := range want {
		if old := samePlace(a, before); old != nil {
			err := listenOn(h, old)
			if err == nil {
				continue
			}
			log.Warn("listening on another port than last time", "last", old, "err", err)
		}
		if err := listenOn(h, a); err != nil {
			errs = append(errs, err)
		}
	}
	if all || len(errs) == len(want) {
		return errors.Join(errs...)
	}
	for _, err := range errs {
		log.Debug("not listening", "err", err)
	}
	return nil
}

// listenOn listens on one address. libp2p sets SO_REUSEPORT, with which two processes of one user share a
// port unnoticed; so the port is first taken without it.
func listenOn(h host.Host, a ma.Multiaddr) error {
	err := probe(a)
	if err == nil {
		err = h.Network().Listen(a)
	}
	if err != nil && isAddrInUse(err) {
		return fmt.Errorf("listen on %s: the port is in use: stop the program that has it, or choose another port (0 is any free one): %w", a, err)
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", a, err)
	}
	return nil
}

// probe says whether the address could be listened on a moment ago.
func probe(a ma.Multiaddr) error {
	kind, addr, err := manet.DialArgs(a)
	if err != nil {
		return err
	}
	var config net.ListenConfig
	if strings.HasPrefix(kind, "udp") {
		conn, err := config.ListenPacket(context.Background(), kind, addr)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	listener, err := config.Listen(context.Background(), kind, addr)
	if err != nil {
		return err
	}
	return listener.Close()
}

// samePlace returns the address of before that differs from a only in its port, nil if there is none or
// if a names a port itself.
func samePlace(a ma.Multiaddr, before []ma.Multiaddr) ma.Multiaddr {
	for _, old := range before {
		if a.Equal(portless(old)) {
			return old
		}
	}
	return nil
}

// portless returns a copy of a with port 0.
func portless(a ma.Multiaddr) ma.Multiaddr {
	var out ma.Multiaddr
	for _, c := range a {
		if code := c.Protocol().Code; code == ma.P_TCP || code == ma.P_UDP {
			zero, err := ma.NewComponent(c.Protocol().Name, "0")
			if err != nil {
				return nil
			}
			c = *zero
		}
		out = append(out, c)
	}
	return out
}
