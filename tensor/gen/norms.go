package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// lowest copies the lowest lane of register i to all of it.
func (s *isa) lowest(i int) { VBROADCASTSS(s.v[i].AsX(), s.v[i]) }

// count puts n as float32 into the lowest lane of register i.
func (s *isa) count(n reg.GPVirtual, i int) {
	VXORPS(reg.X11, reg.X11, reg.X11)
	VCVTSI2SSQ(n, reg.X11, s.v[i].AsX())
}

func (s *isa) norms() {
	s.layerNorm()
	s.layerNormGrad()
}

func (s *isa) layerNorm() {
	v := s.v
	s.text("layerNorm", "(y, x, gain, bias []float32, eps float32) (mean, rstd float32)", "normalises one row, see layerNormGo.")
	y, x, gain, bias, n := base("y"), base("x"), base("gain"), base("bias"), length("x")
	for i := range 8 {
		s.zero(i)
	}
	s.loop(n, 4, func(u int, at func(reg.Register) Mem) {
		s.load(at(x), 8)
		VADDPS(v[8], v[u], v[u])
	})
	s.gather32(0, 4, 8, VADDPS)
	s.count(n, 8)
	VDIVSS(v[8].AsX(), v[0].AsX(), v[0].AsX())
	Store(v[0].AsX(), Return("mean"))
	s.lowest(0)
	s.loop(n, 4, func(u int, at func(reg.Register) Mem) {
		s.load(at(x), 8)
		VSUBPS(v[0], v[8], v[8])
		s.drop(8)
		VFMADD231PS(v[8], v[8], v[4+u])
	})
	s.gather32(4, 4, 8, VADDPS)
	s.count(n, 8)
	VDIVSS(v[8].AsX(), v[4].AsX(), v[4].AsX())
	eps := Load(Param("eps"), v[8].AsX())
	VADDSS(eps, v[4].AsX(), v[4].AsX())
	VSQRTSS(v[4].AsX(), v[4].AsX(), v[4].AsX())
	VMOVSS(s.all(1), v[8].AsX())
	VDIVSS(v[4].AsX(), v[8].AsX(), v[1].AsX())
	Store(v[1].AsX(), Return("rstd"))
	s.lowest(1)
	s.loop(n, 2, func(u int, at func(reg.Register) Mem) {
		s.load(at(x), 2+3*u)
		s.load(at(gain), 3+3*u)
		s.load(at(bias), 4+3*u)
		VSUBPS(v[0], v[2+3*u], v[2+3*u])
		VMULPS(v[1], v[2+3*u], v[2+3*u])
		VFMADD213PS(v[4+3*u], v[3+3*u], v[2+3*u])
		s.store(2+3*u, at(y))
	})
	s.end()
}

// layerNormGrad keeps mean and rstd in 0 and 1, two sums in 2 and 3, two products in
// 4 and 5.
func (s *isa) layerNormGrad() {
	v := s.v
	s.text("layerNormGrad", "(dx, dgain, dbias, dy, x, gain []float32, mean, rstd float32)", "is the gradient of one row, see layerNormGradGo.")
	dx, dgain, dbias, dy, x, gain, n := base("dx"), base("dgain"), base("dbias"), base("dy"), base("x"), base("gain"), length("dy")
	s.fill(0, "mean")
	s.fill(1, "rstd")
	for i := 2; i < 6; i++ {
		s.zero(i)
	}
	s.loop(n, 2, func(u int, at func(reg.Register) Mem) {
		s.load(at(x), 6)
		s.load(at(dy), 7)
		s.load(at(gain), 8)
		s.load(at(dgain), 9)
		s.load(at(dbias), 10)
		VSUBPS(v[0], v[6], v[6])
		VMULPS(v[1], v[6], v[6])
		VFMADD231PS(v[6], v[7], v[9])
		VADDPS(v[7], v[10], v[10])
		VMULPS(v[7], v[8], v[8])
		s.store(9, at(dgain))
		s.store(10, at(dbias))
		VADDPS(v[8], v[2+u], v[2+u])
		VFMADD231PS(v[6], v[8], v[4+u])
	})
	s.gather32(2, 2, 6, VADDPS)
	s.gather32(4, 2, 6, VADDPS)
	s.count(n, 6)
	VDIVSS(v[6].AsX(), v[2].AsX(), v[2].AsX())
	VDIVSS(v[6].AsX(), v[4].AsX(), v[4].AsX())
	s.lowest(2)
	s.lowest(4)
	s.loop(n, 1, func(_ int, at func(reg.Register) Mem) {
		s.load(at(x), 6)
		s.load(at(dy), 7)
		s.load(at(gain), 8)
		s.load(at(dx), 9)
		VSUBPS(v[0], v[6], v[6])
		VMULPS(v[1], v[6], v[6])
		VFMSUB213PS(v[2], v[7], v[8])
		VFNMADD231PS(v[4], v[6], v[8])
		VFMADD231PS(v[1], v[8], v[9])
		s.store(9, at(dx))
	})
	s.end()
}
