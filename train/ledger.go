package train

import (
	"context"
	"fmt"
	"time"

	"halos/data"
)

// LedgerPace is what a local step of a Ledger takes.
const LedgerPace = 50 * time.Millisecond

// Ledger is the trainer of jobs that test the exchange: it learns nothing and counts.
// The local step whose samples begin with number i adds 1 to parameter i/batch. A
// delta is then -1 for each of its local steps, and where the servers add deltas up,
// the global model says how often each local step of the job has reached it: once, if
// none was lost and none was counted twice.
type Ledger struct {
	Batch   int           // samples of a local step
	Context int           // tokens of a sample
	Pace    time.Duration // a step takes so long, as if it trained
}

// Run does the local steps of a task, on a model that starts from zeros and has a
// parameter for each step of the job. When ctx ends it finishes the step it is in, as
// Trainer.Run does. A task whose samples are not Steps batches, or lie beyond the
// model, is refused.
func (l *Ledger) Run(ctx context.Context, params []float32, task data.Task) (Result, error) {
	batch := uint64(l.Batch)
	done := Result{Samples: data.Interval{Start: task.Samples.Start, End: task.Samples.Start}}
	if n := task.Samples.Len(); task.Steps < 0 || n%batch != 0 || n/batch != uint64(task.Steps) || task.Samples.End/batch > uint64(len(params)) {
		return done, fmt.Errorf("task of %d steps over samples %v: a step takes %d, and %d can be counted", task.Steps, task.Samples, batch, len(params))
	}
	beat := time.NewTicker(max(l.Pace, 1))
	defer beat.Stop()
	for done.Steps < task.Steps && ctx.Err() == nil {
		<-beat.C
		params[done.Samples.End/batch]++
		done.Steps++
		done.Samples.End += batch
		done.Tokens += batch * uint64(l.Context)
	}
	return done, nil
}
