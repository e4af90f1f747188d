package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"halos/data"
	"halos/roles"
	"halos/train"
)

// localSteps does the local steps of one task after the other: a train.Trainer, or a
// train.Ledger where the job counts.
type localSteps interface {
	Run(ctx context.Context, params []float32, task data.Task) (train.Result, error)
}

// trainer runs the rounds of the worker on a goroutine of its own.
type trainer struct {
	n       *Node
	built   localSteps
	rounds  chan roles.Train // one at a time
	ended   chan struct{}
	endOnce sync.Once

	mu     sync.Mutex
	cancel context.CancelFunc // of the running round

	idle time.Time // since when the worker waits; the trainer's
}

func newTrainer(n *Node, t localSteps) *trainer {
	return &trainer{n: n, built: t, rounds: make(chan roles.Train, 1), ended: make(chan struct{})}
}

// start hands over a round. The worker starts one at a time, so there is room.
func (t *trainer) start(r roles.Train) { t.rounds <- r }

// interrupt ends the running round after its current step.
func (t *trainer) interrupt() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cancel != nil {
		t.cancel()
	}
}

// stop ends the trainer once its round is over.
func (t *trainer) stop() { t.endOnce.Do(func() { close(t.ended) }) }

// run trains round after round.
func (t *trainer) run(ctx context.Context) {
	t.idle = time.Now()
	for {
		select {
		case r := <-t.rounds:
			if !t.round(ctx, r) {
				return
			}
		case <-t.ended:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (t *trainer) round(ctx context.Context, r roles.Train) bool {
	step, cancel := context.WithCancel(ctx)
	defer cancel()
	t.mu.Lock()
	t.cancel = cancel
	t.mu.Unlock()
	began := time.Now()
	res, err := t.built.Run(step, r.Params, r.Task)
	if err != nil && !errors.Is(err, train.ErrDiverged) {
		t.n.fail(err)
		return false
	}
	if err != nil {
		t.n.log.Warn("round failed", "err", err)
	}
	ended := time.Now()
	t.n.report.round(t.n, r, res, ended.Sub(began), began.Sub(t.idle))
	t.idle = ended
	return t.n.post(event{to: worker, ev: roles.TrainDone{
		Steps: res.Steps, Samples: res.Samples, Loss: res.Loss, Failed: err != nil,
		Speed: float64(res.Steps) / max(ended.Sub(began), time.Microsecond).Seconds(),
	}})
}
