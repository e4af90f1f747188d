package node

import (
	"sync"
	"sync/atomic"
	"time"

	"halos/data"
	"halos/roles"
	"halos/train"
)

// bytesEvery is how often the byte counters are recorded.
const bytesEvery = 2 * time.Second

// report writes what happens to metrics.jsonl and keeps what status tells.
type report struct {
	journal    *journal
	region     string
	self       string
	topicBytes atomic.Uint64
	localBytes atomic.Uint64
	began      time.Time
	nextBytes  time.Time // the loop's

	mu      sync.Mutex
	worker  WorkerStatus
	trained time.Duration // in rounds
	blocked time.Duration // between rounds
	marks   [roleCount]marks
}

// marks are the counters of a role that its actions tell.
type marks struct {
	version, merged, global uint64
	seq, released           uint64 // of deltas it has sent
	outbox                  int
}

func newReport(n *Node) (*report, error) {
	j, err := openJournal(n.dir.path, n.log)
	if err != nil {
		return nil, err
	}
	return &report{journal: j, region: n.cfg.Region, self: n.self, began: time.Now()}, nil
}

func (r *report) close() error { return r.journal.Close() }

func (r *report) append(rec Record) {
	rec.Node, rec.Region = r.self, r.region
	r.journal.append(rec)
}

// started records who this node is and what it continues from.
func (r *report) started(n *Node) {
	r.append(Record{Event: EventStart, Roles: n.roleNames(), Addrs: n.JoinAddrs(), Job: n.id.String(), Session: n.start})
	for role := range roleCount {
		if version := n.restored[role]; version != nil {
			r.append(Record{Event: EventRestored, Tier: tierAbove(role).String(), Version: *version})
			r.marks[role].version = *version
			n.savers[role].alarm.durable = *version
		}
	}
}

// stopped records the end of the node.
func (r *report) stopped(n *Node, err error) {
	reason := "done"
	if err != nil {
		reason = err.Error()
	}
	n.log.Info("stopping", "reason", reason)
	r.bytes(n)
	r.append(Record{Event: EventStop, Reason: reason})
}

// round records a round of the worker. The trainer calls it.
func (r *report) round(n *Node, t roles.Train, res train.Result, took, waited time.Duration) {
	r.mu.Lock()
	w := &r.worker
	w.Steps += uint64(res.Steps)
	w.Tokens += res.Tokens
	w.Loss = res.Loss
	w.BaseVersion = t.Base.Version
	w.TokensPerSecond = float64(res.Tokens) / (took + waited).Seconds()
	r.trained += took
	r.blocked += waited
	w.Blocked = r.blocked.Seconds() / (r.blocked + r.trained).Seconds()
	r.mu.Unlock()
	if res.Steps == 0 {
		return
	}
	r.append(Record{
		Event: EventRound, Client: n.self, Session: n.start, Steps: uint64(res.Steps), Tokens: res.Tokens,
		Loss: res.Loss, Seconds: took.Seconds(), Blocked: waited.Seconds(), Version: t.Base.Version,
	})
}

// action records what a role wants done, as far as anybody will ask.
func (r *report) action(n *Node, from role, a roles.Action) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := &r.marks[from]
	switch a := a.(type) {
	case roles.Named:
		m.seq, m.outbox = a.Seq, m.outbox+1
		via := "topic"
		if n.serves(n.tierBelow(from)) {
			via = "local"
			r.localBytes.Add(uint64(4 * n.params))
		}
		rec := named(EventSent, n.tierBelow(from), a.Name)
		rec.Steps, rec.Via = a.Steps, via
		rec.Samples = ranges(a.Samples)
		r.append(rec)
	case roles.Released:
		m.released, m.outbox = a.Seq, m.outbox-1
		r.append(named(EventReleased, n.tierBelow(from), a.Name))
	case roles.Applied:
		m.version = a.Version
		rec := named(EventApplied, tierAbove(from), a.Name)
		rec.Version, rec.Staleness, rec.Steps, rec.Loss, rec.Samples = a.Version, a.Staleness, a.Steps, float64(a.Loss), ranges(a.Samples)
		r.append(rec)
	case roles.Refused:
		n.log.Warn("delta refused", "client", a.Client, "seq", a.Seq, "reason", a.Reason)
		rec := named(EventRefused, tierAbove(from), a.Name)
		rec.Reason = a.Reason
		r.append(rec)
	case roles.Lost:
		n.log.Warn("deltas lost with their sender", "client", a.Client, "from", a.From, "to", a.To)
		for seq := a.From; seq <= a.To && seq < a.From+maxLostRecords; seq++ {
			r.append(named(EventLost, tierAbove(from), roles.Name{Client: a.Client, Session: a.Session, Seq: seq}))
		}
	case roles.Merged:
		m.version, m.merged, m.global = a.Version, a.Version, a.Global.Version
		r.append(Record{Event: EventMerged, Tier: globalTier.String(), Version: a.Global.Version})
	}
}

func ranges(set data.Intervals) (rs [][2]uint64) {
	for _, iv := range set {
		rs = append(rs, [2]uint64{iv.Start, iv.End})
	}
	return rs
}

// maxLostRecords bounds what one hello can write.
const maxLostRecords = 1024

func named(event string, t tier, name roles.Name) Record {
	return Record{Event: event, Tier: t.String(), Client: name.Client, Session: name.Session, Seq: name.Seq}
}

// tick records the byte counters when it is time.
func (r *report) tick(n *Node) {
	if now := time.Now(); now.After(r.nextBytes) {
		r.nextBytes = now.Add(bytesEvery)
		r.bytes(n)
	}
}

func (r *report) bytes(n *Node) {
	b := r.count(n)
	r.append(Record{
		Event: EventBytes, WAN: b.WAN, LAN: b.LAN, Topic: b.Topic, Local: b.Local, Dropped: n.drops.lost(),
		Gap: n.roster.longestGap().Seconds(),
	})
}

// count sums up the bytes sent, by where they went. Peers of unknown region count as
// near.
func (r *report) count(n *Node) ByteStatus {
	b := ByteStatus{Topic: r.topicBytes.Load(), Local: r.localBytes.Load()}
	for p, sent := range n.traffic.sentTo() {
		if region := n.roster.region(p); region != "" && region != r.region {
			b.WAN += sent
		} else {
			b.LAN += sent
		}
	}
	return b
}

// newest is what presence tells: the newest model version, loss and tokens.
func (r *report) newest() (version uint64, loss float64, tokens uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(r.marks[gps].version, r.marks[lps].version), r.worker.Loss, r.worker.Tokens
}
