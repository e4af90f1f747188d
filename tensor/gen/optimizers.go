package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// fields fills registers from..from+count-1 with the float32 fields of the struct
// that the parameter points to.
func (s *isa) fields(param string, from, count int) {
	at := Load(Param(param), GP64())
	for i := range count {
		VBROADCASTSS(Mem{Base: at, Disp: 4 * i}, s.v[from+i])
	}
}

func (s *isa) optimizers() {
	s.adamW()
	v := s.v
	s.text("arrive", "(theta, d, g []float32, ofDelta float32)", "is NesterovArrive without momentum.")
	theta, d, g, n := base("theta"), base("d"), base("g"), length("theta")
	s.fill(0, "ofDelta")
	s.loop(n, 2, func(u int, at func(reg.Register) Mem) {
		s.load(at(g), 1+3*u)
		s.load(at(d), 2+3*u)
		s.load(at(theta), 3+3*u)
		VADDPS(v[1+3*u], v[2+3*u], v[2+3*u])
		VFNMADD231PS(v[1+3*u], v[0], v[3+3*u])
		s.store(2+3*u, at(d))
		s.store(3+3*u, at(theta))
	})
	s.end()

	s.text("glide", "(theta, m, d, g []float32, ofMomentum, ofDelta float32)", "is NesterovArrive.")
	theta, d, g, n = base("theta"), base("d"), base("g"), length("theta")
	m := base("m")
	s.fill(0, "ofDelta")
	s.fill(1, "ofMomentum")
	s.loop(n, 1, func(_ int, at func(reg.Register) Mem) {
		s.load(at(g), 2)
		s.load(at(d), 3)
		s.load(at(theta), 4)
		s.load(at(m), 5)
		VADDPS(v[2], v[3], v[3])
		VMULPS(v[1], v[5], v[5])
		VFMADD231PS(v[2], v[0], v[5])
		VSUBPS(v[5], v[4], v[4])
		s.store(3, at(d))
		s.store(4, at(theta))
	})
	s.end()

	s.text("renew", "(theta, m, d, g []float32, s *float32)", "is NesterovRenew; s is the first field of a NesterovStep.")
	theta, m, d, g, n = base("theta"), base("m"), base("d"), base("g"), length("theta")
	s.fields("s", 0, 4) // Beta, Share, OfMomentum, OfDelta
	s.zero(4)
	s.loop(n, 1, func(_ int, at func(reg.Register) Mem) {
		s.load(at(g), 5)
		s.load(at(d), 6)
		s.load(at(theta), 7)
		s.load(at(m), 8)
		VADDPS(v[5], v[6], v[6])
		VMULPS(v[1], v[6], v[6])
		VFMADD213PS(v[6], v[0], v[8])
		VMULPS(v[2], v[8], v[6])
		VFMADD231PS(v[5], v[3], v[6])
		VSUBPS(v[6], v[7], v[7])
		s.store(8, at(m))
		s.store(4, at(d))
		s.store(7, at(theta))
	})
	s.end()
}

func (s *isa) adamW() {
	v := s.v
	s.text("adamW", "(p, g, m, v []float32, s *float32)", "is AdamW; s is the first field of an AdamWStep.")
	p, g, m, sq, n := base("p"), base("g"), base("m"), base("v"), length("p")
	s.fields("s", 0, 9)
	scale, beta1, rest1, beta2, rest2, rate, root, eps, keep := v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8]
	s.loop(n, 1, func(_ int, at func(reg.Register) Mem) {
		G, M, V, P := v[9], v[10], v[11], v[12]
		s.load(at(g), 9)
		s.load(at(m), 10)
		s.load(at(sq), 11)
		s.load(at(p), 12)
		VMULPS(scale, G, G)
		VMULPS(beta1, M, M)
		VFMADD231PS(rest1, G, M)
		VMULPS(G, G, G)
		VMULPS(beta2, V, V)
		VFMADD231PS(rest2, G, V)
		s.store(10, at(m))
		s.store(11, at(sq))
		VSQRTPS(V, V)
		VFMADD213PS(eps, root, V)
		VMULPS(rate, M, M)
		VDIVPS(V, M, M)
		VFMSUB213PS(M, keep, P)
		s.store(12, at(p))
	})
	s.end()
}
