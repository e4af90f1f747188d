package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	urfave "github.com/urfave/cli/v2"

	"halos/checkpoint"
	"halos/data"
	"halos/job"
	"halos/model"
)

// weightsFile holds the parameters in the folder of a checkpoint.
const weightsFile = "model.safetensors"

func checkpointFlag() urfave.Flag {
	return &urfave.StringFlag{Name: "checkpoint", Usage: "read the model in `DIR`: of a testnet, of a node, a snapshot, or a Hugging Face folder of a byte model"}
}

// trained is a model read from disk.
type trained struct {
	path   string // folder it was read from
	config model.Config
	params []float32
	job    *job.Job // that trained it, nil if the folder does not say
}

// readModel reads the model that --checkpoint stands for.
func readModel(c *urfave.Context) (trained, error) {
	if err := together(c, required(c, "checkpoint", "name the directory of a testnet or of a node")); err != nil {
		return trained{}, err
	}
	path, err := checkpoint.Find(c.String("checkpoint"))
	if err != nil {
		return trained{}, err
	}
	t := trained{path: path}
	raw, err := checkpoint.LoadConfig(path)
	if err != nil {
		return trained{}, err
	}
	if t.config, err = model.ParseHF(raw); err != nil {
		return trained{}, fmt.Errorf("checkpoint %s: %w", path, err)
	}
	if t.job, err = heldJob(path); err != nil {
		return trained{}, err
	}
	if t.job == nil && t.config.VocabSize != data.Vocabulary {
		return trained{}, fmt.Errorf("checkpoint %s has a vocabulary of %d tokens and no job.json that says what they are: of models from elsewhere only those on bytes (%d tokens) can be used",
			path, t.config.VocabSize, data.Vocabulary)
	}
	return t, t.load()
}

// load reads the parameters. What config.json claims to need is compared with the
// file before memory is taken for it.
func (t *trained) load() error {
	info, err := os.Stat(filepath.Join(t.path, weightsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("checkpoint %s has no %s", t.path, weightsFile)
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	n := t.config.NumParams()
	if info.Size() < 4*int64(n) {
		return fmt.Errorf("checkpoint %s: %s has %d bytes, too few for the %d float32 parameters of its config.json: it is truncated, or of another type",
			t.path, weightsFile, info.Size(), n)
	}
	t.params = make([]float32, n)
	var tensors []checkpoint.Tensor
	for _, p := range t.config.Params() {
		tensors = append(tensors, checkpoint.Tensor{Name: p.Name, Shape: p.Shape, Data: t.params[p.Offset : p.Offset+p.Len()]})
	}
	return checkpoint.LoadModel(t.path, tensors)
}
