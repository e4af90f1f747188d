package optim

import (
	"errors"
	"fmt"
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
	ofDelta := float32(c.LR / n)
	if o.T%uint64(c.N) == 0 {
		o.renew(theta, g, float32(c.LR*(1-c.C*n+c.C)*c.Beta), ofDelta)
		return
	}
	o.arrive(theta, g, float32(c.LR*c.C*c.Beta), ofDelta)
}

// renew applies the last of N deltas, which updates the momentum first.
func (o *DelayedNesterov) renew(theta, g []float32, ofMomentum, ofDelta float32) {
	beta, share := float32(o.Config.Beta), float32(1/float64(o.Config.N))
	m, d := o.M[:len(theta)], o.D[:len(theta)]
	g = g[:len(theta)]
	for i := range theta {
		m[i] = beta*m[i] + share*(d[i]+g[i])
		d[i] = 0
		theta[i] -= ofMomentum*m[i] + ofDelta*g[i]
	}
}

// arrive applies any other delta. Where c is 0 it leaves the momentum unread.
func (o *DelayedNesterov) arrive(theta, g []float32, ofMomentum, ofDelta float32) {
	m, d := o.M[:len(theta)], o.D[:len(theta)]
	g = g[:len(theta)]
	if ofMomentum == 0 {
		for i := range theta {
			d[i] += g[i]
			theta[i] -= ofDelta * g[i]
		}
		return
	}
	for i := range theta {
		d[i] += g[i]
		theta[i] -= ofMomentum*m[i] + ofDelta*g[i]
	}
}
