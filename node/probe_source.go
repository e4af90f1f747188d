package node

import (
	"fmt"
	"time"

	"halos/data"
	"halos/roles"
	"halos/tensor"
)

const (
	underWay = 2           // deltas on their way at once: while one is sent the next is encoded
	maxAway  = time.Minute // without an exchange, until a server has gone for good
)

// probeSource is the machine in the place of an LPS: it sends deltas, or follows models,
// until the time of the measurement is over.
type probeSource struct {
	ask    probeAsk
	region string
	peer   string
	values []float32     // [n] each delta, or the model that those of the server are merged into
	alpha  float32       // of the merge
	sent   func() uint64 // bytes of deltas published so far
	frame  uint64        // bytes of one
	known  func() bool   // the server's subscription to the topic of deltas is
	ready  func()        // called before the first is sent

	session uint64
	named   uint64 // deltas
	decided uint64
	have    roles.ModelID
	models  int
	broken  int

	away  time.Time // since when there is no exchange with the server, zero while there is
	began time.Time
	over  chan delivery // of one
}

// delivery is what a source has done when its time is over.
type delivery struct {
	transfers int
	took      time.Duration
	broken    int // connections
	err       error
}

// newSource makes the source of a node.
func newSource(n *Node, ask probeAsk, ready func()) *probeSource {
	topic := n.deltaTopic(globalTier)
	s := &probeSource{
		known: func() bool { return len(n.pubsub.ListPeers(topic)) > 0 },
		ask:   ask, region: n.cfg.Region, peer: n.self, values: make([]float32, n.params), alpha: float32(n.job.Alpha),
		sent: func() uint64 { return n.report.topicBytes.Load() }, frame: uint64(n.codec[globalTier].EncodedLen(n.params)), ready: ready,
		away: time.Now(), over: make(chan delivery, 1),
	}
	noise(s.values, 2)
	return s
}

// vectors are the bytes of the vectors that an LPS would hold: the delta or its model,
// the model that has arrived, and the copy that its workers are sent.
func (s *probeSource) vectors() uint64 { return 4 * uint64(3*len(s.values)) }

// Step sends what there is time for.
func (s *probeSource) Step(ev roles.Event) []roles.Action {
	switch ev := ev.(type) {
	case roles.Connected:
		return []roles.Action{roles.Hello{
			Client: s.region, Peer: s.peer, Session: s.session, Next: s.named + 1, Oldest: min(s.decided, s.named) + 1, Base: s.have,
		}}
	case roles.Welcome:
		return s.welcomed(ev)
	case roles.ServerGone:
		s.broken++
		s.away = time.Now()
	case roles.Marks:
		return s.marked(ev)
	case roles.Model:
		return s.answered(ev)
	case roles.Tick:
		return s.tick()
	}
	return nil
}

// tick begins, sends what there is time for, or gives up a server that has gone.
func (s *probeSource) tick() []roles.Action {
	switch {
	case !s.away.IsZero() && time.Since(s.away) > maxAway:
		s.end(fmt.Errorf("%w: the server has been gone for %v", ErrUnreachable, maxAway))
	case s.began.IsZero():
		return s.begin()
	case s.away.IsZero():
		return s.more()
	}
	return nil
}

// welcomed sends again what has not been decided.
func (s *probeSource) welcomed(w roles.Welcome) []roles.Action {
	s.session, s.decided, s.away = w.Session, w.Decided, time.Time{}
	switch {
	case s.began.IsZero():
		return nil
	case s.ask.Path == ProbeModel:
		return []roles.Action{s.follow()}
	}
	return append(s.again(w.Decided+1), s.more()...)
}

// begin starts the clock once the exchange stands: what a connection costs at its
// start is not the cost of a transfer.
func (s *probeSource) begin() []roles.Action {
	if s.session == 0 || !s.known() {
		return nil
	}
	s.ready()
	s.began = time.Now()
	if s.ask.Path == ProbeModel {
		return []roles.Action{s.follow()}
	}
	return s.more()
}

func (s *probeSource) follow() roles.Follow { return roles.Follow{Client: s.region, Have: s.have} }

// again is every named delta from seq on.
func (s *probeSource) again(seq uint64) []roles.Action {
	var acts []roles.Action
	for ; seq <= s.named; seq++ {
		acts = append(acts, s.delta(seq))
	}
	return acts
}

func (s *probeSource) delta(seq uint64) roles.Delta {
	return roles.Delta{
		Name:  roles.Name{Client: s.region, Session: s.session, Seq: seq},
		Steps: 1, Samples: data.Intervals{{Start: seq - 1, End: seq}}, Loss: 1, Values: s.values,
	}
}

// more names the deltas that may leave now.
func (s *probeSource) more() []roles.Action {
	var acts []roles.Action
	for s.ask.Path == ProbeDelta && s.mayName() {
		s.named++
		acts = append(acts, s.delta(s.named))
	}
	return acts
}

// mayName reports that there is time for one more delta. The second waits until half
// of the first has been sent: nobody knows before how long one takes.
func (s *probeSource) mayName() bool {
	switch out := s.named - s.decided; {
	case s.named == 0:
		return true
	case time.Since(s.began) >= s.ask.For || out >= underWay:
		return false
	default:
		return s.decided > 0 || 2*s.sent() > s.frame
	}
}

func (s *probeSource) marked(m roles.Marks) []roles.Action {
	if m.Session != s.session {
		return nil
	}
	for _, r := range m.Refused {
		s.end(fmt.Errorf("delta %d: %w: %s", r.Seq, errRefused, r.Reason))
		return nil
	}
	s.decided = max(s.decided, m.Decided)
	var acts []roles.Action
	if m.Want > 0 {
		acts = s.again(m.Want)
	}
	acts = append(acts, s.more()...)
	if s.decided > 0 && s.decided == s.named {
		s.end(nil)
	}
	return acts
}

// answered merges a model as an LPS does, and asks for the next.
func (s *probeSource) answered(m roles.Model) []roles.Action {
	tensor.Lerp(s.values, m.Params, s.alpha)
	s.have = m.ID
	s.models++
	if time.Since(s.began) >= s.ask.For {
		s.end(nil)
		return nil
	}
	return []roles.Action{s.follow()}
}

// end says, once, that all has been delivered, or that it will not be.
func (s *probeSource) end(err error) {
	transfers := int(s.decided)
	if s.ask.Path == ProbeModel {
		transfers = s.models
	}
	offer(s.over, delivery{transfers, time.Since(s.began), s.broken, err})
}
