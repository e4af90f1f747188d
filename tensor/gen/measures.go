package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// chains is how many sums the loop of peak has in flight, more than the latency of
// one multiplication times how many start in a cycle.
const chains = 12

// measures emits what a bench compares the kernels with.
func (s *isa) measures() {
	v := s.v
	s.text("peak", "(n int)", "does n times 12 vector multiply-adds on registers.")
	n := number("n")
	for i := range chains + 2 {
		s.zero(i)
	}
	Label("again")
	for i := range chains {
		VFMADD231PS(v[chains], v[chains+1], v[i])
	}
	DECQ(n)
	JNE(LabelRef("again"))
	s.end()

	s.text("triad", "(a, b, c []float32, x float32)", "sets a = b + x*c.")
	a, b, c, size := base("a"), base("b"), base("c"), length("a")
	s.fill(0, "x")
	s.loop(size, 4, func(u int, at func(reg.Register) Mem) {
		s.load(at(b), 1+2*u)
		s.load(at(c), 2+2*u)
		VFMADD231PS(v[0], v[2+2*u], v[1+2*u])
		s.store(1+2*u, at(a))
	})
	s.end()
}
