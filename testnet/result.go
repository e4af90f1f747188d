package testnet

import (
	"math"
	"time"
)

// Schema names the form of a Result as JSON.
const Schema = "halos.testnet/1"

// Result is what a testnet has come to, as its one JSON object. Bytes are those
// sent, and deltas those of workers and regions together.
type Result struct {
	Schema           string   `json:"schema"`
	Job              string   `json:"job"` // first 16 hex digits of its id
	Regions          int      `json:"regions"`
	Workers          int      `json:"workers"` // of all regions
	WallSeconds      float64  `json:"wall_seconds"`
	FirstLossSeconds *float64 `json:"first_loss_seconds"` // from the start of the first process to the end of the first round; null without one
	Tokens           uint64   `json:"tokens"`
	TokensPerSecond  float64  `json:"tokens_per_second"` // over all of WallSeconds
	ValLossStart     *float64 `json:"val_loss_start"`    // nats per token; null if the model was never validated
	ValLoss          *float64 `json:"val_loss"`
	GlobalVersion    uint64   `json:"global_version"`
	Deltas           Deltas   `json:"deltas"`
	AppliedPerSecond float64  `json:"applied_per_second"` // deltas, from the end of the first round to the last one applied
	Bytes            Bytes    `json:"bytes"`
	Blocked          float64  `json:"blocked"`    // share of the workers' time, 0 to 1
	Checkpoint       string   `json:"checkpoint"` // newest one of the GPS, empty without one
}

// Bytes are totals of all processes.
type Bytes struct {
	WAN   uint64 `json:"wan"`   // to other regions
	LAN   uint64 `json:"lan"`   // within a region
	Topic uint64 `json:"topic"` // deltas published
	Local uint64 `json:"local"` // deltas handed over inside a process
}

// result sums up a run that lasted from start to end.
func (t *tally) result(regions, workers int, start, end time.Time) Result {
	const jobDigits = 16
	wall := end.Sub(start).Seconds()
	first, last := t.validation()
	firstLoss := math.NaN()
	if !t.firstRound.IsZero() {
		firstLoss = t.firstRound.Sub(start).Seconds()
	}
	sent := t.sent()
	return Result{
		Schema:           Schema,
		Job:              t.job[:min(jobDigits, len(t.job))],
		Regions:          regions,
		Workers:          workers,
		WallSeconds:      rounded(wall, 1e3),
		FirstLossSeconds: measured(firstLoss, 1e3),
		Tokens:           t.tokens(),
		TokensPerSecond:  rounded(float64(t.tokens())/wall, 10),
		ValLossStart:     measured(first, 1e4),
		ValLoss:          measured(last, 1e4),
		GlobalVersion:    t.global,
		Deltas:           t.ledger.deltas(),
		AppliedPerSecond: t.appliedRate(t.ledger.deltas()),
		Bytes:            Bytes{sent.wan, sent.lan, sent.topic, sent.local},
		Blocked:          rounded(t.blockedShare(), 1e4),
		Checkpoint:       t.checkpoint,
	}
}

// rounded keeps 1/unit of x, for readers.
func rounded(x, unit float64) float64 { return math.Round(x*unit) / unit }

// measured is x rounded, or nil for NaN, which JSON cannot say.
func measured(x, unit float64) *float64 {
	if math.IsNaN(x) {
		return nil
	}
	x = rounded(x, unit)
	return &x
}
