package roles

import (
	"fmt"

	"halos/data"
	"halos/tensor"
)

// State is everything a server must find again after a restart. Its vectors are the
// role's own buffers: copy or write them before the next Step.
type State struct {
	Server ServerState  `json:"server"`
	Region *RegionState `json:"region,omitempty"` // of an LPS

	Params  []float32 `json:"-"` // [n]
	Vectors []Vector  `json:"-"` // momentum, accumulators, deltas on their way
}

// Vector is a named part of a State.
type Vector struct {
	Name   string
	Values []float32 // [n]
}

// ServerState is the server half: marks, ledger, counters.
type ServerState struct {
	Version   uint64                    `json:"version"`
	Arrivals  uint64                    `json:"arrivals"` // deltas the optimizer has taken
	Clients   map[string]ClientState    `json:"clients"`
	Free      data.Intervals            `json:"free"`
	Leased    map[string]data.Intervals `json:"leased"`
	Committed data.Intervals            `json:"committed"`
	Handed    uint64                    `json:"handed"` // high-water mark: no sample from it on has been leased
}

// ClientState is one row of the decided table.
type ClientState struct {
	Peer    string `json:"peer"`
	Session uint64 `json:"session"`
	Decided uint64 `json:"decided"`
}

// RegionState is what an LPS holds besides its server half.
type RegionState struct {
	Lineage   uint64         `json:"lineage"`
	Next      uint64         `json:"next"`
	Outbox    []EntryState   `json:"outbox"`
	Flight    uint64         `json:"flight"` // seq of the push whose answer is awaited
	Refused   bool           `json:"refused"`
	Updates   uint64         `json:"updates"`
	Steps     uint64         `json:"steps"`
	Samples   data.Intervals `json:"samples"`
	Loss      float64        `json:"loss"`
	Committed uint64         `json:"committed"`
	Ahead     uint64         `json:"ahead"` // samples in the stocks of the other regions
	Global    ModelID        `json:"global"`
	Ended     bool           `json:"ended"` // the job is complete
}

// EntryState is a delta on its way, without its values.
type EntryState struct {
	Seq     uint64         `json:"seq"`
	Base    ModelID        `json:"base"`
	Steps   uint64         `json:"steps"`
	Samples data.Intervals `json:"samples"`
	Loss    float32        `json:"loss"`
	Refused bool           `json:"refused"`
}

// State returns the GPS's state.
func (g *GPS) State() State { return g.server.state() }

// Restore continues from a state of the same job, whose vectors it copies.
func (g *GPS) Restore(s State) error { return g.server.restore(s) }

// State returns the LPS's state.
func (l *LPS) State() State {
	s := l.server.state()
	s.Vectors = append(s.Vectors, Vector{"base", l.base})
	r := &RegionState{
		Lineage: l.out.session, Next: l.out.next,
		Flight: l.flight.seq, Refused: l.flight.refused, Updates: l.updates,
		Steps: l.done.steps, Samples: l.done.samples.Clone(), Loss: l.done.loss,
		Committed: l.committed, Ahead: l.ahead, Global: l.global, Ended: l.ended,
	}
	for _, e := range l.out.entries {
		r.Outbox = append(r.Outbox, EntryState{e.Seq, e.Base, e.Steps, e.Samples.Clone(), e.Loss, e.refused})
		s.Vectors = append(s.Vectors, Vector{outboxName(e.Seq), e.Values})
	}
	if l.flight.seq != 0 {
		s.Vectors = append(s.Vectors, Vector{"flight", l.flight.values})
	}
	s.Region = r
	return s
}

func outboxName(seq uint64) string { return fmt.Sprintf("outbox.%d", seq) }

