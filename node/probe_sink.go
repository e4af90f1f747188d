package node

import (
	"errors"
	"fmt"
	"math"

	"halos/optim"
	"halos/roles"
	"halos/tensor"
)

// fade is what a sink multiplies its model by for each version it sends, so that no
// two are equal.
const fade = 1 - 1./1024

// probeSink is the machine in the place of a GPS: it applies every delta of its one client
// as a GPS does, says at once that it is durable, and has a newer model for every
// Follow.
type probeSink struct {
	client string // peer id of who may say hello
	term   roles.Term
	params []float32              // [n]
	opt    *optim.DelayedNesterov // nil where models are measured

	session uint64
	decided uint64
	version uint64
}

// newSink makes the sink of a node.
func newSink(n *Node, ask probeAsk) *probeSink {
	s := &probeSink{
		client: ask.from.String(), term: roles.Term{Counter: n.start, Leader: n.self}, params: make([]float32, n.params),
	}
	if ask.Path == ProbeDelta {
		s.opt = optim.NewDelayedNesterov(n.job.GPS, n.params)
	}
	noise(s.params, 1)
	if s.opt != nil { // a GPS has used its memory before
		clear(s.opt.M)
		clear(s.opt.D)
	}
	return s
}

// vectors are the bytes of the vectors that a GPS would hold: model and the copy of it
// that is sent, and where it takes deltas in, momentum, the sum of deltas, and the one
// being applied.
func (s *probeSink) vectors() uint64 {
	if s.opt == nil {
		return 4 * uint64(2*len(s.params))
	}
	return 4 * uint64(5*len(s.params))
}

// Step answers the client.
func (s *probeSink) Step(ev roles.Event) []roles.Action {
	switch ev := ev.(type) {
	case roles.Hello:
		return s.hello(ev)
	case roles.Delta:
		return s.delta(ev)
	case roles.Follow:
		tensor.Scale(s.params, fade)
		s.version++
		return []roles.Action{roles.Model{
			Client: ev.Client, ID: roles.ModelID{Term: s.term, Version: s.version}, Contains: s.decided, Params: s.params,
		}}
	}
	return nil
}

func (s *probeSink) hello(ev roles.Hello) []roles.Action {
	if ev.Peer != s.client {
		return []roles.Action{roles.Reject{
			Client: ev.Client, Peer: ev.Peer, Reason: roles.ReasonTaken, Detail: "a measurement of another node is under way",
		}}
	}
	if s.session = ev.Session; s.session == 0 {
		s.session = 1
	}
	return []roles.Action{roles.Welcome{
		Client: ev.Client, Term: s.term, Session: s.session, Decided: s.decided, Durable: s.decided,
	}}
}

// delta gives d its verdict.
func (s *probeSink) delta(d roles.Delta) []roles.Action {
	m := roles.Marks{Client: d.Client, Session: s.session}
	switch {
	case d.Seq > s.decided+1:
		m.Want = s.decided + 1
	case d.Seq == s.decided+1:
		s.decided = d.Seq
		if reason := s.check(d); reason != "" {
			m.Refused = []roles.Refusal{{Seq: d.Seq, Reason: reason}}
			break
		}
		s.opt.Step(s.params, d.Values)
		s.version++
	}
	m.Decided, m.Durable = s.decided, s.decided
	return []roles.Action{m}
}

func (s *probeSink) check(d roles.Delta) string {
	switch {
	case s.opt == nil:
		return "models are measured here"
	case len(d.Values) != len(s.params):
		return fmt.Sprintf("%d elements, the model has %d", len(d.Values), len(s.params))
	case math.IsNaN(d.Norm) || math.IsInf(d.Norm, 0):
		return "values that are not finite"
	}
	return ""
}

// noise fills x with values between -1/1024 and 1/1024 that no encoding makes
// shorter, others for each seed.
func noise(x []float32, seed uint64) {
	state := seed
	for i := range x {
		state = state*6364136223846793005 + 1442695040888963407
		x[i] = float32(int32(state>>32)) / (1 << 41)
	}
}

// errRefused says that the other end did not take a delta.
var errRefused = errors.New("refused by the server")
