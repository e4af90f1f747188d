package roles

import "halos/tensor"

// push ships base - params once K deltas have been applied, or whatever there is
// when no more will come. One push is in flight at a time.
func (l *LPS) push() []Action {
	if !l.ready || l.flight.seq != 0 || l.done.steps == 0 || l.updates < uint64(l.cfg.K) && !l.last() {
		return nil
	}
	values := make([]float32, len(l.params))
	tensor.Sub(values, l.base, l.params)
	name, acts := l.out.add(Delta{
		Base: l.global, Steps: l.done.steps, Samples: l.done.samples,
		Loss: float32(l.done.loss / float64(l.done.steps)), Norm: tensor.Norm(values), Values: values,
	}, false)
	l.flight = flight{seq: name.Seq, values: values}
	l.done = pending{}
	l.changes++
	if l.cfg.InFlight == Carry {
		l.updates = 0
	}
	l.flight.snapshot = l.snap.last + 1 // one that is running does not hold the push
	return append(acts, l.snapshot()...)
}

// last reports that no worker will add to the next push: the LPS drains, the job has
// no samples left, or the region has no workers.
func (l *LPS) last() bool {
	return l.draining || l.abandoned() || l.exhausted && len(l.ledger.free) == 0 && l.ledger.outstanding() == 0
}

// unseal lets the push go once the state that holds it is durable (output commit):
// after a crash the same bits go out under the same name.
func (l *LPS) unseal(ev SnapshotDone) []Action {
	if l.flight.seq == 0 || ev.Failed || ev.ID < l.flight.snapshot {
		return nil
	}
	i := l.out.index(l.flight.seq)
	if i < 0 || l.out.entries[i].sealed {
		return nil
	}
	l.out.entries[i].sealed = true
	return append(l.out.send(), l.follow()...)
}

// follow gives credit for the model that answers the push, or for the first one.
func (l *LPS) follow() []Action {
	if !l.out.welcome || l.ready && l.flight.seq == 0 {
		return nil
	}
	return []Action{Follow{Client: l.out.client, Contains: l.flight.seq}}
}

// marked takes the verdicts of the GPS. The samples of a push that was refused are
// the GPS's again, and any refusal voids the credit for a model.
func (l *LPS) marked(ev Marks) []Action {
	acts := l.out.marks(ev)
	if len(ev.Refused) == 0 || ev.Session != l.out.session {
		return acts
	}
	for _, r := range ev.Refused {
		l.flight.refused = l.flight.refused || r.Seq == l.flight.seq
	}
	return append(acts, l.follow()...)
}

// answered merges the model that answers the push, once, or takes the first model.
func (l *LPS) answered(m Model) []Action {
	switch {
	case len(m.Params) != len(l.params):
		return nil // the node checks lengths; a model of another shape is never merged
	case !l.ready:
		copy(l.params, m.Params)
		copy(l.base, m.Params)
		l.ready = true
	case l.flight.seq == 0 || m.Contains < l.flight.seq:
		return nil
	default:
		l.merge(m.Params)
	}
	l.version++
	l.changes++
	l.global = m.ID
	l.committed = max(l.committed, m.Committed)
	l.flight = flight{}
	return []Action{Merged{Version: l.version, Global: m.ID}}
}

// merge folds the global model Theta into the region's (HALoS, algorithm 1). A push
// that was refused leaves nothing of itself behind.
//
//	paper: theta = (1-alpha)*theta + alpha*Theta; base = theta
//	carry: r = (1-alpha)*sent + alpha*Theta; theta += r - sent; base = r
func (l *LPS) merge(global []float32) {
	alpha := float32(l.cfg.Alpha)
	if l.flight.refused {
		alpha = 1
	}
	if l.cfg.InFlight == Paper {
		tensor.Lerp(l.params, global, alpha)
		copy(l.base, l.params)
		l.updates = 0
		return
	}
	for i, d := range l.flight.values {
		sent := l.base[i] - d
		r := sent + alpha*(global[i]-sent)
		l.params[i] += r - sent
		l.base[i] = r
	}
}
