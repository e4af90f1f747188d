package train

import (
	"errors"
	"fmt"

	"halos/data"
	"halos/model"
	"halos/optim"
)

// Config is what the workers of a job must agree on to train alike.
type Config struct {
	Model        model.Config      `json:"model" yaml:"model"`
	AdamW        optim.AdamWConfig `json:"adamw" yaml:"adamw"`
	Schedule     optim.Schedule    `json:"schedule" yaml:"schedule"`
	Batch        int               `json:"batch" yaml:"batch"`               // windows that go through the model at once
	Accumulation int               `json:"accumulation" yaml:"accumulation"` // batches per step
	Context      int               `json:"context" yaml:"context"`           // tokens predicted per window
	Seed         uint64            `json:"seed" yaml:"seed"`                 // of the order of the samples
}

// Bounds far above any sensible job, so that no manifest can ask for buffers
// beyond all memory.
const (
	maxBatch        = 1 << 16
	maxAccumulation = 1 << 20
	maxTokens       = 1 << 22 // of one batch
)

// Validate joins all faults of c.
func (c Config) Validate() error {
	faults := []error{c.Model.Validate(), c.AdamW.Validate(), c.Schedule.Validate()}
	for _, size := range []struct {
		name         string
		value, limit int
	}{
		{"batch", c.Batch, maxBatch},
		{"accumulation", c.Accumulation, maxAccumulation},
		{"context", c.Context, c.Model.MaxPositionEmbeddings},
	} {
		if size.value < 1 || size.value > size.limit {
			faults = append(faults, fmt.Errorf("%s is %d, want 1 to %d", size.name, size.value, size.limit))
		}
	}
	if c.Batch*c.Context > maxTokens {
		faults = append(faults, fmt.Errorf("batch times context is %d, want at most %d", c.Batch*c.Context, maxTokens))
	}
	if c.Model.VocabSize < data.Vocabulary {
		faults = append(faults, fmt.Errorf("vocab_size is %d, want at least %d for the byte tokenizer", c.Model.VocabSize, data.Vocabulary))
	}
	return errors.Join(faults...)
}

// SamplesPerStep is the number of windows that one local step takes.
func (c Config) SamplesPerStep() int { return c.Batch * c.Accumulation }
