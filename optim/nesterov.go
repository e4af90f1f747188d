package optim

import (
	"errors"
	"fmt"

	"halos/tensor"
)

// NesterovConfig holds the settings of delayed Nesterov.
type NesterovConfig struct {
	LR   float64 `json:"lr" yaml:"lr"`     // of the formula: the paper's rate per arrival times N
	Beta float64 `json:"beta" yaml:"beta"` // momentum decay, in [0,1)
	C    float64 `json:"c" yaml:"c"`       // share of the momentum that each arrival applies, in [0,1/N]
	N    int     `json:"n" yaml:"n"`       // arrivals per update of the momentum
}

// Validate joins all faults of c.
func (c NesterovConfig) Validate() error {
	faults := []error{positive("lr", c.LR), fraction("beta", c.Beta)}
	if c.N < 1 {
		faults = append(faults, fmt.Errorf("n is %d, want at least 1", c.N))
	} else if !(c.C >= 0 && c.C <= 1/float64(c.N)) {
		faults = append(faults, fmt.Errorf("c is %v, want at least 0 and at most 1/n, which is %.6g", c.C, 1/float64(c.N)))
	}
	return errors.Join(faults...)
}

// DelayedNesterov is a server's optimizer (arXiv 2401.09135): every delta moves
// the model as it arrives, the momentum takes the mean of N of them at a time.
type DelayedNesterov struct {
	Config NesterovConfig
	M      []float32 // [n] momentum
	D      []float32 // [n] sum of the deltas since the momentum's last update
	T      uint64    // deltas applied

	step tensor.NesterovStep // the one under way
}

// NewDelayedNesterov returns an optimizer of n parameters without momentum.
func NewDelayedNesterov(c NesterovConfig, n int) *DelayedNesterov {
	return &DelayedNesterov{Config: c, M: make([]float32, n), D: make([]float32, n)}
}

// Step applies the delta g to theta. A delta is the model a round started from
// minus the one it ended with, so theta moves against it. With t deltas before:
//
//	D += g
//	(t+1) mod N = 0:  m = beta*m + D/N;  theta -= lr*((1-c*N+c)*beta*m + g/N);  D = 0
//	otherwise:                           theta -= lr*(c*beta*m + g/N)
//
// g is only read and may not alias theta. Panics if the lengths disagree.
func (o *DelayedNesterov) Step(theta, g []float32) {
	if len(theta) != len(o.M) || len(g) != len(o.M) {
		panic(fmt.Sprintf("optim: delayed Nesterov of %d parameters stepped with %d parameters and a delta of %d", len(o.M), len(theta), len(g)))
	}
	o.T++
	c, n := o.Config, float64(o.Config.N)
	o.step = tensor.NesterovStep{Beta: float32(c.Beta), Share: float32(1 / n), OfDelta: float32(c.LR / n)}
	if o.T%uint64(c.N) == 0 {
		o.step.OfMomentum = float32(c.LR * (1 - c.C*n + c.C) * c.Beta)
		tensor.NesterovRenew(theta, o.M, o.D, g, &o.step)
		return
	}
	o.step.OfMomentum = float32(c.LR * c.C * c.Beta)
	tensor.NesterovArrive(theta, o.M, o.D, g, &o.step)
}
