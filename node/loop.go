package node

import (
	"context"
	"fmt"
	"time"

	"halos/roles"
)

// eventQueue bounds the events that wait for the loop. Streams block when it is
// full, which slows the peers down; a server with 64 clients fits a round of them.
const eventQueue = 256

// event is one input of a role.
type event struct {
	to   role
	ev   roles.Event
	from *clientConn  // a client's message came over it
	up   *serverConn  // a server's message came over it
	on   *modelStream // a Follow came over it
	done func()       // called after the Step: buffers that ev borrows
}

// post hands the loop an event. It blocks while the loop is behind and reports false
// once the node stops.
func (n *Node) post(e event) bool {
	select {
	case n.events <- e:
		return true
	case <-n.stopped:
	}
	if e.done != nil {
		e.done()
	}
	return false
}

// call runs f on the loop and waits for it. It reports false, with f not run, once
// the node stops.
func (n *Node) call(f func()) bool {
	done := make(chan struct{})
	select {
	case n.calls <- func() { f(); close(done) }:
	case <-n.stopped:
		return false
	}
	<-done
	return true
}

// callSoon runs f on the loop if that takes it within d, and waits for it. It reports
// whether f was run.
func (n *Node) callSoon(d time.Duration, f func()) bool {
	done := make(chan struct{})
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case n.calls <- func() { f(); close(done) }:
		<-done
		return true
	case <-late.C:
	case <-n.stopped:
	}
	return false
}

// loop owns the roles: every event passes through it, one at a time. It returns when
// all roles have finished, when ctx ends, or with the fault that makes going on
// pointless.
func (n *Node) loop(ctx context.Context) error {
	defer close(n.stopped)
	n.evaluate(ctx)
	n.flush()
	tick := time.NewTicker(time.Second / roles.TicksPerSecond)
	defer tick.Stop()
	drain := n.drain
	for n.fault == nil && n.left > 0 {
		select {
		case e := <-n.events:
			n.handle(e)
		case f := <-n.calls:
			f()
		case <-tick.C:
			n.ticks(ctx)
		case <-drain:
			drain = nil
			n.startDrain()
		case err := <-n.faults:
			n.fault = err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		n.flush()
	}
	n.finalLoss(ctx)
	return n.fault
}

// handle passes an event to its role, unless it comes from a connection that has
// been replaced since.
func (n *Node) handle(e event) {
	if e.done != nil {
		defer e.done()
	}
	switch {
	case e.from != nil && !n.admit(e):
		return
	case e.up != nil && n.up[e.up.tier] != e.up:
		return
	case e.on != nil && !n.attach(e):
		return
	}
	if _, welcome := e.ev.(roles.Welcome); welcome && e.to == lps {
		n.contested = time.Time{}
	}
	n.step(e.to, e.ev, e.from)
}

// step advances one role and performs what it wants done.
func (n *Node) step(r role, ev roles.Event, from *clientConn) {
	machine := n.machines[r]
	if machine == nil {
		return
	}
	n.perform(r, machine.Step(ev), from)
}

// flush passes on the messages between roles of this node, which were left over so
// that no role is stepped while its actions are being performed.
func (n *Node) flush() {
	for len(n.local) > 0 {
		next := n.local[0]
		n.local = n.local[1:]
		next()
	}
}

// ticks lets time pass for the roles.
func (n *Node) ticks(ctx context.Context) {
	for r := range roleCount {
		n.step(r, roles.Tick{}, nil)
	}
	n.tickTable()
	n.report.tick(n)
	n.evaluate(ctx)
	if n.draining && n.stuck() {
		n.fault = fmt.Errorf("stopped after %v of draining without progress, before all was delivered: no server took it; what a server here holds is on its disk, what a worker held is lost",
			drainPatience)
	}
}

// startDrain asks the first role in line to finish; its end asks the next.
func (n *Node) startDrain() {
	if n.draining {
		return
	}
	n.draining = true
	n.drained = time.Now()
	n.log.Info("draining", "roles", n.roleNames())
	n.drainNext()
}

// drainNext drains workers before the servers they deliver to.
func (n *Node) drainNext() {
	for r := range roleCount {
		if n.machines[r] != nil {
			n.local = append(n.local, func() { n.step(r, roles.Drain{}, nil) })
			return
		}
	}
}

// finish takes a role that has nothing left to do off the node.
func (n *Node) finish(r role, f roles.Finished) {
	if g, ok := n.machines[r].(*roles.GPS); ok {
		n.final = g.State()
	}
	n.machines[r] = nil
	n.left--
	n.log.Info("role finished", "role", r, "job_ended", f.Ended)
	switch r {
	case worker:
		n.trainer.stop()
		n.leave(regionTier)
	case lps:
		n.closeDown(regionTier)
		n.leave(globalTier)
	case gps:
		n.closeDown(globalTier)
	}
	if f.Diverged {
		n.fault = ErrDiverged
	}
	if n.draining {
		n.drainNext()
	}
}

// closeDown ends the server end of a tier: its clients get what is on its way to
// them and then look for another server.
func (n *Node) closeDown(t tier) {
	n.open[t].Store(nil)
	n.down[t].close()
}

// leave ends the client end of a tier.
func (n *Node) leave(t tier) {
	if n.serves(t) {
		name := n.clientName(t)
		n.local = append(n.local, func() {
			n.step(t.server(), roles.ClientGone{Client: name, Peer: n.self}, nil)
		})
		return
	}
	n.stopUp[t]()
}
