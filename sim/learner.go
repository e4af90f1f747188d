package sim

import (
	"context"
	"fmt"

	"halos/data"
	"halos/model"
	"halos/optim"
	"halos/train"
)

// Learner is what workers learn with. It serves several workers at once, each with
// one call at a time, and what it does for one depends on no other.
type Learner interface {
	// Train takes a task's local steps on params in place, with the optimizer state of
	// the worker, and returns their mean loss.
	Train(ctx context.Context, worker int, params []float32, task data.Task) (loss float64, err error)
	// Gradient sets grads to the mean gradient over one local step's samples, which
	// begin at first, and returns their loss.
	Gradient(worker int, grads, params []float32, first uint64) (loss float64, err error)
	// Loss is that on held-out samples. Nobody else calls it meanwhile.
	Loss(ctx context.Context, params []float32) (float64, error)
}

// Texts trains a transformer on texts with the built-in trainer, each worker with its
// own AdamW. It is a Learner.
type Texts struct {
	corpora  []*data.Corpus // [workers]
	states   []*optim.AdamW // [workers]
	trainers chan *train.Trainer
	evals    []*train.Evaluator // one for each text
}

// NewTexts returns a learner for workers that train on the texts given for each, with
// as many trainers as rounds are trained at once. The held-out loss is the mean over
// the texts, of windows windows each.
func NewTexts(c train.Config, corpora []*data.Corpus, jobs, windows int) *Texts {
	t := &Texts{corpora: corpora, trainers: make(chan *train.Trainer, jobs)}
	for range jobs {
		t.trainers <- train.New(c, corpora[0], model.Options{})
	}
	seen := map[*data.Corpus]bool{}
	for _, corpus := range corpora {
		t.states = append(t.states, train.NewAdamW(c))
		if !seen[corpus] {
			seen[corpus] = true
			t.evals = append(t.evals, train.NewEvaluator(c.Model, corpus, c.Context, windows, model.Options{}))
		}
	}
	return t
}

// Train is that of Learner. It fails with train.ErrDiverged.
func (t *Texts) Train(ctx context.Context, worker int, params []float32, task data.Task) (float64, error) {
	trainer := <-t.trainers
	defer func() { t.trainers <- trainer }()
	trainer.Corpus, trainer.Opt = t.corpora[worker], t.states[worker]
	done, err := trainer.Run(ctx, params, task)
	if err != nil {
		return 0, fmt.Errorf("worker %d: %w", worker, err)
	}
	return done.Loss, ctx.Err()
}

// Forget makes a worker's AdamW that of one that has taken no step.
func (t *Texts) Forget(worker int) {
	o := t.states[worker]
	clear(o.M)
	clear(o.V)
	o.Steps = 0
}

// Gradient is that of Learner.
func (t *Texts) Gradient(worker int, grads, params []float32, first uint64) (float64, error) {
	trainer := <-t.trainers
	defer func() { t.trainers <- trainer }()
	trainer.Corpus = t.corpora[worker]
	loss, err := trainer.Gradient(grads, params, first)
	if err != nil {
		return 0, fmt.Errorf("worker %d: %w", worker, err)
	}
	return loss, nil
}

// Loss is that of Learner.
func (t *Texts) Loss(ctx context.Context, params []float32) (float64, error) {
	sum := 0.0
	for _, e := range t.evals {
		loss, err := e.Loss(ctx, params)
		if err != nil {
			return 0, err
		}
		sum += loss
	}
	return sum / float64(len(t.evals)), nil
}
