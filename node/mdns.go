package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/zeroconf/v2"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Announcements have the form of libp2p's mDNS discovery: a TXT record with a "dnsaddr=" string per
// address. libp2p's own service is not used because, where one IP version is missing, it neither finds
// anything nor ever closes.
const (
	mdnsDomain = "local"
	dnsaddr    = "dnsaddr="
	mdnsPort   = 4001 // a field of SRV records that nobody reads
)

const (
	// shortJobLen is how many hex digits of a job's id name its topics and its mDNS service.
	shortJobLen = 16
	// maxAnnounced addresses keep an announcement within one packet.
	maxAnnounced = 8
	// maxFound bounds what a machine on the LAN can make us remember by announcing itself again and again.
	maxFound = 64
	// findRetry is the pause before the nodes found so far are tried again.
	findRetry = time.Second
)

var errNoMulticast = errors.New("mDNS: no interface of this machine carries multicast")

// mdnsService returns the name under which the nodes of a job announce themselves on a LAN. The job is
// its id or the beginning of it, at least 16 hex digits.
func mdnsService(job string) (string, error) {
	job = strings.ToLower(strings.TrimSpace(job))
	if len(job) < shortJobLen || strings.Trim(job, "0123456789abcdef") != "" {
		return "", fmt.Errorf("job id %q is not %d or more hex digits: take it from the join line or from halos status", job, shortJobLen)
	}
	return "_halos-" + job[:shortJobLen] + "._udp", nil
}

// announce makes h known on the LAN as a node of the job. It ends with ctx; wait for done before closing h.
func announce(ctx context.Context, h host.Host, job string) (done <-chan struct{}, err error) {
	name, err := mdnsService(job)
	if err != nil {
		return nil, err
	}
	if _, err := multicastFamilies(); err != nil {
		return nil, err
	}
	var text, ips []string
	for _, addr := range dialableAddrs(h) {
		if len(text) == maxAnnounced {
			break
		}
		text = append(text, dnsaddr+addr)
		if part := strings.Split(addr, "/"); part[1] == "ip4" || part[1] == "ip6" {
			ips = append(ips, part[2])
		}
	}
	if len(ips) == 0 {
		return nil, errors.New("mDNS: this node listens nowhere")
	}
	// A name per start: others would take a restarted node for the one they already know.
	instance := rand.Text()
	server, err := zeroconf.RegisterProxy(instance, name, mdnsDomain, mdnsPort, instance, ips[:1], text, nil)
	if err != nil {
		return nil, fmt.Errorf("announce by mDNS: %w", err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		<-ctx.Done()
		server.Shutdown()
	}()
	return closed, nil
}

// browse calls found, which must not block, with each node of the job on the LAN soon after it appears,
// until ctx ends. Of two nodes that browse and announce at least one finds the other.
func browse(ctx context.Context, self peer.ID, job string, found func(peer.AddrInfo)) error {
	name, err := mdnsService(job)
	if err != nil {
		return err
	}
	families, err := multicastFamilies()
	if err != nil {
		return err
	}
	entries := make(chan *zeroconf.ServiceEntry)
	ended := make(chan error, 1)
	go func() { ended <- zeroconf.Browse(ctx, name, mdnsDomain, entries, zeroconf.SelectIPTraffic(families)) }()
	for {
		select {
		case entry, open := <-entries:
			if !open {
				return <-ended
			}
			for _, p := range announced(entry.Text) {
				if p.ID != self {
					found(p)
				}
			}
		case err := <-ended: // before it began: then entries stays open
			if err != nil {
				return fmt.Errorf("browse by mDNS: %w", err)
			}
			return nil
		}
	}
}

// announced parses the text of an announcement, made of what announce writes or of anything.
func announced(text []string) []peer.AddrInfo {
	var addrs []ma.Multiaddr
	for _, line := range text[:min(len(text), maxAnnounced)] {
		if s, ok := strings.CutPrefix(line, dnsaddr); ok {
			if a, err := ma.NewMultiaddr(s); err == nil && manet.IsThinWaist(a) {
				addrs = append(addrs, a)
			}
		}
	}
	peers, err := peer.AddrInfosFromP2pAddrs(addrs...)
	if err != nil {
		return nil
	}
	return peers
}

// multicastFamilies returns the IP versions whose mDNS group can be joined here. zeroconf fails as a
// whole if it is asked for one that cannot.
func multicastFamilies() (zeroconf.IPType, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return 0, fmt.Errorf("mDNS: %w", err)
	}
	var families zeroconf.IPType
	join := func(i *net.Interface, family zeroconf.IPType, network string, group net.IP) {
		conn, err := net.ListenMulticastUDP(network, i, &net.UDPAddr{IP: group, Port: 5353})
		if err != nil {
			return
		}
		families |= family
		conn.Close()
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagMulticast != 0 {
			join(&i, zeroconf.IPv4, "udp4", net.IPv4(224, 0, 0, 251))
			join(&i, zeroconf.IPv6, "udp6", net.ParseIP("ff02::fb"))
		}
	}
	if families == 0 {
		return 0, errNoMulticast
	}
	return families, nil
}

// findJob looks for nodes of a job on the LAN and calls try with one after the other until it returns
// nil; a node that failed is tried again while there is time.
func findJob(ctx context.Context, self peer.ID, job string, wait time.Duration, try func(context.Context, peer.AddrInfo) error) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	arrivals := make(chan peer.AddrInfo, maxFound)
	ended := make(chan error, 1)
	go func() {
		ended <- browse(ctx, self, job, func(p peer.AddrInfo) {
			select {
			case arrivals <- p:
			default: // more nodes than anyone needs
			}
		})
	}()
	defer func() { cancel(); <-ended }()

	retry := time.NewTicker(findRetry)
	defer retry.Stop()
	var known []peer.AddrInfo
	var last error
	for {
		var now []peer.AddrInfo
		select {
		case p := <-arrivals:
			now = []peer.AddrInfo{p}
			if len(known) < maxFound {
				known = append(known, p)
			}
		case <-retry.C:
			now = known
		case err := <-ended:
			ended <- nil
			if err != nil {
				return fmt.Errorf("%w: give the address of a node instead", err)
			}
			return notFound(ctx, job, wait, len(known), last)
		}
		for _, p := range now {
			if last = try(ctx, p); last == nil {
				return nil
			}
		}
	}
}

// notFound explains the end of an unsuccessful search.
func notFound(ctx context.Context, job string, wait time.Duration, found int, last error) error {
	switch {
	case !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ctx.Err()
	case found == 0:
		return fmt.Errorf("no node of job %s answered by mDNS within %v: is one running on this LAN? Else give its address", job, wait)
	default:
		return fmt.Errorf("%d nodes of job %s were found by mDNS within %v, none could be joined: %w", found, job, wait, last)
	}
}
