// Package job is the manifest of a job: everything its machines must agree on,
// as plain data, and nothing that concerns one machine alone. Its SHA-256 names
// the job, so whoever knows the id can check a manifest that a stranger sent.
package job

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"halos/codec"
	"halos/data"
	"halos/model"
	"halos/optim"
	"halos/roles"
	"halos/train"
)

// Format is the version of the manifest that this program reads and writes. It
// changes whenever a key is added, removed or means something else.
const Format = 3

// Bounds on what a manifest may ask of the machines that join its job.
const (
	maxName  = 64      // bytes of a name
	maxRound = 1 << 30 // samples of a round: they are counted in 32 bits
	maxBatch = 1 << 30 // tokens of a local step
)

// Workload says what a job's local steps are.
type Workload string

// Train is to train a language model. Ledger counts instead: each local step of the
// job adds 1 to a parameter of its own (see train.Ledger), so that the final model
// says how often every step has reached it.
const (
	Train  Workload = "train"
	Ledger Workload = "ledger"
)

// Job is a manifest. It never changes once the job has started; the order of its
// fields is part of its id.
type Job struct {
	Format       int      `json:"format" yaml:"format"`
	Name         string   `json:"name" yaml:"name"`     // for people: 1 to 64 of a-z, 0-9, ".", "_" and "-"
	Salt         string   `json:"salt" yaml:"salt"`     // 16 hex digits, random: two jobs of equal settings differ
	Seed         uint64   `json:"seed" yaml:"seed"`     // of the first parameters and the order of samples
	Tokens       uint64   `json:"tokens" yaml:"tokens"` // to train on; the schedule and the job end there
	Workload     Workload `json:"workload" yaml:"workload"`
	roles.Config `yaml:",inline"`
	Optimizer    Optimizer    `json:"optimizer" yaml:"optimizer"`
	Codec        Codecs       `json:"codec" yaml:"codec"`
	Model        model.Config `json:"model" yaml:"model"`
	Source       data.Source  `json:"source" yaml:"source"`
}

// Optimizer holds the settings of a worker's local steps.
type Optimizer struct {
	LR                float64 `json:"lr" yaml:"lr"`         // maximal learning rate
	Warmup            uint64  `json:"warmup" yaml:"warmup"` // schedule steps until it is reached
	optim.AdamWConfig `yaml:",inline"`
}

// Codecs names how the deltas of each tier are encoded.
type Codecs struct {
	Region string `json:"region" yaml:"region"` // worker to LPS
	Global string `json:"global" yaml:"global"` // LPS to GPS
}

// ID is the SHA-256 of a manifest's canonical bytes.
type ID [sha256.Size]byte

// String is all of id, 64 hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Short is the beginning of id that topics and people use, 16 hex digits.
func (id ID) Short() string { return hex.EncodeToString(id[:8]) }

// Canonical returns the bytes that are hashed, stored and sent: JSON with the keys
// in the order of the struct, no white space, and numbers in their shortest form.
// Equal jobs give equal bytes on every machine. Protobuf does not promise that:
// its encoders may order fields and merge unknown ones as they like.
func (j *Job) Canonical() []byte {
	b, err := json.Marshal(j)
	if err != nil {
		panic(fmt.Sprintf("job: %v", err)) // only NaN and Inf, which Validate refuses, are no JSON
	}
	return b
}

// ID returns the id of a valid job.
func (j *Job) ID() ID { return sha256.Sum256(j.Canonical()) }

// Context is the number of tokens that a sample trains.
func (j *Job) Context() int { return j.Model.MaxPositionEmbeddings }

// Samples is the number of sequences that the job trains on: its tokens, rounded
// down to whole local batches.
func (j *Job) Samples() uint64 {
	batch := uint64(j.Batch)
	return j.Tokens / uint64(j.Context()) / batch * batch
}

// TrainConfig is what a worker's trainer needs of a valid job.
func (j *Job) TrainConfig() train.Config {
	return train.Config{
		Model: j.Model,
		AdamW: j.Optimizer.AdamWConfig,
		Schedule: optim.Schedule{
			Max:    j.Optimizer.LR,
			Warmup: j.Optimizer.Warmup,
			Total:  j.Samples() / uint64(j.GlobalBatch),
		},
		Batch:        j.Batch,
		Accumulation: 1,
		Context:      j.Context(),
		Seed:         j.Seed,
	}
}

