package node

import "math"

// StatusSchema names the layout of Status. Fields may be added under the same name.
const StatusSchema = "halos.status/1"

// Status is what a running node says about itself, as one JSON document. Counts of deltas are named by
// the mark they reach: a delta is decided once its server applied or refused it, and durable once the
// server keeps the verdict over a crash.
type Status struct {
	Schema string   `json:"schema"` // StatusSchema
	Peer   string   `json:"peer"`   // peer id of the node
	Job    string   `json:"job"`    // id of the job, 64 hex digits
	Region string   `json:"region"`
	Roles  []string `json:"roles"`  // "gps", "lps", "worker"
	Addrs  []string `json:"addrs"`  // multiaddrs that another machine can dial, best first
	Uptime float64  `json:"uptime"` // seconds since the process started

	Peers []PeerStatus `json:"peers"` // nodes of the job heard of, by region, then id

	Worker *WorkerStatus `json:"worker,omitempty"` // if the node is one
	LPS    *LPSStatus    `json:"lps,omitempty"`    // if the node is one
	GPS    *GPSStatus    `json:"gps,omitempty"`    // if the node is one

	Bytes   ByteStatus `json:"bytes"`
	Dropped uint64     `json:"dropped"` // messages that a full queue of pubsub cost
}

// PeerStatus is another node of the job.
type PeerStatus struct {
	ID        string   `json:"id"`
	Region    string   `json:"region"`
	Roles     []string `json:"roles"`
	Connected bool     `json:"connected"` // there is a connection between us and it
	Refused   uint64   `json:"refused"`   // messages and transfers of it that this node did not take
	ShutOut   bool     `json:"shut_out"`  // for a while, for too many of them
}

// WorkerStatus is the state of a worker.
type WorkerStatus struct {
	Session         uint64  `json:"session"`           // of this start
	Seq             uint64  `json:"seq"`               // of its newest delta
	Steps           uint64  `json:"steps"`             // local steps since the start
	Tokens          uint64  `json:"tokens"`            // trained on since the start
	TokensPerSecond float64 `json:"tokens_per_second"` // over the last rounds
	Loss            float64 `json:"loss"`              // mean of the last round, nats per token
	Blocked         float64 `json:"blocked"`           // share of its time spent waiting for an answer or a task, 0..1
	BaseVersion     uint64  `json:"base_version"`      // regional model it trains from
	Outbox          int     `json:"outbox"`            // deltas not yet durable at the LPS
	Decided         uint64  `json:"decided"`           // its deltas up to this seq are
	Durable         uint64  `json:"durable"`           // its deltas up to this seq are
	State           string  `json:"state"`             // what it does now, such as "training"
}

// LPSStatus is the state of a local parameter server.
type LPSStatus struct {
	Version          uint64 `json:"version"`            // of the regional model: deltas applied
	MergedVersion    uint64 `json:"merged_version"`     // of the regional model at the last merge
	GlobalVersion    uint64 `json:"global_version"`     // of the global model merged last
	Workers          int    `json:"workers"`            // connected now
	UpdatesSincePush uint64 `json:"updates_since_push"` // deltas applied that no push holds yet
	Pushes           uint64 `json:"pushes"`             // sent to the GPS in this lineage
	Decided          uint64 `json:"decided"`            // its pushes up to this seq are
	Durable          uint64 `json:"durable"`            // its pushes up to this seq are
	Leased           uint64 `json:"leased"`             // samples handed out to workers and not committed
	Committed        uint64 `json:"committed"`          // samples in the regional model

	Alarm *AlarmStatus `json:"alarm"` // null while snapshots succeed
}

// GPSStatus is the state of the global parameter server.
type GPSStatus struct {
	Version   uint64  `json:"version"`   // of the global model: pushes applied
	Regions   int     `json:"regions"`   // connected now
	Committed uint64  `json:"committed"` // samples in the global model
	Total     uint64  `json:"total"`     // samples of the job
	ValLoss   float64 `json:"val_loss"`  // of the newest model evaluated, nats per token; 0: none yet

	Alarm *AlarmStatus `json:"alarm"` // null while snapshots succeed
}

// AlarmStatus says why nothing of a server becomes durable. Training goes on, and what its clients sent
// stays with them too, until a snapshot succeeds; the next attempt comes by itself.
type AlarmStatus struct {
	Reason  string  `json:"reason"`          // what the last attempt failed of
	Since   float64 `json:"since"`           // seconds since the first attempt that failed
	Failed  uint64  `json:"failed_attempts"` // since the last that succeeded
	Durable uint64  `json:"durable_version"` // of the model in the newest snapshot on disk; 0: there is none
}

// ByteStatus counts bytes sent since the process started.
type ByteStatus struct {
	WAN   uint64 `json:"wan"`   // to other regions
	LAN   uint64 `json:"lan"`   // inside the region
	Topic uint64 `json:"topic"` // deltas published, part of the above
	Local uint64 `json:"local"` // deltas handed over inside the process, part of none
}

// encodable returns s as JSON can hold it: empty lists instead of missing ones, zero for what is no number.
// It changes nothing that s points to.
func (s Status) encodable() Status {
	for _, list := range []*[]string{&s.Roles, &s.Addrs} {
		*list = append([]string{}, *list...)
	}
	s.Peers = append([]PeerStatus{}, s.Peers...)
	for i := range s.Peers {
		s.Peers[i].Roles = append([]string{}, s.Peers[i].Roles...)
	}
	zeroNonFinite([]*float64{&s.Uptime})
	if s.Worker != nil {
		w := *s.Worker
		zeroNonFinite([]*float64{&w.TokensPerSecond, &w.Loss, &w.Blocked})
		s.Worker = &w
	}
	if s.GPS != nil {
		g := *s.GPS
		zeroNonFinite([]*float64{&g.ValLoss})
		s.GPS = &g
	}
	return s
}

func zeroNonFinite(floats []*float64) {
	for _, f := range floats {
		if math.IsNaN(*f) || math.IsInf(*f, 0) {
			*f = 0
		}
	}
}
