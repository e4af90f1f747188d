package optim

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"halos/tensor"
)

// AdamWConfig holds the settings of AdamW (arXiv 1711.05101) in PyTorch's
// parametrisation: weight decay is multiplied by the learning rate.
type AdamWConfig struct {
	Beta1       float64 `json:"beta1" yaml:"beta1"`               // decay of the gradient's mean, in [0,1)
	Beta2       float64 `json:"beta2" yaml:"beta2"`               // decay of the squared gradient's mean, in [0,1)
	Eps         float64 `json:"eps" yaml:"eps"`                   // added to the root of the squared mean
	WeightDecay float64 `json:"weight_decay" yaml:"weight_decay"` // per unit of learning rate
	Clip        float64 `json:"clip" yaml:"clip"`                 // bound on the gradient's global norm; 0 is none
}

// Validate joins all faults of c.
func (c AdamWConfig) Validate() error {
	return errors.Join(
		fraction("beta1", c.Beta1),
		fraction("beta2", c.Beta2),
		positive("eps", c.Eps),
		notNegative("weight_decay", c.WeightDecay),
		notNegative("clip", c.Clip),
	)
}

// Span is the half-open range of the flat parameter slice that holds one tensor.
type Span struct{ Start, End int }

// AdamW is one worker's optimizer. Its moments and its step count stay from one
// round to the next; only Step changes them. The same steps give the same bits with
// any Pool.
type AdamW struct {
	Config AdamWConfig
	Pool   *tensor.Pool // nil: the caller's thread alone
	M      []float32    // [n] running mean of the gradient
	V      []float32    // [n] running mean of its square
	Steps  uint64       // steps taken, for the bias correction

	regions []region // all of [0,n), in order

	// The step under way.
	params, grads []float32
	squares       []float64 // [regions] sums over the gradient
	decay, plain  tensor.AdamWStep
}

// region is a part of the flat slice in which weight decay applies to all
// parameters or to none.
type region struct {
	Span
	decays bool
}

// regionLen is the longest region: a part of a step that one thread does.
const regionLen = 1 << 16

// NewAdamW returns an optimizer of n parameters. Weight decay applies to those in
// the spans of decay, which may come in any order; it panics if they overlap or
// leave [0,n).
func NewAdamW(c AdamWConfig, n int, decay []Span) *AdamW {
	o := &AdamW{Config: c, M: make([]float32, n), V: make([]float32, n)}
	end := 0
	for _, s := range slices.SortedFunc(slices.Values(decay), func(a, b Span) int { return a.Start - b.Start }) {
		if s.Start < end || s.End < s.Start || s.End > n {
			panic(fmt.Sprintf("optim: decay span [%d,%d) overlaps [0,%d) or leaves [0,%d)", s.Start, s.End, end, n))
		}
		o.add(end, s.Start, false)
		o.add(s.Start, s.End, true)
		end = s.End
	}
	o.add(end, n, false)
	o.squares = make([]float64, len(o.regions))
	return o
}

// add appends the regions of [start,end).
func (o *AdamW) add(start, end int, decays bool) {
	for ; start < end; start += regionLen {
		o.regions = append(o.regions, region{Span{start, min(start+regionLen, end)}, decays})
	}
}

// Step moves params against grads at the learning rate lr and returns the
// Euclidean norm of grads before clipping. Clipping scales by min(1,
// Clip/(norm+1e-6)), as PyTorch does; grads itself is only read.
//
// If the norm is not finite, Step changes nothing at all: the caller decides
// whether that ends the run. It panics if the lengths disagree.
func (o *AdamW) Step(params, grads []float32, lr float64) (norm float64) {
	if len(params) != len(o.M) || len(grads) != len(o.M) {
		panic(fmt.Sprintf("optim: AdamW of %d parameters stepped with %d parameters and %d gradients", len(o.M), len(params), len(grads)))
	}
	o.params, o.grads = params, grads
	defer func() { o.params, o.grads = nil, nil }()
	o.Pool.Run(len(o.regions), (*squaring)(o))
	for _, s := range o.squares {
		norm += s
	}
	norm = math.Sqrt(norm)
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm
	}
	o.Steps++
	o.plain = o.coefficients(norm, lr)
	o.decay = o.plain
	o.decay.Keep = float32(1 - lr*o.Config.WeightDecay)
	o.Pool.Run(len(o.regions), (*moving)(o))
	return norm
}

// squaring is the first half of a step, by regions: the norm.
type squaring AdamW

func (o *squaring) Part(i int) {
	r := o.regions[i]
	o.squares[i] = tensor.SumSquares(o.grads[r.Start:r.End])
}

// moving is the second half.
type moving AdamW

func (o *moving) Part(i int) {
	r, step := o.regions[i], &o.plain
	if r.decays {
		step = &o.decay
	}
	tensor.AdamW(o.params[r.Start:r.End], o.grads[r.Start:r.End], o.M[r.Start:r.End], o.V[r.Start:r.End], step)
}

// coefficients are computed in float64 and rounded once. They are those without
// weight decay.
func (o *AdamW) coefficients(norm, lr float64) tensor.AdamWStep {
	c, t, scale := o.Config, float64(o.Steps), 1.0
	if c.Clip > 0 {
		scale = min(1, c.Clip/(norm+1e-6))
	}
	return tensor.AdamWStep{
		Scale: float32(scale),
		Beta1: float32(c.Beta1), Rest1: float32(1 - c.Beta1),
		Beta2: float32(c.Beta2), Rest2: float32(1 - c.Beta2),
		Rate: float32(lr / (1 - math.Pow(c.Beta1, t))),
		Root: float32(1 / math.Sqrt(1-math.Pow(c.Beta2, t))),
		Eps:  float32(c.Eps),
		Keep: 1,
	}
}
