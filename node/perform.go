package node

import (
	"halos/roles"
)

// perform does what a role wants done. Messages go to the other half, here or on the
// network; the rest is for the trainer, the disk and the records. from is the
// connection of the hello that is being answered.
func (n *Node) perform(r role, acts []roles.Action, from *clientConn) {
	for _, a := range acts {
		n.report.action(n, r, a)
		switch a := a.(type) {
		case roles.Hello, roles.Delta, roles.Follow, roles.Ask, roles.Return, roles.Leaving:
			n.toServer(n.tierBelow(r), a)
		case roles.Welcome:
			n.welcome(r, a, from)
		case roles.Reject:
			n.reject(r, a, from)
		case roles.Marks:
			n.toClient(r, a.Client, a)
		case roles.Grant:
			n.toClient(r, a.Client, a)
		case roles.Ended:
			n.toClient(r, a.Client, a)
		case roles.Model:
			n.publish(r, a)
		case roles.Train:
			n.trainer.start(a)
		case roles.StopTraining:
			n.trainer.interrupt()
		case roles.Snapshot:
			n.snapshot(r, a.ID)
		case roles.Finished:
			n.finish(r, a)
		}
	}
}

// tierBelow is the tier in which r is a client.
func (n *Node) tierBelow(r role) tier {
	if r == worker {
		return regionTier
	}
	return globalTier
}

// tierAbove is the tier in which r is the server.
func tierAbove(r role) tier {
	if r == lps {
		return regionTier
	}
	return globalTier
}

// toServer carries a client half's message to its server.
func (n *Node) toServer(t tier, a roles.Action) {
	if n.serves(t) {
		if ev, ok := a.(roles.Event); ok {
			n.local = append(n.local, func() { n.step(t.server(), ev, nil) })
		}
		return
	}
	if c := n.up[t]; c != nil {
		c.send(a)
	}
}

// toClient carries a server half's message to one of its clients.
func (n *Node) toClient(r role, client string, a roles.Action) {
	t := tierAbove(r)
	if n.isLocal(t, client) {
		if ev, ok := a.(roles.Event); ok {
			n.local = append(n.local, func() { n.step(t.client(), ev, nil) })
		}
		return
	}
	if c := n.down[t].conn(client); c != nil {
		c.send(toClientMessage(a))
	}
}

// publish sends the model of a server to one client. A role of this node copies it
// at once, for the next Step of the server may change it.
func (n *Node) publish(r role, m roles.Model) {
	t := tierAbove(r)
	if n.isLocal(t, m.Client) {
		machine := n.machines[t.client()]
		if machine == nil {
			return
		}
		acts := machine.Step(m)
		n.local = append(n.local, func() { n.perform(t.client(), acts, nil) })
		return
	}
	if c := n.down[t].conn(m.Client); c != nil && c.models != nil {
		c.models.offer(n.down[t].encoded(m), m)
	}
}

func (n *Node) welcome(r role, w roles.Welcome, from *clientConn) {
	t := tierAbove(r)
	if from == nil {
		n.local = append(n.local, func() { n.step(t.client(), w, nil) })
		return
	}
	n.down[t].register(from, w)
	n.seat(t, from)
	from.send(toClientMessage(w))
}

func (n *Node) reject(r role, a roles.Reject, from *clientConn) {
	if from == nil {
		t := tierAbove(r)
		n.local = append(n.local, func() { n.step(t.client(), a, nil) })
		return
	}
	n.log.Warn("client turned away", "client", a.Client, "peer", a.Peer, "reason", a.Reason, "detail", a.Detail)
	from.send(toClientMessage(a))
	from.finish()
}

// serves reports that this node holds the server of tier t for its own client of it.
func (n *Node) serves(t tier) bool { return n.down[t] != nil }

// isLocal reports that the named client of tier t is a role of this node.
func (n *Node) isLocal(t tier, client string) bool {
	return n.machines[t.client()] != nil && client == n.clientName(t)
}

// clientName is how this node's client of tier t is called.
func (n *Node) clientName(t tier) string {
	if t == regionTier {
		return n.self
	}
	return n.cfg.Region
}
