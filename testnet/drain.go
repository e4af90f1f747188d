package testnet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// drainLimit is how long workers, then LPSs, then the GPS may take to end after
	// they were asked to: longer than a node waits before it ends undrained, so that
	// it says why.
	drainLimit = 30 * time.Second
	// killLimit is how long the system may take to end a killed process.
	killLimit = 5 * time.Second
)

// end ends all processes after a run that ended for cause, nil if as planned. What
// failed before the training began, or was aborted, is killed.
func (n *network) end(ctx context.Context, cause error) error {
	if errors.Is(cause, ErrAborted) || cause != nil && n.phase == phaseStarting {
		return errors.Join(cause, n.kill(ctx, n.running("")))
	}
	err := n.drain(ctx)
	if errors.Is(err, ErrAborted) {
		err = errors.Join(err, n.kill(ctx, n.running("")))
	}
	if cause == nil {
		cause = n.processes[0].fault
	}
	return errors.Join(cause, err)
}

// drain asks the processes to end, those first that hold what others need to take,
// and kills the ones that do not.
func (n *network) drain(ctx context.Context) error {
	for _, role := range []string{roleWorker, roleLPS, roleGPS} {
		n.phase = "draining " + map[string]string{roleWorker: "workers", roleLPS: "lps", roleGPS: "gps"}[role]
		group := n.running(role)
		for _, p := range group {
			p.drain()
		}
		err := n.await(ctx, group, n.config.drainLimit)
		if errors.Is(err, context.DeadlineExceeded) {
			n.display.note("still running %v after the request to drain: %s; killed", n.config.drainLimit, names(n.running(role)))
			err = n.kill(ctx, n.running(role))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// kill ends processes at once.
func (n *network) kill(ctx context.Context, group []*process) error {
	for _, p := range group {
		p.kill()
	}
	n.config.Abort = nil // there is no harder way
	if err := n.await(ctx, group, killLimit); err != nil {
		return fmt.Errorf("killed, but not gone after %v: %s", killLimit, names(group))
	}
	return nil
}

// await waits until all of the group have ended, for so long.
func (n *network) await(ctx context.Context, group []*process, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return n.until(ctx, func() (bool, error) {
		for _, p := range group {
			if !p.ended {
				return false, nil
			}
		}
		return true, nil
	})
}

// running lists the processes of a role that have not ended; "" is any role.
func (n *network) running(role string) (group []*process) {
	for _, p := range n.processes {
		if p != nil && !p.ended && (role == "" || p.role == role) {
			group = append(group, p)
		}
	}
	return group
}

func names(group []*process) string {
	var all []string
	for _, p := range group {
		all = append(all, p.name)
	}
	return strings.Join(all, ", ")
}
