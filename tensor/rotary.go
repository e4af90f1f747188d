package tensor

import "math"

// RotaryTable fills the cosines and sines of Rotary: the angle of pair i at
// position p is p * base**(-2i/r), with r = 2*pairs turned elements per head.
//
//	cos, sin  [positions, pairs]
func RotaryTable(cos, sin []float32, pairs int, base float64) {
	sameLen("rotary table", len(cos), len(sin))
	for k := range cos {
		p, i := k/pairs, k%pairs
		angle := float64(p) * math.Pow(base, -float64(i)/float64(pairs))
		cos[k], sin[k] = float32(math.Cos(angle)), float32(math.Sin(angle))
	}
}

// Rotary turns the pairs (x[i], x[i+pairs]) by the angles of one position, in
// place; elements from 2*pairs on stay.
//
//	x         [head size]
//	cos, sin  [pairs]      one row of RotaryTable
func Rotary(x, cos, sin []float32) {
	sameLen("rotary", len(cos), len(sin))
	active.rotate(x[:2*len(cos)], cos, sin, 1)
}

// RotaryGrad turns a gradient back, in place.
func RotaryGrad(dx, cos, sin []float32) {
	sameLen("rotary gradient", len(cos), len(sin))
	active.rotate(dx[:2*len(cos)], cos, sin, -1)
}

// rotateGo turns by the angles times sign.
func rotateGo(x, cos, sin []float32, sign float32) {
	a, b := x[:len(cos)], x[len(cos):][:len(cos)]
	sin = sin[:len(cos)]
	for i, c := range cos {
		s := sign * sin[i]
		a[i], b[i] = a[i]*c-b[i]*s, b[i]*c+a[i]*s
	}
}
