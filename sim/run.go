package sim

import (
	"context"
	"errors"
	"fmt"

	"halos/data"
	"halos/roles"
	"halos/train"
)

// run is one method under way: what all methods share.
type run struct {
	Config
	ctx     context.Context
	cancel  context.CancelFunc
	learner Learner
	crew    *crew
	method  method
	agenda

	global  []float32 // [n] the model that counts
	workers []*worker
	trained uint64 // local steps that the global model contains, by the method's own count
	ended   bool
	tally   tally
	toll    *Toll // nil without faults
	curve   []Point
	watch   func(event) // told of every event once it has been handled, nil if nobody watches
}

// method is what sets one apart from the others.
type method interface {
	start() error         // gives every worker its first round
	handle(e event) error // does what has been appointed
}

// lasting is a method whose runs can be stopped and resumed. Those of another begin
// again, to the same end.
type lasting interface {
	save(*state)      // adds what it has of its own
	load(state) error // takes that back, instead of start
}

// worker is one machine that trains.
type worker struct {
	id, region int
	speed      float64 // of the fastest
	steps      int     // of a round
	seq        uint64  // rounds it has delivered
	version    uint64  // of the server's model it started from
	base       roles.ModelID
	start      []float32 // [n] that model
	params     []float32 // [n] after the round
	task       data.Task
	training   *future
	until      float64 // ms, when its computation ends
}

func (w *worker) name() string { return fmt.Sprintf("w%d", w.id) }

// Run simulates c with a learner that has not trained yet, from the given parameters,
// which it takes over. A learner that diverges ends the run, and so does ctx, with a
// result of what was reached; other errors have none.
func Run(ctx context.Context, c Config, learner Learner, initial []float32) (Result, error) {
	if err := c.Validate(); err != nil {
		return Result{}, err
	}
	r := newRun(ctx, c, learner, initial)
	defer r.dismiss()
	err := r.begin()
	for err == nil && !r.ended {
		err = r.event()
	}
	return r.outcome(err)
}

func newRun(ctx context.Context, c Config, learner Learner, initial []float32) *run {
	ctx, cancel := context.WithCancel(ctx)
	r := &run{Config: c, ctx: ctx, cancel: cancel, learner: learner, global: initial}
	regions, speeds := c.Env.workers()
	for i, region := range regions {
		r.workers = append(r.workers, &worker{
			id: i, region: region, speed: speeds[i], steps: c.Algo.localSteps(c.Roles.H, speeds[i], c.Roles.Rescale),
			start: make([]float32, len(initial)), params: make([]float32, len(initial)),
		})
	}
	r.crew = newCrew(c.Jobs, len(r.workers))
	switch {
	case c.Faults.EveryMS > 0:
		r.method = newFleet(r)
	case c.Algo == HALoS:
		r.method = newHalos(r)
	case c.Algo == Async:
		r.method = newAsync(r)
	case c.Algo == DiLoCo || c.Algo == DiLoCoDyn:
		r.method = newDiloco(r)
	default:
		r.method = newSynchronous(r)
	}
	return r
}

// dismiss ends the crew, in the middle of rounds that nobody waits for any more.
func (r *run) dismiss() {
	r.cancel()
	r.crew.dismiss()
}

// begin measures the first model and gives out the first rounds.
func (r *run) begin() error {
	if err := r.evaluate(); err != nil || r.ended {
		return err
	}
	return r.method.start()
}

// event lets the next one happen.
func (r *run) event() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	e := r.next()
	if err := r.method.handle(e); err != nil {
		return err
	}
	if r.tally.Events++; r.watch != nil {
		r.watch(e)
	}
	return nil
}

// outcome is the result of a run that err has ended, nil if it is complete.
func (r *run) outcome(err error) (Result, error) {
	res := r.result()
	if errors.Is(err, train.ErrDiverged) {
		res.Diverged = true
		return res, nil
	}
	return res, err
}

// train lets w train its task from w.start, and appoints its delivery after the
// computation and ms of transfers.
func (r *run) train(w *worker, ms float64) {
	r.learn(w)
	r.after(ms+r.compute(w)+float64(w.id)*tie, event{Kind: finished, Who: w.id})
}

// tie keeps the rounds of equal workers apart, ms; so does the authors' simulator.
const tie = 1e-6

// learn lets w train its task from w.start.
func (r *run) learn(w *worker) {
	copy(w.params, w.start)
	w.training = r.crew.start(func() (float64, error) { return r.learner.Train(r.ctx, w.id, w.params, w.task) })
}

// compute is how long w computes on a round, ms, and counts it.
func (r *run) compute(w *worker) float64 {
	ms := float64(w.task.Steps) * r.Cost.StepMS / w.speed
	r.tally.Busy += ms
	w.until = r.now + ms
	return ms
}

// steps counts local steps that the global model has taken in, and evaluates it or
// ends the run when it is time.
func (r *run) steps(n uint64) error {
	before := r.trained
	r.trained += n
	r.ended = r.trained >= r.Steps
	if r.Progress != nil {
		r.Progress(min(1, float64(r.trained)/float64(r.Steps)))
	}
	if k := uint64(r.Evaluations); k > 0 && (r.ended || before*k/r.Steps < r.trained*k/r.Steps) {
		return r.evaluate()
	}
	return nil
}

// evaluate measures the global model.
func (r *run) evaluate() error {
	if r.Evaluations == 0 {
		return nil
	}
	loss, err := r.learner.Loss(r.ctx, r.global)
	if err != nil {
		return err
	}
	if loss-loss != 0 { // not finite
		return fmt.Errorf("%w: held-out loss %v", train.ErrDiverged, loss)
	}
	r.curve = append(r.curve, Point{Seconds: r.now / 1e3, Tokens: r.trained * uint64(r.TokensPerStep), Loss: loss})
	r.ended = r.ended || loss <= r.Until
	return nil
}

// between counts bytes that cross from one region to another and returns how long
// they take, ms.
func (r *run) between(from, to int, bytes float64) float64 {
	if from != to {
		r.tally.WAN += bytes
	}
	return r.Env.transfer(from, to, bytes)
}
