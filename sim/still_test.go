package sim

import (
	"context"

	"halos/data"
)

// still is a learner that learns nothing.
type still struct{}

func (still) Train(context.Context, int, []float32, data.Task) (float64, error) { return 0, nil }

func (still) Gradient(_ int, grads, _ []float32, _ uint64) (float64, error) {
	clear(grads)
	return 0, nil
}

func (still) Loss(context.Context, []float32) (float64, error) { return 0, nil }
