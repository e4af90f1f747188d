package train

import (
	"context"

	"halos/data"
	"halos/model"
)

// evalBatch is the number of held-out windows that go through the model at once:
// enough to keep it busy, few enough to notice soon that the context ended.
const evalBatch = 8

// Evaluator measures the loss on held-out windows that are the same at every
// call. It serves one goroutine at a time and allocates nothing after it is made.
type Evaluator struct {
	corpus  *data.Corpus
	net     *model.Net
	context int
	windows int
	tokens  []int32 // [at most evalBatch, context+1]
}

// NewEvaluator returns an evaluator over windows held-out windows of context
// predicted tokens each, spread evenly over the text, or over all of them if there
// are fewer. The corpus must have one, see its Check.
func NewEvaluator(c model.Config, corpus *data.Corpus, context, windows int, o model.Options) *Evaluator {
	o.Recompute = true // no backward pass follows, so it costs nothing
	windows = min(windows, corpus.ValidationCount(context+1))
	batch := min(windows, evalBatch)
	return &Evaluator{
		corpus:  corpus,
		net:     model.NewNet(c, batch, context, o),
		context: context,
		windows: windows,
		tokens:  make([]int32, batch*(context+1)),
	}
}

// Loss returns the mean cross-entropy of params on the held-out windows, in nats
// per token; it is not finite if the model is not. When ctx ends, so does Loss,
// with ctx's error.
func (e *Evaluator) Loss(ctx context.Context, params []float32) (float64, error) {
	width := e.context + 1
	count := e.corpus.ValidationCount(width)
	sum := 0.0
	for first := 0; first < e.windows; first += evalBatch {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		rows := min(evalBatch, e.windows-first)
		for row := range rows {
			e.corpus.Validation(e.tokens[row*width:(row+1)*width], (first+row)*count/e.windows)
		}
		sum += float64(rows) * e.net.Loss(params, e.tokens[:rows*width], rows, e.context)
	}
	return sum / float64(e.windows), nil
}
