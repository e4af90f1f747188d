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
// round to the next; only Step changes them.
type AdamW struct {
	Config AdamWConfig
	M      []float32 // [n] running mean of the gradient
	V      []float32 // [n] running mean of its square
	Steps  uint64    // steps taken, for the bias correction

	regions []region // all of [0,n), in order
}

// region is a part of the flat slice in which weight decay applies to all
// parameters or to none.
type region struct {
	Span
	decays bool
}

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
		o.regions = append(o.regions, region{Span{end, s.Start}, false}, region{s, true})
		end = s.End
	}
	o.regions = append(o.regions, region{Span{end, n}, false})
	return o
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
	norm = tensor.Norm(grads)
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm
	}
	o.Steps++
	k := o.coefficients(norm, lr)
	for _, r := range o.regions {
		keep := float32(1)
		if r.decays {
			keep = float32(1 - lr*o.Config.WeightDecay)
		}
		k.apply(params[r.Start:r.End], grads[r.Start:r.End], o.M[r.Start:r.End], o.V[r.Start:r.End], keep)
	}
	return norm
}

// coefficients are what one step has in common for all parameters, computed in
// float64 and rounded once.
type coefficients struct {
	scale        float32 // of the gradient, for clipping
	beta1, rest1 float32 // and 1 minus it
	beta2, rest2 float32
	rate         float32 // lr / (1 - beta1^t)
	root         float32 // 1 / sqrt(1 - beta2^t)
	eps          float32
}

func (o *AdamW) coefficients(norm, lr float64) coefficients {
	c, t, scale := o.Config, float64(o.Steps), 1.0
	if c.Clip > 0 {
		scale = min(1, c.Clip/(norm+1e-6))
	}
	return coefficients{
		scale: float32(scale),
		beta1: float32(c.Beta1), rest1: float32(1 - c.Beta1),
		beta2: float32(c.Beta2), rest2: float32(1 - c.Beta2),
		rate: float32(lr / (1 - math.Pow(c.Beta1, t))),
		root: float32(1 / math.Sqrt(1-math.Pow(c.Beta2, t))),
		eps:  float32(c.Eps),
	}
}

// apply is the update of the parameters p, all of one length, whose weight decay
// keeps the share keep of them.
func (k coefficients) apply(p, g, m, v []float32, keep float32) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	for i := range p {
		x := k.scale * g[i]
		m[i] = k.beta1*m[i] + k.rest1*x
		v[i] = k.beta2*v[i] + k.rest2*x*x
		root := float32(math.Sqrt(float64(v[i]))) * k.root
		p[i] = keep*p[i] - k.rate*m[i]/(root+k.eps)
	}
}
