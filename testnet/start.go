package testnet

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// startLimit is how long a process may take until it listens, on a machine that
// starts all the others too.
const startLimit = 60 * time.Second

// advance starts every member whose turn has come and reports whether all are up:
// an LPS joins at the GPS, a worker at its region's LPS.
func (n *network) advance() (bool, error) {
	up := true
	for i, m := range n.members {
		p := n.processes[i]
		if p == nil && m.late {
			continue
		}
		if p == nil {
			at := n.contact(m)
			if m.role != roleGPS && (at == nil || !at.up()) {
				up = false
				continue
			}
			var err error
			if p, err = n.start(i, at); err != nil {
				return false, err
			}
		}
		if err := n.checkStart(p); err != nil {
			return false, err
		}
		up = up && p.up()
	}
	if err := n.checkAlive(); err != nil {
		return false, err
	}
	return up, nil
}

// contact is the process at which m joins, nil while it is not started and for the
// GPS. The members begin with the GPS and the LPS of each region.
func (n *network) contact(m member) *process {
	switch m.role {
	case roleGPS:
		return nil
	case roleLPS:
		return n.processes[0]
	default:
		return n.processes[m.region]
	}
}

// start starts member i, which joins at another one, or starts it again.
func (n *network) start(i int, at *process) (*process, error) {
	m := n.members[i]
	var addr string
	if at != nil {
		var err error
		if addr, err = at.addr(); err != nil {
			return nil, err
		}
	}
	dir := filepath.Join(n.env.dir, m.name)
	p, err := start(n.launcher(m), n.config.Binary, m, n.env.args(m, addr), dir, n.exits)
	if err != nil {
		return nil, err
	}
	if last := n.processes[i]; last != nil {
		p.journal, p.before = last.journal, last.journal.starts
		delete(n.limits, last)
	} else {
		p.journal = n.tally.follow(p.metrics())
	}
	n.processes[i] = p
	n.limits[p] = time.Now().Add(n.config.startLimit)
	return p, nil
}

// checkStart says what went wrong with a process that is not up.
func (n *network) checkStart(p *process) error {
	switch {
	case p.up():
		return nil
	case p.ended && p.fault != nil:
		return fmt.Errorf("start of the testnet: %w", p.fault)
	case p.ended:
		return fmt.Errorf("start of the testnet: %s ended before it listened (log %s)", p.name, p.log())
	case time.Now().After(n.limits[p]):
		last := strings.Join(p.lastLines(1), "")
		return fmt.Errorf("start of the testnet: %s does not listen after %v; it last printed %q (log %s)", p.name, n.config.startLimit, last, p.log())
	}
	return nil
}

// checkAlive says why the job cannot go on: the GPS has failed, or no region has
// both its LPS and a worker left.
func (n *network) checkAlive() error {
	failed := func(p *process) bool { return p != nil && p.fault != nil }
	if failed(n.processes[0]) {
		return n.processes[0].fault
	}
	var faults []error
	for i, m := range n.members {
		p := n.processes[i]
		if m.role == roleWorker && !failed(p) && !failed(n.contact(m)) {
			return nil
		}
		if failed(p) {
			faults = append(faults, p.fault)
		}
	}
	return fmt.Errorf("no region has both its lps and a worker left: %w", errors.Join(faults...))
}

// over reports whether the job has ended by itself, which the GPS's end says.
func (n *network) over() (bool, error) {
	if err := n.checkAlive(); err != nil {
		return false, err
	}
	return n.processes[0].ended, nil
}
