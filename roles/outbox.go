package roles

import (
	"slices"

	"halos/data"
	"halos/tensor"
)

// outbox is the half of a worker or an LPS that produces deltas for a server. It
// names them and keeps each until the server's durable mark has passed it.
type outbox struct {
	client  string
	session uint64
	next    uint64 // seq of the next delta, from 1
	entries []entry
	window  int // entries it holds before unsent ones coalesce

	welcome bool // the server knows us
	leaving bool
	silent  int // ticks since the server last decided anything, or since a send
}

// entry is one delta on its way.
type entry struct {
	Delta
	sealed  bool // may leave: the state that holds it is durable where that is needed
	sent    bool // since the last hello
	refused bool
}

// add names a delta and takes it over. With the window full and the newest entry
// never sent, d is folded into that entry instead and gets no name of its own.
func (o *outbox) add(d Delta, sealed bool) (Name, []Action) {
	if n := len(o.entries); n >= o.window && !o.entries[n-1].sent && o.entries[n-1].sealed {
		o.entries[n-1].fold(d)
		return o.entries[n-1].Name, nil
	}
	d.Name = Name{Client: o.client, Session: o.session, Seq: o.next}
	o.next++
	o.entries = append(o.entries, entry{Delta: d, sealed: sealed})
	return d.Name, []Action{Named{Name: d.Name, Steps: d.Steps, Samples: d.Samples.Clone()}}
}

// fold adds a later delta to e.
func (e *entry) fold(d Delta) {
	total := float32(e.Steps + d.Steps)
	e.Loss = (e.Loss*float32(e.Steps) + d.Loss*float32(d.Steps)) / total
	e.Steps += d.Steps
	e.Samples.AddAll(d.Samples)
	tensor.Add(e.Values, d.Values)
	e.Norm = tensor.Norm(e.Values)
}

// send sends, in order, the sealed entries that have not been sent, as far as the
// window reaches.
func (o *outbox) send() []Action {
	if !o.welcome {
		return nil
	}
	var acts []Action
	for i := range min(len(o.entries), o.window) {
		e := &o.entries[i]
		if !e.sealed {
			break
		}
		if !e.sent && !e.refused {
			e.sent = true
			o.silent = 0
			acts = append(acts, e.Delta)
		}
	}
	return acts
}

// hello says what the outbox holds; leases are the samples the client works on.
func (o *outbox) hello(peer string, base ModelID, leases data.Intervals) Hello {
	h := Hello{Client: o.client, Peer: peer, Session: o.session, Next: o.next, Oldest: o.next, Base: base, Leases: leases}
	if len(o.entries) > 0 {
		h.Oldest = o.entries[0].Seq
	}
	for _, e := range o.entries {
		h.Leases.AddAll(e.Samples)
	}
	return h
}

// welcomed takes the server's answer to the hello: what it has decided is not sent
// again, the rest is.
func (o *outbox) welcomed(w Welcome) []Action {
	o.welcome = true
	o.silent = 0
	if o.session == 0 {
		o.session = w.Session
	}
	for i := range o.entries {
		o.entries[i].sent = o.entries[i].Seq <= w.Decided
	}
	acts := o.release(w.Durable)
	if o.leaving {
		acts = append(acts, Leaving{Client: o.client})
	}
	return append(acts, o.send()...)
}

// marks takes the server's verdicts.
func (o *outbox) marks(m Marks) []Action {
	if m.Session != o.session {
		return nil
	}
	o.silent = 0
	for _, r := range m.Refused {
		if i := o.index(r.Seq); i >= 0 {
			o.entries[i].refused = true
		}
	}
	if m.Want > 0 {
		for i := range o.entries {
			if o.entries[i].Seq >= m.Want {
				o.entries[i].sent = false
			}
		}
	}
	acts := o.release(m.Durable)
	return append(acts, o.send()...)
}

// release drops the entries that are durable at the server.
func (o *outbox) release(durable uint64) []Action {
	var acts []Action
	for len(o.entries) > 0 && o.entries[0].Seq <= durable {
		acts = append(acts, Released{Name: o.entries[0].Name})
		o.entries = slices.Delete(o.entries, 0, 1)
	}
	return acts
}

// tick sends again what the server has been silent about for long.
func (o *outbox) tick() []Action {
	if !o.welcome || len(o.entries) == 0 {
		return nil
	}
	o.silent++
	if o.silent < resendAfter {
		return nil
	}
	o.silent = 0
	for i := range o.entries {
		o.entries[i].sent = false
	}
	return o.send()
}

// lost notes that the server is out of reach.
func (o *outbox) lost() { o.welcome = false }

func (o *outbox) index(seq uint64) int {
	return slices.IndexFunc(o.entries, func(e entry) bool { return e.Seq == seq })
}

// subtract takes from params the deltas after seq that the server will apply: what
// the client has learned and a model that contains its deltas up to seq has not.
func (o *outbox) subtract(params []float32, seq uint64) {
	for _, e := range o.entries {
		if e.Seq > seq && !e.refused {
			tensor.Axpy(params, -1, e.Values)
		}
	}
}

// drained reports that nothing is left to lose.
func (o *outbox) drained() bool { return len(o.entries) == 0 }