// Validate joins all faults of j.
func (j *Job) Validate() error {
	errs := []error{
		checkName("name", j.Name),
		checkSalt(j.Salt),
		j.Config.Validate(),
		under("optimizer", j.Optimizer.Validate()),
		j.Codec.Validate(),
		under("model", j.Model.Validate()),
		checkName("source.name", j.Source.Name),
		under("source", j.Source.Validate()),
	}
	if j.Format != Format {
		errs = append(errs, fmt.Errorf("format: %d, this program knows %d", j.Format, Format))
	}
	if errors.Join(errs...) == nil {
		errs = append(errs, j.checkFit()) // its sums need sound terms
	}
	return errors.Join(errs...)
}

// Validate joins all faults of o.
func (o Optimizer) Validate() error {
	if !(o.LR > 0) || math.IsInf(o.LR, 1) {
		return errors.Join(fmt.Errorf("lr is %v, want more than 0", o.LR), o.AdamWConfig.Validate())
	}
	return o.AdamWConfig.Validate()
}

// Validate joins all faults of c.
func (c Codecs) Validate() error {
	_, region := codec.Parse(c.Region)
	_, global := codec.Parse(c.Global)
	return errors.Join(under("codec.region", region), under("codec.global", global))
}

// checkFit finds what is wrong between the parts of j, each of which is sound.
func (j *Job) checkFit() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	fault(j.Model.VocabSize < data.Vocabulary,
		"model.vocab_size: %d, but the byte tokenizer has %d tokens", j.Model.VocabSize, data.Vocabulary)
	fault(j.Batch > maxBatch/j.Context(),
		"batch: %d samples of %d tokens, a local step takes at most %d tokens", j.Batch, j.Context(), maxBatch)
	fault(j.H > maxRound/j.Batch,
		"H: %d steps of %d samples, a round takes at most %d samples", j.H, j.Batch, maxRound)
	errs = append(errs, j.checkWorkload())
	steps := j.Samples() / uint64(j.GlobalBatch)
	if steps == 0 {
		return errors.Join(append(errs, fmt.Errorf("tokens: %d are less than one global batch of %d samples of %d tokens, which is %d",
			j.Tokens, j.GlobalBatch, j.Context(), uint64(j.GlobalBatch)*uint64(j.Context())))...)
	}
	fault(j.Optimizer.Warmup > steps,
		"optimizer.warmup: %d steps, but the tokens last for %d: lower it, or raise tokens", j.Optimizer.Warmup, steps)
	return errors.Join(errs...)
}

// checkWorkload finds what keeps the servers of a job from doing what its workload
// needs: merging what others have learned, or adding up deltas as they are.
func (j *Job) checkWorkload() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	switch j.Workload {
	case Train:
		fault(j.Alpha == 0, "alpha: 0, want more than 0: no region would learn from another")
	case Ledger:
		sum := optim.NesterovConfig{LR: 1, N: 1}
		steps := j.Samples() / uint64(j.Batch)
		fault(j.Alpha != 0, "alpha: %v, the ledger needs 0: a merge would blur its counts", j.Alpha)
		fault(j.LPS != sum || j.GPS != sum, "lps, gps: the ledger needs lr 1, beta 0, c 0 and n 1: its servers add deltas up")
		fault(j.Rescale, "rescale: the ledger needs false: its local steps all take the same time")
		fault(steps > uint64(j.Model.NumParams()),
			"tokens: they make %d local steps, but the model has %d parameters to count them", steps, j.Model.NumParams())
	default:
		fault(true, "workload: %.80q, want %s or %s", j.Workload, Train, Ledger)
	}
	return errors.Join(errs...)
}

// checkName keeps names fit for a terminal, a log and a file name.
func checkName(key, name string) error {
	legal := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)
	}
	if len(name) < 1 || len(name) > maxName || strings.TrimFunc(name, legal) != "" || strings.ContainsFunc(name, func(r rune) bool { return !legal(r) }) {
		return fmt.Errorf("%s: %.80q, want 1 to %d of a-z, 0-9, \".\", \"_\" and \"-\"", key, name, maxName)
	}
	return nil
}

func checkSalt(salt string) error {
	raw, err := hex.DecodeString(salt)
	if err != nil || len(raw) != 8 || hex.EncodeToString(raw) != salt {
		return fmt.Errorf("salt: %.80q, want 16 lower-case hex digits, such as \"halos init\" draws", salt)
	}
	return nil
}

// under says in which part of a manifest err is.
func under(part string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", part, err)
}
