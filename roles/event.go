package roles

import "halos/data"

// Event is an input of a role: a message of the other half, or one of the types here.
type Event interface{ event() }

// Action is what a role wants done: a message to the other half, or one of the types
// here.
type Action interface{ action() }

// Tick is the passing of time: one comes TicksPerSecond times a second.
type Tick struct{}

// Drain asks a role to finish: a worker stops after its current step, a server
// pushes what it holds; Finished follows when nothing is left to lose.
type Drain struct{}

// ClientGone reports that the connection over which a client said its last hello has
// ended. The end of an older one is not reported.
type ClientGone struct {
	Client string
	Peer   string
}

// ServerGone reports that the connection to the server ended.
type ServerGone struct{}

// Connected reports a new connection to the server: say hello. What still arrives
// over older ones is dropped.
type Connected struct{}

// SnapshotDone reports that the state taken at Snapshot ID is on disk and verified,
// or, with Failed, that it could not be written.
type SnapshotDone struct {
	ID     uint64
	Failed bool
	Ticks  int // from the Snapshot to this by a clock: no Tick comes while the state is copied
}

// TrainDone returns a worker's parameters from the trainer.
type TrainDone struct {
	Steps   int
	Samples data.Interval // what was consumed: a prefix of the task's samples
	Loss    float64       // mean, nats per token
	Speed   float64       // local steps per second; 0 = not measured
	Failed  bool          // the parameters are not usable, whatever Steps says (a loss that is not finite)
}

// Train starts a round: Params is the trainer's until TrainDone.
type Train struct {
	Task   data.Task
	Base   ModelID
	Params []float32 // [n]
}

// StopTraining ends the running round after its current local step.
type StopTraining struct{}

// Snapshot asks for the role's whole state to be made durable; SnapshotDone follows.
type Snapshot struct{ ID uint64 }

// Finished says that the role has nothing left to do.
type Finished struct {
	Ended    bool // the job is complete
	Diverged bool // training gave values that are not finite, again and again
}

// Named reports a delta that has just got its name. While the window is full, later
// ones may be folded into it.
type Named struct {
	Name
	Steps   uint64
	Samples data.Intervals
}

// Released reports a delta that left its sender's outbox.
type Released struct{ Name }

// Applied reports a verdict for a delta.
type Applied struct {
	Name
	Version   uint64 // of the server's model that contains it
	Staleness uint64 // versions between the delta's base and the model it was applied to
	Steps     uint64
	Samples   data.Intervals // committed with it
	Loss      float32
}

// Refused reports a verdict against a delta.
type Refused struct {
	Name
	Reason string
}

// Lost reports deltas From..To that a client no longer holds and its server never had.
type Lost struct {
	Client   string
	Session  uint64
	From, To uint64
}

// Merged reports that an LPS merged a global model.
type Merged struct {
	Version uint64
	Global  ModelID
}

func (Hello) event()        {}
func (Delta) event()        {}
func (Follow) event()       {}
func (Ask) event()          {}
func (Return) event()       {}
func (Leaving) event()      {}
func (Welcome) event()      {}
func (Reject) event()       {}
func (Marks) event()        {}
func (Grant) event()        {}
func (Model) event()        {}
func (Ended) event()        {}
func (Tick) event()         {}
func (Drain) event()        {}
func (ClientGone) event()   {}
func (ServerGone) event()   {}
func (Connected) event()    {}
func (SnapshotDone) event() {}
func (TrainDone) event()    {}

func (Hello) action()        {}
func (Delta) action()        {}
func (Follow) action()       {}
func (Ask) action()          {}
func (Return) action()       {}
func (Leaving) action()      {}
func (Welcome) action()      {}
func (Reject) action()       {}
func (Marks) action()        {}
func (Grant) action()        {}
func (Model) action()        {}
func (Ended) action()        {}
func (Train) action()        {}
func (StopTraining) action() {}
func (Snapshot) action()     {}
func (Finished) action()     {}
func (Named) action()        {}
func (Released) action()     {}
func (Applied) action()      {}
func (Refused) action()      {}
func (Lost) action()         {}
func (Merged) action()       {}
