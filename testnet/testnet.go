package testnet

import (
	"context"
	"errors"
	"time"
)

// ErrAborted says that Config.Abort killed the processes: what they had not handed
// over is in no checkpoint.
var ErrAborted = errors.New("aborted: the processes were killed before they had drained")

// Run runs a testnet until its duration is over, the job has ended or ctx ends;
// then it drains all processes and shows the summary. None of them outlives Run,
// nor this process, however it ends.
//
// An error says that the run did not end as planned; the result is valid all the
// same if anything was trained, else it is zero. The failure of one process is an
// *ExitError.
func Run(ctx context.Context, c Config) (_ Result, err error) {
	n, err := newNetwork(c)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	n.display.note("testnet of %d regions with %d workers each, in %s", c.Regions, c.Workers, n.env.dir)
	if err := n.describeLinks(); err != nil {
		return Result{}, err
	}
	n.started = time.Now()
	err = n.end(context.WithoutCancel(ctx), n.train(ctx))
	n.tally.read()
	if err != nil && n.tally.firstRound.IsZero() {
		return Result{}, err
	}
	result := n.tally.result(c.Regions, c.Regions*c.Workers, n.started, time.Now())
	n.display.summary(result)
	return result, errors.Join(err, n.tally.fault)
}

// train starts the processes and watches them until the run is to end; nil is as
// planned.
func (n *network) train(ctx context.Context) error {
	if n.config.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, n.config.Duration)
		defer cancel()
	}
	err := n.until(ctx, n.advance)
	if err == nil {
		n.phase = phaseTraining
		err = n.until(ctx, n.over)
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}
