package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// exp replaces register x by e**x, as exp of gelu.go does. It spoils registers
// t..t+3.
func (s *isa) exp(x, t int) {
	v := s.v
	X, T, N, Q, P := v[x], v[t], v[t+1], v[t+2], v[t+3]
	VMOVUPS(s.all(-87), T)
	VMAXPS(X, T, X) // the second source, X, where that is NaN
	VMOVUPS(s.all(3<<22), T)
	VFMADD231PS(s.all(math.Log2E), X, T)
	VSUBPS(s.all(3<<22), T, N)
	VFNMADD231PS(s.all(0.693359375), N, X)
	VFMADD231PS(s.all(2.12194440e-4), N, X) // r
	VMULPS(X, X, Q)
	VMOVUPS(s.all(1.3981999507e-3), P)
	VFMADD231PS(s.all(1.9875691500e-4), X, P)
	VMOVUPS(s.all(4.1665795894e-2), N)
	VFMADD231PS(s.all(8.3334519073e-3), X, N)
	VFMADD213PS(N, Q, P)
	VMOVUPS(s.all(5.0000001201e-1), N)
	VFMADD231PS(s.all(1.6666665459e-1), X, N)
	VFMADD213PS(N, Q, P)
	VADDPS(s.all(1), X, X)
	VFMADD231PS(P, Q, X)
	VPADDD(s.bits(127), T, T)
	VPSLLD(U8(23), T, T)
	VMULPS(T, X, X)
}

// and is the bitwise and of two vectors.
func (s *isa) and(a Op, b, to reg.Register) {
	if s.wide() {
		VPANDD(a, b, to)
		return
	}
	VANDPS(a, b, to)
}

func (s *isa) or(a Op, b, to reg.Register) {
	if s.wide() {
		VPORD(a, b, to)
		return
	}
	VORPS(a, b, to)
}

func (s *isa) activations() {
	s.gelu()
	s.rotate()
	s.maximum()
	s.expSum()
	v := s.v
	s.text("softmaxGrad", "(d, w []float32, dot, scale float32)", "sets d = scale*w*(d - dot).")
	d, w, n := base("d"), base("w"), length("d")
	s.fill(0, "dot")
	s.fill(1, "scale")
	s.loop(n, 2, func(u int, at func(reg.Register) Mem) {
		s.load(at(d), 2+2*u)
		s.load(at(w), 3+2*u)
		VSUBPS(v[0], v[2+2*u], v[2+2*u])
		VMULPS(v[1], v[3+2*u], v[3+2*u])
		VMULPS(v[3+2*u], v[2+2*u], v[2+2*u])
		s.store(2+2*u, at(d))
	})
	s.end()
}

// gelu follows geluGo.
func (s *isa) gelu() {
	v := s.v
	s.text("gelu", "(y, slope, x []float32)", "is GELU and its derivative, see geluGo.")
	y, slope, x, n := base("y"), base("slope"), base("x"), length("x")
	s.loop(n, 1, func(_ int, at func(reg.Register) Mem) {
		X, E, T, T2, H, L := v[0], v[1], v[6], v[7], v[8], v[9]
		s.load(at(x), 0)
		VMULPS(s.all(-0.5), X, E)
		VMULPS(X, E, E)
		s.exp(1, 2)
		s.and(s.bits(1<<31-1), X, T)
		VMOVUPS(s.all(1), H)
		VFMADD213PS(H, s.vectorOf(L, 0.25), T) // 1 + |x|/4
		VDIVPS(T, H, T)
		VMULPS(T, T, T2)
		VMOVUPS(s.all(0.336166142), H)
		VFMADD231PS(s.all(-0.0905578461), T, H)
		VMOVUPS(s.all(0.267761476), L)
		VFMADD231PS(s.all(-0.255247808), T, L)
		VFMADD213PS(L, T2, H) // high
		VMOVUPS(s.all(0.0992115292), L)
		VFMADD231PS(s.all(0.109341675), T, L)
		VFMADD231PS(s.all(0.0333248282), T2, L)
		VMULPS(T, T2, T2)
		VFMADD231PS(T2, H, L)
		VMULPS(E, T, T)
		VMULPS(T, L, L) // the tail 1-Phi(|x|)
		VMOVUPS(s.all(0.5), H)
		VSUBPS(L, H, T)
		s.and(s.bits(1<<31), X, L)
		s.or(L, T, T)
		VADDPS(T, H, H) // Phi(x)
		VMULPS(H, X, T)
		VMULPS(s.all(0.3989422804014327), E, E)
		VFMADD231PS(E, X, H)
		s.store(6, at(y))
		s.store(8, at(slope))
	})
	s.end()
}

// vectorOf loads a constant into a register.
func (s *isa) vectorOf(to reg.Register, x float32) reg.Register {
	VMOVUPS(s.all(x), to)
	return to
}

func (s *isa) rotate() {
	v := s.v
	s.text("rotate", "(x, cos, sin []float32, sign float32)", "turns the pairs (x[i], x[len(cos)+i]) by the angles times sign.")
	x, cos, sin, n := base("x"), base("cos"), base("sin"), length("cos")
	half := GP64()
	LEAQ(Mem{Base: x, Index: n, Scale: 4}, half)
	s.fill(0, "sign")
	s.loop(n, 1, func(_ int, at func(reg.Register) Mem) {
		s.load(at(x), 1)
		s.load(at(half), 2)
		s.load(at(cos), 3)
		s.load(at(sin), 4)
		VMULPS(v[0], v[4], v[4])
		VMULPS(v[2], v[4], v[5])
		VMULPS(v[1], v[4], v[6])
		VFMSUB231PS(v[1], v[3], v[5])
		VFMADD231PS(v[2], v[3], v[6])
		s.store(5, at(x))
		s.store(6, at(half))
	})
	s.end()
}

func (s *isa) maximum() {
	v := s.v
	s.text("maximum", "(x []float32) float32", "returns the largest element that is not NaN, else -Inf.")
	x, n := base("x"), length("x")
	least := s.bits(math.Float32bits(float32(math.Inf(-1))))
	for i := range 5 {
		VMOVUPS(least, v[i])
	}
	s.loop(n, 4, func(u int, at func(reg.Register) Mem) {
		s.load(at(x), 5+u)
		s.instead(5+u, 4)
		VMAXPS(v[u], v[5+u], v[u]) // the second source, the running maximum, where x is NaN
	})
	s.gather32(0, 4, 5, VMAXPS)
	Store(v[0].AsX(), ReturnIndex(0))
	s.end()
}

func (s *isa) expSum() {
	v := s.v
	s.text("expSum", "(y, x []float32, scale, shift float32) float32", "sets y = exp(scale*x - shift) and returns the sum.")
	y, x, n := base("y"), base("x"), length("x")
	s.fill(0, "scale")
	s.fill(1, "shift")
	s.zero(2)
	s.zero(3)
	s.loop(n, 2, func(u int, at func(reg.Register) Mem) {
		X := 4 + 5*u
		s.load(at(x), X)
		VFMSUB213PS(v[1], v[0], v[X])
		s.exp(X, X+1)
		s.store(X, at(y))
		s.drop(X)
		VADDPS(v[X], v[2+u], v[2+u])
	})
	s.gather32(2, 2, 4, VADDPS)
	Store(v[2].AsX(), ReturnIndex(0))
	s.end()
}
