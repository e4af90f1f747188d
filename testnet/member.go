package testnet

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"

	"halos/wan"
)

// member is one node of a testnet before it is started: what it is and where.
type member struct {
	name   string // of its directory: gps, eu-lps, eu-w1
	role   string
	region int // from 1
	listen netip.AddrPort
	late   bool // it joins when the plan of faults says so
}

// Roles as the flag and the records of a node call them.
const (
	roleGPS    = "gps"
	roleLPS    = "lps"
	roleWorker = "worker"
)

// regionName is what region i is called, from 1.
func regionName(i int) string {
	names := []string{"eu", "us", "ap", "sa", "af"}
	if i <= len(names) {
		return names[i-1]
	}
	return "r" + strconv.Itoa(i)
}

// RegionNames are those of the first n regions, at most MaxRegions.
func RegionNames(n int) []string {
	var names []string
	for i := 1; i <= min(n, MaxRegions); i++ {
		names = append(names, regionName(i))
	}
	return names
}

// plan lists the members in the order of their start: the GPS in region 1, an LPS
// in each region, the workers. The ports are left open.
func plan(regions, workers int) []member {
	place := func(name, role string, region int) member {
		return member{name: name, role: role, region: region, listen: netip.AddrPortFrom(regionHost(region), 0)}
	}
	members := []member{place("gps", roleGPS, 1)}
	for r := 1; r <= regions; r++ {
		members = append(members, place(regionName(r)+"-lps", roleLPS, r))
	}
	for r := 1; r <= regions; r++ {
		for w := 1; w <= workers; w++ {
			members = append(members, place(fmt.Sprintf("%s-w%d", regionName(r), w), roleWorker, r))
		}
	}
	return members
}

// portTable tells the regions of members by their ports.
func portTable(members []member) Ports {
	table := make(Ports, len(members))
	for _, m := range members {
		table[m.listen.Port()] = m.region
	}
	return table
}

// environment is what all members of one testnet are told alike.
type environment struct {
	dir     string
	links   wan.Links // that a member shapes itself
	netns   bool      // it shapes none: its kernel's connections go over a wan.Network
	ports   string    // the table's file, empty without one
	threads int       // of a worker
	further []string
}

// args are the arguments of the program that make it m. The GPS starts the job, the
// others join it at the node with address at.
func (e environment) args(m member, at string) []string {
	command := []string{"join"}
	if m.role == roleGPS {
		command = []string{"run", "--job", filepath.Join(e.dir, manifestFile)}
	}
	args := append(command,
		"--role", m.role,
		"--region", regionName(m.region),
		"--dir", filepath.Join(e.dir, m.name),
		"--listen", listenAddr(m.listen),
		"--supervised",
	)
	args = append(args, e.linkArgs(m)...)
	if m.role == roleWorker {
		args = append(args, "--threads", strconv.Itoa(e.threads))
	}
	args = append(args, e.further...)
	if m.role != roleGPS {
		args = append(args, at)
	}
	return args
}

// linkArgs are the arguments that tell m how it reaches other regions.
func (e environment) linkArgs(m member) []string {
	if e.netns {
		quic := fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", m.listen.Addr(), m.listen.Port())
		return []string{"--listen", quic, "--no-mdns"}
	}
	args := []string{"--link-default", e.links.Default.String()}
	for _, own := range e.links.Own() {
		args = append(args, "--link-pair", own)
	}
	if e.ports != "" {
		args = append(args, "--link-ports", e.ports)
	}
	return args
}
