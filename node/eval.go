package node

import (
	"context"
	"math"
	"time"

	"halos/roles"
	"halos/train"
)

const (
	evalEvery   = 10 * time.Second
	evalWindows = 32 // held-out windows of one evaluation
)

// evaluation measures the global model on held-out text beside the job.
type evaluation struct {
	with     *train.Evaluator // nil where the job learns nothing
	params   []float32        // [n] copy of the model that is measured
	busy     bool
	measured bool   // once at least
	version  uint64 // measured last
	next     time.Time
	loss     float64
	ended    chan struct{} // closed when the measurement under way is over
}

// evaluate measures the model when it is time and there is a newer one. It runs on
// the loop, the measuring elsewhere.
func (n *Node) evaluate(ctx context.Context) {
	e := n.eval
	if e == nil || e.with == nil || n.machines[gps] == nil || e.busy || time.Now().Before(e.next) {
		return
	}
	state := n.machines[gps].(*roles.GPS).State()
	if e.measured && state.Server.Version == e.version {
		return
	}
	e.params = append(e.params[:0], state.Params...)
	e.busy, e.measured, e.version, e.next = true, true, state.Server.Version, time.Now().Add(evalEvery)
	e.ended = make(chan struct{})
	version, committed := state.Server.Version, state.Server.Committed.Len()
	n.group.Go(func() error {
		began := time.Now()
		loss, err := e.with.Loss(ctx, e.params)
		close(e.ended)
		n.call(func() {
			e.busy = false
			if err == nil {
				n.measured(version, committed, loss, time.Since(began))
			}
		})
		return nil
	})
}

// finalLoss measures the model that the GPS ends with.
func (n *Node) finalLoss(ctx context.Context) {
	e, state := n.eval, n.final
	if state.Params == nil || e.with == nil {
		return
	}
	if e.busy {
		<-e.ended
	} else if e.measured && state.Server.Version == e.version {
		return
	}
	began := time.Now()
	if loss, err := e.with.Loss(ctx, state.Params); err == nil {
		n.measured(state.Server.Version, state.Server.Committed.Len(), loss, time.Since(began))
	}
}

func (n *Node) measured(version, committed uint64, loss float64, took time.Duration) {
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		n.log.Error("the global model's validation loss is not finite", "version", version)
		return
	}
	n.eval.loss = loss
	tokens := committed * uint64(n.job.Context())
	n.log.Info("validation", "loss", loss, "version", version, "tokens", tokens)
	n.report.append(Record{
		Event: EventEval, Tier: globalTier.String(), Loss: loss, Version: version, Tokens: tokens, Seconds: took.Seconds(),
	})
}
