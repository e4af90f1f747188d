package node

import (
	"halos/data"
	"halos/roles"
	"halos/wire"
)

// This file turns the messages of roles into those of wire and back. What comes from
// a peer is checked where the role would not: sample sets must be well formed.

func termMessage(t roles.Term) *wire.Term {
	return &wire.Term{Counter: t.Counter, Leader: []byte(t.Leader)}
}

func termOf(t *wire.Term) roles.Term {
	return roles.Term{Counter: t.GetCounter(), Leader: string(t.GetLeader())}
}

func rangeMessages(s data.Intervals) []*wire.Range {
	out := make([]*wire.Range, len(s))
	for i, iv := range s {
		out[i] = &wire.Range{Start: iv.Start, End: iv.End}
	}
	return out
}

func intervalsOf(ranges []*wire.Range) (data.Intervals, error) {
	out := make(data.Intervals, len(ranges))
	for i, r := range ranges {
		out[i] = data.Interval{Start: r.GetStart(), End: r.GetEnd()}
	}
	return out, out.Validate()
}

func askMessage(a roles.Ask) *wire.Ask {
	return &wire.Ask{Samples: a.Samples, Speed: a.Speed, Rate: a.Rate, Stock: a.Stock}
}

func askOf(client string, a *wire.Ask) roles.Ask {
	return roles.Ask{Client: client, Samples: a.GetSamples(), Speed: a.GetSpeed(), Rate: a.GetRate(), Stock: a.GetStock()}
}

// toClientMessage encodes what a server half says.
func toClientMessage(a roles.Action) *wire.ToClient {
	switch a := a.(type) {
	case roles.Welcome:
		return &wire.ToClient{Body: &wire.ToClient_Welcome{Welcome: &wire.Welcome{
			Term: termMessage(a.Term), Session: a.Session, Decided: a.Decided, Durable: a.Durable,
			Leases: rangeMessages(a.Leases),
		}}}
	case roles.Reject:
		return rejection(reasonMessage(a.Reason), a.Detail)
	case roles.Marks:
		m := &wire.Marks{Session: a.Session, Decided: a.Decided, Durable: a.Durable, Want: a.Want}
		for _, r := range a.Refused {
			m.Refused = append(m.Refused, &wire.Refused{Seq: r.Seq, Reason: r.Reason})
		}
		return &wire.ToClient{Body: &wire.ToClient_Marks{Marks: m}}
	case roles.Grant:
		g := &wire.Grant{
			Ranges: rangeMessages(a.Ranges), Committed: a.Committed, Exhausted: a.Exhausted,
			Fastest: a.Fastest, Ahead: a.Ahead,
		}
		for _, t := range a.Tasks {
			g.Tasks = append(g.Tasks, &wire.Task{
				Samples: &wire.Range{Start: t.Samples.Start, End: t.Samples.End},
				Steps:   uint32(t.Steps), First: t.First,
			})
		}
		return &wire.ToClient{Body: &wire.ToClient_Grant{Grant: g}}
	case roles.Ended:
		return &wire.ToClient{Body: &wire.ToClient_Ended{Ended: &wire.Ended{}}}
	}
	panic("node: an action that is no message to a client")
}

func rejection(r wire.Reason, detail string) *wire.ToClient {
	return &wire.ToClient{Body: &wire.ToClient_Reject{Reject: &wire.Reject{Reason: r, Detail: detail}}}
}

func reasonMessage(r roles.Reason) wire.Reason {
	switch r {
	case roles.ReasonTaken:
		return wire.Reason_REASON_REGION_TAKEN
	case roles.ReasonSession:
		return wire.Reason_REASON_SESSION
	case roles.ReasonEnded:
		return wire.Reason_REASON_ENDED
	}
	return wire.Reason_REASON_INVALID
}

// fromServer decodes what a server says to the client named; nil is no message of
// the roles.
func fromServer(client string, m *wire.ToClient) (roles.Event, error) {
	switch b := m.GetBody().(type) {
	case *wire.ToClient_Welcome:
		leases, err := intervalsOf(b.Welcome.GetLeases())
		return roles.Welcome{
			Client: client, Term: termOf(b.Welcome.GetTerm()), Session: b.Welcome.GetSession(),
			Decided: b.Welcome.GetDecided(), Durable: b.Welcome.GetDurable(), Leases: leases,
		}, err
	case *wire.ToClient_Marks:
		m := roles.Marks{
			Client: client, Session: b.Marks.GetSession(), Decided: b.Marks.GetDecided(),
			Durable: b.Marks.GetDurable(), Want: b.Marks.GetWant(),
		}
		for _, r := range b.Marks.GetRefused() {
			m.Refused = append(m.Refused, roles.Refusal{Seq: r.GetSeq(), Reason: r.GetReason()})
		}
		return m, nil
	case *wire.ToClient_Grant:
		return grantOf(client, b.Grant)
	case *wire.ToClient_Ended:
		return roles.Ended{Client: client}, nil
	}
	return nil, nil
}

func grantOf(client string, g *wire.Grant) (roles.Event, error) {
	ranges, err := intervalsOf(g.GetRanges())
	out := roles.Grant{
		Client: client, Ranges: ranges, Committed: g.GetCommitted(), Exhausted: g.GetExhausted(),
		Fastest: g.GetFastest(), Ahead: g.GetAhead(),
	}
	for _, t := range g.GetTasks() {
		iv := data.Interval{Start: t.GetSamples().GetStart(), End: t.GetSamples().GetEnd()}
		if e := (data.Intervals{iv}).Validate(); e != nil {
			err = e
		}
		out.Tasks = append(out.Tasks, data.Task{Samples: iv, Steps: int(t.GetSteps()), First: t.GetFirst()})
	}
	return out, err
}

// helloMessage completes a role's hello with what the node knows.
func (n *Node) helloMessage(t tier, h roles.Hello) *wire.ToServer {
	m := &wire.Hello{
		Job: n.id[:], Protocol: wire.ProtocolVersion, Tier: t.wire(), Region: n.cfg.Region,
		Session: h.Session, Next: h.Next, Oldest: h.Oldest, Leases: rangeMessages(h.Leases),
		BaseTerm: termMessage(h.Base.Term), BaseVersion: h.Base.Version,
		Start: n.start, Boot: n.boot,
	}
	for _, a := range n.host.Addrs() {
		m.Addrs = append(m.Addrs, a.Bytes())
	}
	return &wire.ToServer{Body: &wire.ToServer_Hello{Hello: m}}
}
