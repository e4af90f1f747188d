package node

import "time"

// Event names of a Record. The doc of Record says which fields each one sets.
const (
	EventStart      = "start"
	EventRound      = "round"
	EventSent       = "sent"
	EventReleased   = "released"
	EventApplied    = "applied"
	EventRefused    = "refused"
	EventLost       = "lost"
	EventMerged     = "merged"
	EventEval       = "eval"
	EventCheckpoint = "checkpoint"
	EventAlarm      = "alarm"
	EventRestored   = "restored"
	EventBytes      = "bytes"
	EventStop       = "stop"
)

// Tiers of a Record.
const (
	TierRegion = "region" // worker to LPS
	TierGlobal = "global" // LPS to GPS
)

// Ways a delta travels, in Record.Via.
const (
	ViaTopic = "topic" // in chunks over the delta topic
	ViaLocal = "local" // by an event, inside one process
)

// Record is one line of metrics.jsonl, the file every node writes in its directory: one JSON object
// per line, in the order of events, UTF-8, fields of value zero left out. A delta is named by
// (tier, client, session, seq) in every record about it, at the sender and at the server alike.
//
//	start       node region roles addrs job session   the node is up; written once per process
//	round       client steps tokens loss seconds blocked version
//	                                                  a worker ended a round: mean loss over its steps, seconds of training,
//	                                                  seconds it waited before, version of the base model
//	sent        tier client session seq steps samples via
//	                                                  a delta got its name and went into the outbox
//	released    tier client session seq               its sender dropped it from the outbox
//	applied     tier client session seq version staleness steps loss samples
//	                                                  a server applied it, which made its model version and committed
//	                                                  the samples
//	refused     tier client session seq reason        a server decided against it
//	lost        tier client session seq               a server declared that it will never come
//	merged      version                               an LPS merged the global model of that version
//	eval        loss version tokens seconds           validation loss of a server's model
//	checkpoint  tier version path                     a snapshot of a server is on disk
//	alarm       tier version reason                   snapshots of a server fail: version is that of the newest on disk,
//	                                                  which stays; once when it begins and each minute while it lasts; the
//	                                                  next checkpoint of this node and tier ends it
//	restored    tier version                          a server went on from a snapshot, or began without one (version 0):
//	                                                  applied records of this node and tier with a higher version before
//	                                                  this line are void
//	bytes       wan lan topic local dropped gap       totals since the process started, every 2 s and at the end
//	stop        reason                                the last line of a process that ended by itself
//
// The tier of a server's own events is "region" for an LPS and "global" for the GPS. A process that was
// killed leaves no stop; a file holds the lines of every start in its directory, oldest first.
type Record struct {
	Time  time.Time `json:"time"`
	Event string    `json:"event"`

	Node   string   `json:"node,omitempty"`   // peer id of the writer
	Region string   `json:"region,omitempty"` // region of the writer
	Roles  []string `json:"roles,omitempty"`  // "gps", "lps", "worker"
	Addrs  []string `json:"addrs,omitempty"`  // full multiaddrs with /p2p/ID
	Job    string   `json:"job,omitempty"`    // id of the job, 64 hex digits

	Tier    string      `json:"tier,omitempty"`    // TierRegion or TierGlobal
	Client  string      `json:"client,omitempty"`  // sender of the delta: peer id of a worker, name of a region
	Session uint64      `json:"session,omitempty"` // session of a worker or node, lineage of a region
	Seq     uint64      `json:"seq,omitempty"`     // from 1
	Steps   uint64      `json:"steps,omitempty"`   // local steps
	Tokens  uint64      `json:"tokens,omitempty"`
	Samples [][2]uint64 `json:"samples,omitempty"` // half-open ranges of sample indices
	Loss    float64     `json:"loss,omitempty"`    // nats per token; a NaN or an infinity is left out
	Seconds float64     `json:"seconds,omitempty"`
	Blocked float64     `json:"blocked,omitempty"` // seconds

	Version   uint64 `json:"version,omitempty"`   // version of a server's model
	Staleness uint64 `json:"staleness,omitempty"` // versions between a delta's base and the model it met
	Via       string `json:"via,omitempty"`       // ViaTopic or ViaLocal
	Reason    string `json:"reason,omitempty"`
	Path      string `json:"path,omitempty"`

	WAN     uint64 `json:"wan,omitempty"`     // bytes sent to other regions
	LAN     uint64 `json:"lan,omitempty"`     // bytes sent inside the region
	Topic   uint64 `json:"topic,omitempty"`   // bytes of deltas published
	Local   uint64 `json:"local,omitempty"`   // bytes of deltas handed over inside the process
	Dropped uint64 `json:"dropped,omitempty"` // messages lost in a queue of pubsub

	Gap float64 `json:"gap,omitempty"` // seconds, the longest between two presences of one other node since the last record of this event
}

// finite replaces the floats that JSON has no form for by zero, which leaves them out.
func (r *Record) finite() { zeroNonFinite([]*float64{&r.Loss, &r.Seconds, &r.Blocked, &r.Gap}) }
