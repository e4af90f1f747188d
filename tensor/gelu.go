package tensor

import "math"

// GELU sets y = x*Phi(x), with Phi the normal distribution function (the exact
// form, not the tanh one), and slope to its derivative Phi(x) + x*phi(x). Both are
// within 3e-7*max(1, |x|) of the true value. y and slope may alias x, not each other.
//
// The derivative comes almost free here, so the backward pass is dx = dy*slope, a
// Mul, and x need not be kept.
func GELU(y, slope, x []float32) {
	sameLen("gelu", len(y), len(x))
	sameLen("gelu", len(slope), len(x))
	active.gelu(y, slope, x)
}

// geluGo computes 1-Phi(u) for u = |x| as e*t*P(t), with e = exp(-u*u/2) and
// t = 1/(1+u/4), the form of Abramowitz and Stegun 7.1.26. P is a minimax fit of
// (1-Phi(u))/(e*t) weighted by e: the error is below 4e-9 before rounding.
func geluGo(y, slope, x []float32) {
	const invSqrt2Pi = 0.3989422804014327
	y, slope = y[:len(x)], slope[:len(x)]
	for i, v := range x {
		u := math.Float32frombits(math.Float32bits(v) &^ (1 << 31))
		e := exp(-0.5 * u * u)
		t := 1 / (1 + 0.25*u)
		tail := -0.0905578461*t + 0.336166142
		tail = tail*t - 0.255247808
		tail = tail*t + 0.267761476
		tail = tail*t + 0.0333248282
		tail = tail*t + 0.109341675
		tail = (tail*t + 0.0992115292) * t * e
		if v > 0 {
			tail = 1 - tail
		}
		y[i] = v * tail
		slope[i] = tail + v*e*invSqrt2Pi
	}
}
