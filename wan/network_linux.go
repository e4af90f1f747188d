package wan

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Network joins regions, each a network namespace of its own, by emulated links. The
// kernel's sockets inside have the buffers that such links take. Regions are named as
// in New: to ask for another is a bug and panics.
type Network struct {
	links   Links
	regions []*region
	ways    map[string]map[string]*direction // by the regions' names, from and to
	alarms  []*alarm
	started time.Time

	running sync.WaitGroup
	closing sync.Once
	mu      sync.Mutex
	faults  []error // of the goroutines
}

// region is one end of the links.
type region struct {
	name      string
	addr      netip.Addr
	namespace *os.File
	tun       *os.File
}

// New makes a network of regions. All that is drawn follows from the seed. It changes
// nothing outside of the new namespaces, and must be closed. The error is
// ErrUnavailable where this system or user cannot have one.
func New(regions []string, links Links, seed uint64) (*Network, error) {
	if err := checkRegions(regions, links); err != nil {
		return nil, err
	}
	n := &Network{links: links, ways: make(map[string]map[string]*direction), started: time.Now()}
	for i, name := range regions {
		r, err := newRegion(name, hostOf(i+1), links.whole(name, regions))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("region %s: %w", name, err), n.Close())
		}
		n.regions = append(n.regions, r)
	}
	if err := n.connect(seed); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	for _, r := range n.regions {
		n.running.Go(func() { n.read(r) })
	}
	return n, nil
}

// newRegion makes the namespace of a region and what is in it.
func newRegion(name string, addr netip.Addr, whole bool) (*region, error) {
	r := &region{name: name, addr: addr}
	var err error
	r.namespace, err = newNamespace(func() (err error) {
		if err := growBuffers(); err != nil {
			return err
		}
		r.tun, err = openTUN(addr, whole)
		return err
	})
	return r, err
}

// connect makes the links and what carries packets over them.
func (n *Network) connect(seed uint64) error {
	for i, from := range n.regions {
		n.ways[from.name] = make(map[string]*direction)
		for k, to := range n.regions {
			if i == k {
				continue
			}
			a, err := newAlarm()
			if err != nil {
				return err
			}
			n.alarms = append(n.alarms, a)
			rng := rand.New(rand.NewPCG(seed, uint64(i*MaxRegions+k)))
			d := newDirection(path{link: n.links.Of(from.name, to.name), rng: rng})
			n.ways[from.name][to.name] = d
			n.running.Go(func() { n.deliver(d, to.tun, a) })
		}
	}
	return nil
}

// Addr is where the processes of a region listen, and what they are reached by.
func (n *Network) Addr(region string) netip.Addr { return n.region(region).addr }

// region finds a region by its name.
func (n *Network) region(name string) *region {
	for _, r := range n.regions {
		if r.name == name {
			return r
		}
	}
	panic(fmt.Sprintf("wan: no region %q in this network", name))
}

// Do runs f on a thread inside a region: what sockets it makes, and what it reads
// under /proc/sys/net, are the region's. Goroutines that f starts are not inside.
func (n *Network) Do(region string, f func() error) error {
	return inside(enter(n.region(region).namespace), f)
}

// Start starts a command inside a region.
func (n *Network) Start(region string, cmd *exec.Cmd) error { return n.Do(region, cmd.Start) }

// Cut makes the link between two regions drop everything. Nobody is told.
func (n *Network) Cut(a, b string) { n.setCut(a, b, true) }

// Mend makes a link that was cut carry again.
func (n *Network) Mend(a, b string) { n.setCut(a, b, false) }

func (n *Network) setCut(a, b string, cut bool) {
	n.way(a, b).setCut(cut)
	n.way(b, a).setCut(cut)
}

// Count is what the link has done from one region to another.
func (n *Network) Count(from, to string) Count { return n.way(from, to).counted() }

// way is the direction between two regions, which are not the same.
func (n *Network) way(from, to string) *direction {
	d := n.ways[n.region(from).name][n.region(to).name]
	if d == nil {
		panic(fmt.Sprintf("wan: no link from region %q to itself", from))
	}
	return d
}

// Close ends the network and returns what went wrong while it ran. Processes inside
// go on without links. It may be called again.
func (n *Network) Close() error {
	n.closing.Do(func() {
		for _, r := range n.regions {
			_ = r.tun.Close() // no data waits in it
			_ = r.namespace.Close()
		}
		for _, ways := range n.ways {
			for _, d := range ways {
				d.close()
			}
		}
		for _, a := range n.alarms {
			_ = a.Close()
		}
		n.running.Wait()
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	return errors.Join(n.faults...)
}
