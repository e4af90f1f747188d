package tensor

import "math"

func exp(x float32) float32 {
	const (
		log2e = 1.44269504088896341
		round = 3 << 22
		ln2hi = 0.693359375 // ln2 in two parts: n*ln2hi is exact
		ln2lo = -2.12194440e-4
	)
	if x < -87 {
		x = -87
	}
	t := x*log2e + round
	n := t - round
	r := x - n*ln2hi - n*ln2lo
	p := ((((1.9875691500e-4*r+1.3981999507e-3)*r+8.3334519073e-3)*r+4.1665795894e-2)*r+1.6666665459e-1)*r + 5.0000001201e-1
	return (p*r*r + r + 1) * math.Float32frombits((math.Float32bits(t)+127)<<23)
}
