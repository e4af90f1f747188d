package wan

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// grain is the least that a direction sleeps: what is due by then is written in one
// go. A stream of packets is late by half of it on average.
const grain = 200 * time.Microsecond

// now is the time on the clock of all paths.
func (n *Network) now() time.Duration { return time.Since(n.started) }

// read takes what the processes of a region send and lets it into the links, until
// the network is closed.
func (n *Network) read(from *region) {
	ways := make([]*direction, 256) // by the region's number in the address
	for _, to := range n.regions {
		ways[to.addr.As4()[2]] = n.ways[from.name][to.name]
	}
	frame := make([]byte, maxFrame)
	for {
		size, err := from.tun.Read(frame)
		if err != nil {
			n.fail(fmt.Errorf("read from region %s: %w", from.name, err))
			return
		}
		if to, ok := destination(frame[:size]); ok && ways[to] != nil {
			ways[to].put(n.now(), frame[:size])
		} // else multicast or IPv6, which lead nowhere
	}
}

// deliver hands over what arrives on d, until the network is closed. What the kernel
// does not take is lost; the first time is noted.
func (n *Network) deliver(d *direction, to *os.File, a *alarm) {
	for failed := false; ; {
		frame, wait, ok := d.next(n.now)
		if !ok {
			return
		}
		if wait > 0 {
			if err := a.sleep(max(wait, grain)); err != nil {
				n.fail(err)
				return
			}
			continue
		}
		if _, err := to.Write(frame); err != nil && !failed {
			n.fail(fmt.Errorf("deliver a packet of %d bytes: %w", len(frame)-virtioHead, err))
			failed = true
		}
		d.done()
	}
}

// fail notes what went wrong, unless it is the end.
func (n *Network) fail(err error) {
	if errors.Is(err, os.ErrClosed) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults = append(n.faults, err)
}
