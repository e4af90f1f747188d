package node

import (
	"fmt"
	"path/filepath"

	"halos/checkpoint"
	"halos/job"
)

// FinalModel returns the parameters in the newest good snapshot of the GPS whose
// directory is dir, in the order of the job's model.
func FinalModel(dir string, j *job.Job) ([]float32, error) {
	s, _, err := checkpoint.Load(filepath.Join(dir, gps.String()))
	if err != nil {
		return nil, fmt.Errorf("final model of %s: %w", dir, err)
	}
	params := make([]float32, j.Model.NumParams())
	if err := checkpoint.Assign(modelTensors(j.Model, params), s.Model); err != nil {
		return nil, fmt.Errorf("final model of %s: %w", dir, err)
	}
	return params, nil
}
