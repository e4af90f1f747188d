package testnet

import "sync"

// gate lets the bytes of all connections to one region through, or holds them, as a
// link does whose line is cut: nothing is lost that the ends would not send again, and
// neither end is told. The zero gate is open.
type gate struct {
	mu   sync.Mutex
	open chan struct{} // closed when the gate opens again; nil while it is open
}

// shut holds what arrives from now on.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil {
		g.open = make(chan struct{})
	}
}

// lift lets everything through again.
func (g *gate) lift() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open != nil {
		close(g.open)
		g.open = nil
	}
}

// wait returns true once the gate is open, or false when done is closed before that.
func (g *gate) wait(done <-chan struct{}) bool {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	if open == nil {
		return true
	}
	select {
	case <-open:
		return true
	case <-done:
		return false
	}
}
