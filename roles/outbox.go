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
	window  int // entries that may be on their way; what comes on top coalesces

	welcome bool   // the server knows us
	leaving bool   // no delta will follow
	decided uint64 // the server's verdicts, as far as they are known here
	wanted  uint64 // seq it last asked for again
	silent  int    // ticks since it owes a verdict and has given none
}

// entry is one delta on its way.
type entry struct {
	Delta
	sealed  bool // may leave: the state that holds it is durable where that is needed
	sent    bool // on this connection, or decided: after a welcome all that had left leaves again at once
	refused bool
}

// add names a delta and takes it over. With the window full and the newest entry
// still here, a sealed d is folded into that entry instead and gets no name of its
// own.
func (o *outbox) add(d Delta, sealed bool) (Name, []Action) {
	if n := len(o.entries); sealed && n > 0 && n >= o.window && !o.entries[n-1].sent {
		o.entries[n-1].fold(d)
		return o.entries[n-1].Name, nil
	}
	d.Name = Name{Client: o.client, Session: o.session, Seq: o.next}
	o.next++
	o.entries = append(o.entries, entry{Delta: d, sealed: sealed})
	return d.Name, []Action{Named{Name: d.Name, Steps: d.Steps, Samples: d.Samples.Clone()}}
}

// crowded reports that the newest delta has grown by so many others that it should not
// grow for ever: the server has been unable to make anything durable for very long.
func (o *outbox) crowded() bool {
	n := len(o.entries)
	return n > 0 && len(o.entries[n-1].Samples) >= maxFolds
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
		if !e.sent {
			e.sent = true
			o.silent = 0
			acts = append(acts, e.Delta)
		}
	}
	return acts
}

// again makes send repeat the entries from seq on.
func (o *outbox) again(seq uint64) {
	o.silent = 0
	for i := range o.entries {
		if o.entries[i].Seq >= seq {
			o.entries[i].sent = false
		}
	}
}

// hello says what the outbox holds; leases are the samples the client works on.
func (o *outbox) hello(peer string, base ModelID, leases data.Intervals) Hello {
	o.lost()
	h := Hello{Client: o.client, Peer: peer, Session: o.session, Next: o.next, Oldest: o.next, Base: base, Leases: leases}
	if len(o.entries) > 0 {
		h.Oldest = o.entries[0].Seq
	}
	h.Leases.AddAll(o.samples(0))
	return h
}

// samples are those of the deltas after seq.
func (o *outbox) samples(seq uint64) data.Intervals {
	var set data.Intervals
	for _, e := range o.entries {
		if e.Seq > seq {
			set.AddAll(e.Samples)
		}
	}
	return set
}

// welcomed takes the server's answer to the hello: what it has decided is not sent
// again, the rest is, for a server that was put back to an earlier state takes back
// its verdicts.
func (o *outbox) welcomed(w Welcome) []Action {
	o.welcome = true
	o.decided, o.wanted, o.silent = w.Decided, 0, 0
	if o.session == 0 {
		o.session = w.Session
	}
	for i := range o.entries {
		e := &o.entries[i]
		e.sent = e.Seq <= w.Decided
		e.refused = e.refused && e.sent
	}
	acts := o.release(w.Durable)
	if o.leaving {
		acts = append(acts, Leaving{Client: o.client})
	}
	return append(acts, o.send()...)
}

// marks takes the server's verdicts. Each delta behind a gap asks for the gap: one
// answer is enough.
func (o *outbox) marks(m Marks) []Action {
	if m.Session != o.session {
		return nil
	}
	if m.Decided > o.decided {
		o.decided, o.silent = m.Decided, 0
	}
	for _, r := range m.Refused {
		if i := o.index(r.Seq); i >= 0 {
			o.entries[i].refused = true
		}
	}
	if m.Want > 0 && m.Want != o.wanted {
		o.wanted = m.Want
		o.again(m.Want)
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

// tick sends again what the server owes a verdict for and has been silent about for
// long.
func (o *outbox) tick() []Action {
	owed := func(e entry) bool { return e.sent && e.Seq > o.decided }
	if !o.welcome || !slices.ContainsFunc(o.entries, owed) {
		o.silent = 0
		return nil
	}
	o.silent++
	if o.silent < resendAfter {
		return nil
	}
	o.wanted = 0
	o.again(o.decided + 1)
	return o.send()
}

// leave says good-bye, once.
func (o *outbox) leave() []Action {
	if o.leaving {
		return nil
	}
	o.leaving = true
	if !o.welcome {
		return nil // the next welcome is answered with it
	}
	return []Action{Leaving{Client: o.client}}
}

// lost notes that the server is out of reach.
func (o *outbox) lost() { o.welcome = false }

func (o *outbox) index(seq uint64) int {
	return slices.IndexFunc(o.entries, func(e entry) bool { return e.Seq == seq })
}

// waits reports that the delta named seq is on its way, so that an answer will come.
func (o *outbox) waits(seq uint64) bool {
	i := o.index(seq)
	return o.welcome && i >= 0 && o.entries[i].sent
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
