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
	for len(x) > piece {
		active.gelu(y[:piece], slope[:piece], x[:piece])
		y, slope, x = y[piece:], slope[piece:], x[piece:]
	}
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

// exp returns e**x for x up to 88 to 2e-7 of its value; below -87 it returns
// e**-87, 1.6e-38. NaN gives NaN.
//
// With x = n*ln2 + r and |r| <= ln2/2 it is 2**n times a polynomial in r, the one
// of Cephes' expf. Adding 3<<22 rounds to an integer and leaves it in the low bits
// of the sum, from where a shift makes it an exponent. The polynomial is summed as
// a tree: a chain of dependent operations is what costs the time here.
func exp(x float32) float32 {
	const (
		log2e = 1.44269504088896341
		round = 3 << 22
		ln2hi = 0.693359375 // ln2 = ln2hi - ln2lo, and n*ln2hi is exact
		ln2lo = 2.12194440e-4
	)
	if x < -87 {
		x = -87
	}
	t := x*log2e + round
	n := t - round
	r := (x - n*ln2hi) + n*ln2lo
	q := r * r
	p := (1.9875691500e-4*r+1.3981999507e-3)*q + (8.3334519073e-3*r + 4.1665795894e-2)
	p = p*q + (1.6666665459e-1*r + 5.0000001201e-1)
	return (p*q + (r + 1)) * math.Float32frombits((math.Float32bits(t)+127)<<23)
}
