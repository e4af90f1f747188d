package tensor

import "math"

// GELU sets y = x*Phi(x), with Phi the normal distribution function (the exact
// form, not the one by tanh), and slope to its derivative Phi(x) + x*phi(x). Both
// are within 3e-7*max(1, |x|) of the true value. y or slope may alias x.
//
// The derivative is almost free here, so the backward pass is dx = dy*slope, a
// Mul, and x need not be kept for it.
func GELU(y, slope, x []float32) {
	sameLen("gelu", len(y), len(x))
	sameLen("gelu", len(slope), len(x))
	active.gelu(y, slope, x)
}

// geluGo computes 1-Phi(u), u = |x|, as e*t*P(t) with e = exp(-u*u/2) and
// t = 1/(1+u/4), the form of Abramowitz and Stegun 7.1.26. P is a minimax fit of
// (1-Phi(u))/(e*t) weighted by e; before rounding, the error is below 4e-9.
func geluGo(y, slope, x []float32) {
	const (
		c0, c1, c2, c3 = 0.0992115292, 0.109341675, 0.0333248282, 0.267761476
		c4, c5, c6     = -0.255247808, 0.336166142, -0.0905578461
		invSqrt2Pi     = 0.3989422804014327
		signBit        = 1 << 31
	)
	y, slope = y[:len(x)], slope[:len(x)]
	for i, v := range x {
		bits := math.Float32bits(v)
		e := exp(-0.5 * v * v)
		t := 1 / (1 + 0.25*math.Float32frombits(bits&^signBit))
		t2 := t * t
		high := (c6*t+c5)*t2 + (c4*t + c3)
		tail := (high*(t2*t) + (c2*t2 + (c1*t + c0))) * (t * e)
		half := math.Float32frombits(math.Float32bits(0.5-tail) | bits&signBit)
		phi := 0.5 + half
		y[i] = v * phi
		slope[i] = phi + v*e*invSqrt2Pi
	}
}