// Restore continues from a state of the same job and region, whose vectors it copies.
func (l *LPS) Restore(s State) error {
	r := s.Region
	if r == nil {
		return fmt.Errorf("the snapshot is not of an LPS")
	}
	if err := l.server.restore(s); err != nil {
		return err
	}
	if err := fill(l.base, s, "base"); err != nil {
		return err
	}
	l.out.session, l.out.next, l.out.entries = r.Lineage, r.Next, nil
	for _, e := range r.Outbox {
		values := make([]float32, len(l.params))
		if err := fill(values, s, outboxName(e.Seq)); err != nil {
			return err
		}
		d := Delta{
			Name: Name{l.out.client, r.Lineage, e.Seq}, Base: e.Base, Steps: e.Steps, Samples: e.Samples.Clone(),
			Loss: e.Loss, Norm: tensor.Norm(values), Values: values,
		}
		l.out.entries = append(l.out.entries, entry{Delta: d, sealed: true, refused: e.Refused})
	}
	l.flight = flight{seq: r.Flight, refused: r.Refused}
	if r.Flight != 0 {
		l.flight.values = make([]float32, len(l.params))
		if err := fill(l.flight.values, s, "flight"); err != nil {
			return err
		}
	}
	l.updates, l.committed, l.ahead, l.global, l.ended = r.Updates, r.Committed, r.Ahead, r.Global, r.Ended
	l.done = pending{steps: r.Steps, samples: r.Samples.Clone(), loss: r.Loss}
	return nil
}

func (s *server) state() State {
	st := ServerState{
		Version: s.version, Arrivals: s.opt.T,
		Clients: make(map[string]ClientState, len(s.clients)),
		Leased:  make(map[string]data.Intervals, len(s.ledger.leased)),
		Free:    s.ledger.free.Clone(), Committed: s.ledger.committed.Clone(),
		Handed: s.ledger.handed,
	}
	for name, c := range s.clients {
		st.Clients[name] = ClientState{Peer: c.peer, Session: c.session, Decided: c.decided}
	}
	for name, set := range s.ledger.leased {
		st.Leased[name] = set.Clone()
	}
	return State{Server: st, Params: s.params, Vectors: []Vector{{"momentum", s.opt.M}, {"accumulator", s.opt.D}}}
}

func (s *server) restore(st State) error {
	if len(st.Params) != len(s.params) {
		return fmt.Errorf("the snapshot's model has %d parameters, the job's %d", len(st.Params), len(s.params))
	}
	l, err := st.Server.ledger(s.batch)
	if err != nil {
		return fmt.Errorf("the snapshot's ledger: %w", err)
	}
	copy(s.params, st.Params)
	if err := fill(s.opt.M, st, "momentum"); err != nil {
		return err
	}
	if err := fill(s.opt.D, st, "accumulator"); err != nil {
		return err
	}
	s.opt.T = st.Server.Arrivals
	s.version = st.Server.Version
	s.ledger, s.doubt = l, l.handed+s.reserve*uint64(len(st.Server.Clients))
	s.clients = make(map[string]*client, len(st.Server.Clients))
	for name, c := range st.Server.Clients {
		s.clients[name] = &client{peer: c.Peer, session: c.Session, decided: c.Decided, durable: c.Decided, awaited: true}
	}
	s.ready = true
	return nil
}

// ledger copies the ledger that s holds.
func (s ServerState) ledger(batch int) (ledger, error) {
	l := ledger{free: s.Free.Clone(), leased: make(map[string]data.Intervals, len(s.Leased)), committed: s.Committed.Clone(), handed: s.Handed}
	if !whole(l.free, batch) || !whole(l.committed, batch) {
		return l, fmt.Errorf("samples that are no whole batches of %d", batch)
	}
	for name, set := range s.Leased {
		if !whole(set, batch) {
			return l, fmt.Errorf("lease of %s: samples that are no whole batches of %d", name, batch)
		}
		l.leased[name] = set.Clone()
	}
	return l, nil
}

func fill(dst []float32, s State, name string) error {
	for _, v := range s.Vectors {
		if v.Name == name && len(v.Values) == len(dst) {
			copy(dst, v.Values)
			return nil
		}
	}
	return fmt.Errorf("the snapshot has no vector %q of %d elements", name, len(dst))
}
