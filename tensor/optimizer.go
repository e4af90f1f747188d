package tensor

import "math"

// AdamWStep holds what one step of AdamW has in common for all parameters.
type AdamWStep struct {
	Scale        float32 // of the gradient, for clipping
	Beta1, Rest1 float32 // decay of the gradient's mean, and 1 minus it
	Beta2, Rest2 float32 // decay of its square's mean, and 1 minus it
	Rate         float32 // lr / (1 - beta1^t)
	Root         float32 // 1 / sqrt(1 - beta2^t)
	Eps          float32
	Keep         float32 // share of a parameter that weight decay leaves
}

// AdamW moves the parameters p against their gradients g, all of one length, in one
// pass. With x = Scale*g:
//
//	m = Beta1*m + Rest1*x
//	v = Beta2*v + Rest2*x*x
//	p = Keep*p - Rate*m / (Root*sqrt(v) + Eps)
func AdamW(p, g, m, v []float32, s *AdamWStep) {
	sameLen("adamw", len(g), len(p))
	sameLen("adamw", len(m), len(p))
	sameLen("adamw", len(v), len(p))
	for len(p) > piece {
		active.adamW(p[:piece], g[:piece], m[:piece], v[:piece], s)
		p, g, m, v = p[piece:], g[piece:], m[piece:], v[piece:]
	}
	active.adamW(p, g, m, v, s)
}

func adamWGo(p, g, m, v []float32, s *AdamWStep) {
	k := *s
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	for i := range p {
		x := k.Scale * g[i]
		m[i] = k.Beta1*m[i] + k.Rest1*x
		v[i] = k.Beta2*v[i] + k.Rest2*x*x
		root := float32(math.Sqrt(float64(v[i]))) * k.Root
		p[i] = k.Keep*p[i] - k.Rate*m[i]/(root+k.Eps)
	}
}

// NesterovStep holds what one arrival of delayed Nesterov has in common for all
// parameters.
type NesterovStep struct {
	Beta, Share float32 // decay of the momentum, and 1/N
	OfMomentum  float32 // share of the momentum by which theta moves
	OfDelta     float32 // share of the delta by which theta moves
}

// NesterovArrive adds the delta g to d and moves theta, in one pass:
//
//	d += g;  theta -= OfMomentum*m + OfDelta*g
//
// Where OfMomentum is 0 the momentum is not read.
func NesterovArrive(theta, m, d, g []float32, s *NesterovStep) {
	sameNesterov(theta, m, d, g)
	for len(theta) > 0 {
		n := min(piece, len(theta))
		if s.OfMomentum == 0 {
			active.arrive(theta[:n], d[:n], g[:n], s.OfDelta)
		} else {
			active.glide(theta[:n], m[:n], d[:n], g[:n], s.OfMomentum, s.OfDelta)
		}
		theta, m, d, g = theta[n:], m[n:], d[n:], g[n:]
	}
}

// NesterovRenew applies the last of N deltas, which updates the momentum first, in
// one pass:
//
//	m = Beta*m + Share*(d+g);  d = 0;  theta -= OfMomentum*m + OfDelta*g
func NesterovRenew(theta, m, d, g []float32, s *NesterovStep) {
	sameNesterov(theta, m, d, g)
	for len(theta) > piece {
		active.renew(theta[:piece], m[:piece], d[:piece], g[:piece], s)
		theta, m, d, g = theta[piece:], m[piece:], d[piece:], g[piece:]
	}
	active.renew(theta, m, d, g, s)
}

func sameNesterov(theta, m, d, g []float32) {
	sameLen("nesterov", len(m), len(theta))
	sameLen("nesterov", len(d), len(theta))
	sameLen("nesterov", len(g), len(theta))
}

func arriveGo(theta, d, g []float32, ofDelta float32) {
	d, g = d[:len(theta)], g[:len(theta)]
	for i := range theta {
		d[i] += g[i]
		theta[i] -= ofDelta * g[i]
	}
}

func glideGo(theta, m, d, g []float32, ofMomentum, ofDelta float32) {
	m, d, g = m[:len(theta)], d[:len(theta)], g[:len(theta)]
	for i := range theta {
		d[i] += g[i]
		theta[i] -= ofMomentum*m[i] + ofDelta*g[i]
	}
}

func renewGo(theta, m, d, g []float32, s *NesterovStep) {
	k := *s
	m, d, g = m[:len(theta)], d[:len(theta)], g[:len(theta)]
	for i := range theta {
		m[i] = k.Beta*m[i] + k.Share*(d[i]+g[i])
		d[i] = 0
		theta[i] -= k.OfMomentum*m[i] + k.OfDelta*g[i]
	}
}
