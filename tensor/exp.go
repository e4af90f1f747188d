package tensor

import "math"

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
