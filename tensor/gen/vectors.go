package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func base(param string) reg.Register { return Load(Param(param).Base(), GP64()) }

func length(param string) reg.GPVirtual { return Load(Param(param).Len(), GP64()).(reg.GPVirtual) }

// vectors emits the element-wise loops and the sum of squares.
func (s *isa) vectors() {
	v := s.v
	s.text("axpy", "(y []float32, a float32, x []float32)", "adds a*x to y.")
	y, x, n := base("y"), base("x"), length("y")
	s.fill(0, "a")
	s.loop(n, 4, func(u int, at func(reg.Register) Mem) {
		s.load(at(x), 1+2*u)
		s.load(at(y), 2+2*u)
		VFMADD231PS(v[1+2*u], v[0], v[2+2*u])
		s.store(2+2*u, at(y))
	})
	s.end()

	s.text("lerp", "(y, x []float32, keep, w float32)", "sets y = keep*y + w*x.")
	y, x, n = base("y"), base("x"), length("y")
	s.fill(0, "keep")
	s.fill(1, "w")
	s.loop(n, 4, func(u int, at func(reg.Register) Mem) {
		s.load(at(y), 2+2*u)
		s.load(at(x), 3+2*u)
		VMULPS(v[0], v[2+2*u], v[2+2*u])
		VFMADD231PS(v[3+2*u], v[1], v[2+2*u])
		s.store(2+2*u, at(y))
	})
	s.end()

	s.text("sub", "(dst, a, b []float32)", "sets dst = a - b.")
	dst, a, b := base("dst"), base("a"), base("b")
	s.loop(length("dst"), 4, func(u int, at func(reg.Register) Mem) {
		s.load(at(a), 2*u)
		s.load(at(b), 2*u+1)
		VSUBPS(v[2*u+1], v[2*u], v[2*u])
		s.store(2*u, at(dst))
	})
	s.end()

	s.text("mul", "(y, x []float32)", "multiplies y by x.")
	y, x, n = base("y"), base("x"), length("y")
	s.loop(n, 4, func(u int, at func(reg.Register) Mem) {
		s.load(at(y), 2*u)
		s.load(at(x), 2*u+1)
		VMULPS(v[2*u+1], v[2*u], v[2*u])
		s.store(2*u, at(y))
	})
	s.end()

	s.text("scale", "(x []float32, a float32)", "multiplies x by a.")
	x, n = base("x"), length("x")
	s.fill(0, "a")
	s.loop(n, 4, func(u int, at func(reg.Register) Mem) {
		s.load(at(x), 1+u)
		VMULPS(v[0], v[1+u], v[1+u])
		s.store(1+u, at(x))
	})
	s.end()

	s.sumSquares()
}

// sumSquares converts each half of a vector to float64. Registers 0..7 are the sums.
func (s *isa) sumSquares() {
	v := s.v
	s.text("sumSquares", "(x []float32) float64", "returns the sum of x*x.")
	x, n := base("x"), length("x")
	for i := range 8 {
		s.zero(i)
	}
	s.loop(n, 4, func(u int, at func(reg.Register) Mem) {
		s.load(at(x), 8)
		if s.wide() {
			VEXTRACTF64X4(U8(1), v[8], v[9].AsY())
			VCVTPS2PD(v[8].AsY(), v[10])
			VCVTPS2PD(v[9].AsY(), v[11])
		} else {
			VEXTRACTF128(U8(1), v[8], v[9].AsX())
			VCVTPS2PD(v[8].AsX(), v[10])
			VCVTPS2PD(v[9].AsX(), v[11])
		}
		VFMADD231PD(v[10], v[10], v[2*u])
		VFMADD231PD(v[11], v[11], v[2*u+1])
	})
	s.gather(0, 8, 8, VADDPD)
	VPERMILPD(U8(1), v[0].AsX(), v[8].AsX())
	VADDSD(v[8].AsX(), v[0].AsX(), v[0].AsX())
	Store(v[0].AsX(), ReturnIndex(0))
	s.end()
}
