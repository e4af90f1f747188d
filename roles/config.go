package roles

import (
	"errors"
	"fmt"
	"math"

	"halos/optim"
)

// TicksPerSecond is how often a role expects a Tick.
const TicksPerSecond = 4

// Ticks that the roles wait for things.
const (
	snapshotEvery  = 40  // 10 s between snapshots of a server that applies deltas
	snapshotRetry  = 20  // 5 s between attempts when the disk refuses one
	takeoverAfter  = 40  // 10 s after which another peer may speak for a gone client
	reclaimWorker  = 80  // 20 s after which a gone worker's tasks are handed out again, and a region without workers gives its samples back
	reclaimRegion  = 240 // 60 s after which, at the end of a job, a gone region's samples are
	resendAfter    = 120 // 30 s without a verdict
	answerWaitLow  = 8   // 2 s: least wait for the answer to a delta
	answerWaitHigh = 240 // 60 s: most
	lingerTicks    = 40  // 10 s that a server stays to tell its clients the job has ended
	farewellTicks  = 16  // 4 s in which a client that has been told would be back if it had not heard
)

// Bounds of what roles hand out ahead, and of what is believed about it.
const (
	workerTasks = 2        // tasks a worker holds: the running one and the next
	regionTasks = 64       // tasks' worth of samples an LPS wants for its workers at least
	stockFor    = 12 * 60  // seconds that an LPS wants its workers to train without a GPS: ten minutes, and slack
	maxFolds    = 2048     // ranges of samples in a delta, from which on a worker asks for no more: a message names twice as many
	maxNorm     = 1e15     // of a delta, without a guard too: sums of such overflow no float32 in a job's life
	maxRate     = 1000_000 // local steps per second that a client can claim
)

// InFlight says what becomes of deltas that an LPS applies while its push travels.
type InFlight string

// Paper folds them into the new base, so that they never reach the GPS (the
// authors' simulator); Carry ships them with the next push.
const (
	Paper InFlight = "paper"
	Carry InFlight = "carry"
)

// Config is what the roles of one job must agree on. It is part of the manifest.
type Config struct {
	H           int                  `json:"H" yaml:"H"`                       // local steps of a round
	K           int                  `json:"K" yaml:"K"`                       // applied deltas between two pushes
	Alpha       float64              `json:"alpha" yaml:"alpha"`               // weight of the global model in a merge
	InFlight    InFlight             `json:"inflight" yaml:"inflight"`         // paper or carry
	Batch       int                  `json:"batch" yaml:"batch"`               // samples per local step
	GlobalBatch int                  `json:"global_batch" yaml:"global_batch"` // samples per step of the learning-rate schedule
	Rescale     bool                 `json:"rescale" yaml:"rescale"`           // H in proportion to each worker's speed, see LocalSteps
	LPS         optim.NesterovConfig `json:"lps" yaml:"lps"`
	GPS         optim.NesterovConfig `json:"gps" yaml:"gps"`
	Guard       Guard                `json:"guard" yaml:"guard"`
}

// Guard bounds what a server accepts.
type Guard struct {
	NormPerStep  float64 `json:"norm_per_step" yaml:"norm_per_step"` // largest norm of a delta per local step; 0 = any up to maxNorm
	MaxStaleness uint64  `json:"max_staleness" yaml:"max_staleness"` // most versions a delta may be behind; 0 = off
}

// LocalSteps is how many local steps a worker takes in a round when the job's fastest
// takes h, so that their rounds last about as long (HALoS, dynamic local updates).
func LocalSteps(h int, speed, fastest float64) int {
	return max(1, int(math.Ceil(float64(h)*(speed/fastest))))
}

// Validate joins all faults of c.
func (c Config) Validate() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	fault(c.H < 1, "H: %d, want at least 1 local step", c.H)
	fault(c.K < 1, "K: %d, want at least 1 update", c.K)
	fault(!(c.Alpha >= 0 && c.Alpha <= 1), "alpha: %v, want 0 to 1", c.Alpha)
	fault(c.InFlight != Paper && c.InFlight != Carry, "inflight: %q, want paper or carry", c.InFlight)
	fault(c.Batch < 1, "batch: %d, want at least 1", c.Batch)
	fault(c.GlobalBatch < 1, "global_batch: %d, want at least 1", c.GlobalBatch)
	fault(!(c.Guard.NormPerStep >= 0) || math.IsInf(c.Guard.NormPerStep, 0),
		"guard.norm_per_step: %v, want 0 (off) or a positive norm", c.Guard.NormPerStep)
	if err := c.LPS.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("lps: %w", err))
	}
	if err := c.GPS.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("gps: %w", err))
	}
	return errors.Join(errs...)
}
