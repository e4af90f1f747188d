package roles

import "halos/data"

// Term orders the reigns of a server: by Counter, then by Leader.
type Term struct {
	Counter uint64
	Leader  string // peer id
}

// ModelID names one model of one server: no two models share it.
type ModelID struct {
	Term    Term
	Version uint64
}

// Name identifies a delta for ever. Client is a worker's peer id or a region's name,
// Session the worker's start count or the region's lineage; Seq counts from 1.
type Name struct {
	Client  string
	Session uint64
	Seq     uint64
}

// Hello opens the exchange: what the client holds. The server answers with Welcome
// or Reject.
type Hello struct {
	Client  string
	Peer    string // who speaks for the client
	Session uint64 // 0 asks for a new lineage
	Next    uint64 // first seq not used yet
	Oldest  uint64 // oldest seq in the outbox, Next when it is empty
	Leases  data.Intervals
	Base    ModelID // model the client holds, zero if none
}

// Delta is a model before some local steps minus the model after them.
type Delta struct {
	Name
	Base    ModelID        // model of the server the steps started from
	Steps   uint64         // local steps, summed over workers
	Samples data.Intervals // what the steps consumed
	Loss    float32        // mean training loss, nats per token
	Norm    float64        // Euclidean norm of Values, measured by the receiving side; not finite if any value is not
	Values  []float32      // [n] immutable once sent
}

// Follow is credit for one Model: the newest that contains the client's deltas up to
// Contains and is not Have. A later Follow replaces it, a refusal voids it.
type Follow struct {
	Client   string
	Contains uint64
	Have     ModelID
}

// Ask wants samples: one task for a worker, Samples of them for an LPS, which may be
// none.
type Ask struct {
	Client  string
	Samples uint64
	Speed   float64 // local steps per second, of a worker or of a region's fastest; 0 = not known yet
	Rate    float64 // of an LPS: local steps per second of all its workers; 0 = not known yet
	Stock   uint64  // of an LPS: samples it holds that no worker has
}

// Return gives samples back that the client will not train.
type Return struct {
	Client  string
	Samples data.Intervals
}

// Leaving says that the client sends no further delta and waits until all are durable.
type Leaving struct{ Client string }

// Welcome answers a Hello: what the server has decided for this client.
type Welcome struct {
	Client  string
	Term    Term
	Session uint64
	Decided uint64
	Durable uint64
	Leases  data.Intervals // what the server has leased to the client: nothing else is its to use
}

// Reason says why a server turned a client away.
type Reason uint8

// Reasons of a Reject.
const (
	ReasonTaken   Reason = iota + 1 // another peer speaks for the client
	ReasonSession                   // the session or lineage was retired, or its state is older than its deltas
	ReasonEnded                     // the job is complete
	ReasonInvalid                   // the hello makes no sense
)

func (r Reason) String() string {
	switch r {
	case ReasonTaken:
		return "taken"
	case ReasonSession:
		return "retired session"
	case ReasonEnded:
		return "job ended"
	case ReasonInvalid:
		return "invalid hello"
	}
	return "unknown reason"
}

// Reject turns a Hello away.
type Reject struct {
	Client string
	Peer   string // who said the hello
	Reason Reason
	Detail string
}

// Refusal is a verdict against one delta.
type Refusal struct {
	Seq    uint64
	Reason string
}

// Marks say how far the server has decided this client's deltas and how far that is
// durable.
type Marks struct {
	Client  string
	Session uint64
	Decided uint64
	Durable uint64
	Refused []Refusal
	Want    uint64 // first seq the server lacks, to be sent again with all after it; 0 = none
}

// Grant hands out samples: tasks to a worker, ranges to an LPS.
type Grant struct {
	Client    string
	Tasks     []data.Task
	Ranges    data.Intervals
	Committed uint64  // samples committed job-wide, as far as the server knows
	Exhausted bool    // nothing is left to hand out at present
	Fastest   float64 // to an LPS: local steps per second of the other regions' fastest worker; 0 = not known yet
	Ahead     uint64  // to an LPS: samples that the other regions hold and no worker has
}

// Model is a server's whole model for one client.
type Model struct {
	Client    string
	ID        ModelID
	Contains  uint64    // last seq of the client's own deltas in it
	Committed uint64    // samples committed job-wide, as far as the server knows
	Params    []float32 // [n] borrowed: the server's in an action, the node's in an event
}

// Ended says that every sample of the job is committed and durable.
type Ended struct{ Client string }
