package testnet

import (
	"fmt"
	"net/netip"
	"os/exec"

	"halos/wan"
)

const (
	// netnsPort is that of the first process in namespaces, where all ports are free.
	netnsPort = 4001
	// netnsSeed draws what the links lose. Which packets these are differs between
	// runs all the same.
	netnsSeed = 1
)

// emulate makes the network namespaces of the regions and the links between them, or
// nothing where c does not want them.
func emulate(c Config) (*wan.Network, error) {
	if !c.Netns {
		return nil, nil
	}
	n, err := wan.New(RegionNames(c.Regions), c.Links, netnsSeed)
	if err != nil {
		return nil, fmt.Errorf("--netns: %w; without --netns the links are emulated for TCP alone, by anybody", err)
	}
	return n, nil
}

// useNamespaces places the members there: those of a region share its address and
// differ by their ports.
func (n *network) useNamespaces() {
	for i := range n.members {
		m := &n.members[i]
		m.listen = netip.AddrPortFrom(n.wan.Addr(regionName(m.region)), netnsPort+uint16(i))
	}
}

// launcher starts commands where the processes of m run.
func (n *network) launcher(m member) func(*exec.Cmd) error {
	if n.wan == nil {
		return (*exec.Cmd).Start
	}
	return func(cmd *exec.Cmd) error { return n.wan.Start(regionName(m.region), cmd) }
}

// describeLinks says what the processes' connections go over.
func (n *network) describeLinks() error {
	if n.wan == nil {
		n.display.note("links %v", n.config.Links)
		return nil
	}
	settings, err := n.wan.Settings()
	if err != nil {
		return fmt.Errorf("settings of the kernel: %w", err)
	}
	n.display.note("links in network namespaces %v", n.config.Links)
	n.display.note("kernel %v", settings)
	return nil
}

// close ends the emulated links. The processes are gone.
func (n *network) close() error {
	if n.wan == nil {
		return nil
	}
	if err := n.wan.Close(); err != nil {
		return fmt.Errorf("emulated links: %w", err)
	}
	return nil
}
