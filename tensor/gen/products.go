package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A row of packed a has pad elements more than the depth of isa, so that the rows of a
// tile do not share the same few lines of the cache.
const (
	pad    = 16
	ahead  = 8 // steps of k that b is fetched in advance from the second-level cache
	unroll = 2 // steps of k in one turn of the loop
)

func (s *isa) products() {
	for rows := 1; rows <= s.rows; rows++ {
		s.tile(rows, false)
		s.tile(rows, true)
	}
	s.dots()
}

// tile emits c = a*b + d for a tile of the given rows and two vectors' columns. It is
// kept in registers: each step of k takes two vectors of b and one element of a per
// row. Registers 0 and 1 hold those of b, 2 and 3 elements of a.
func (s *isa) tile(rows int, kMajor bool) {
	form := "Rows"
	if kMajor {
		form = "Cols"
	}
	s.text(fmt.Sprintf("tile%d%s", rows, form), "(k int, a *float32, step int, b, c *float32, ldc int, d *float32, ldd int)", "is c = a*b + d for one tile, see tiles.")
	k, a, step, b := number("k"), number("a"), number("step"), number("b")
	SHLQ(U8(2), step)
	for i := range 2 * rows {
		s.zero(4 + i)
	}
	s.fetchTile(rows)
	steps := func(n int) {
		for at := range n {
			s.tileStep(rows, kMajor, a, b, at)
			if kMajor {
				ADDQ(step, a)
			}
		}
		if !kMajor {
			ADDQ(I32(4*n), a)
		}
		ADDQ(I32(2*n*s.bytes()), b)
	}
	SUBQ(I32(unroll), k)
	JL(LabelRef("rest"))
	Instruction(&ir.Instruction{Opcode: "PCALIGN", Operands: []Op{Imm(64)}})
	Label("step")
	steps(unroll)
	SUBQ(I32(unroll), k)
	JGE(LabelRef("step"))
	Label("rest")
	ADDQ(I32(unroll), k)
	JE(LabelRef("add"))
	steps(1)
	Label("add")
	c, ldc, d, ldd := number("c"), number("ldc"), number("d"), number("ldd")
	SHLQ(U8(2), ldc)
	SHLQ(U8(2), ldd)
	for i := range rows {
		for j := range 2 {
			sum := s.v[4+2*i+j]
			VADDPS(Mem{Base: d, Disp: j * s.bytes()}, sum, sum)
			VMOVUPS(sum, Mem{Base: c, Disp: j * s.bytes()})
		}
		if i+1 < rows {
			ADDQ(ldd, d)
			ADDQ(ldc, c)
		}
	}
	s.end()
}

// fetchTile asks for the lines of c, which are needed when the products are there.
func (s *isa) fetchTile(rows int) {
	c, ldc := number("c"), number("ldc")
	SHLQ(U8(2), ldc)
	for i := range rows {
		for at := 0; at < 2*s.bytes(); at += 64 {
			PREFETCHT0(Mem{Base: c, Disp: at})
		}
		if i+1 < rows {
			ADDQ(ldc, c)
		}
	}
}

// tileStep emits the step of k that is at of those unrolled. AVX-512 multiplies by an
// element in memory; that takes an instruction less than to load it first, but loads
// it twice. Every other row does so: the processor has as good as two loads for
// two multiplications, and another thread on the same core leaves it few instructions.
func (s *isa) tileStep(rows int, kMajor bool, a, b reg.Register, at int) {
	v := s.v
	for j := range 2 {
		VMOVUPS(Mem{Base: b, Disp: (2*at + j) * s.bytes()}, v[j])
		PREFETCHT0(Mem{Base: b, Disp: (2*(at+ahead) + j) * s.bytes()})
	}
	for i := range rows {
		from, sums := Mem{Base: a, Disp: 4 * i}, v[4+2*i:]
		if !kMajor {
			from.Disp = 4 * (i*(s.depth+pad) + at)
		}
		if s.wide() && i%2 == 1 {
			VFMADD231PS_BCST(from, v[0], sums[0])
			VFMADD231PS_BCST(from, v[1], sums[1])
			continue
		}
		element := v[2+i/2%2]
		if !s.wide() {
			element = v[2+i%2]
		}
		VBROADCASTSS(from, element)
		VFMADD231PS(v[0], element, sums[0])
		VFMADD231PS(v[1], element, sums[1])
	}
}

// dots takes four rows at a time, then one; the lanes of a row are added up in the
// same order either way.
func (s *isa) dots() {
	v := s.v
	s.text("dots", "(y, x, w []float32, stride int)", "adds x·w[j*stride:] to y[j].")
	y, rows, x, n, w, stride := base("y"), length("y"), base("x"), length("x"), base("w"), number("stride")
	SHLQ(U8(2), stride)
	for _, count := range []int{4, 1} {
		again, done := s.label("rows"), s.label("done")
		Label(again)
		CMPQ(rows, U8(count))
		JL(LabelRef(done))
		row := [4]reg.Register{w, nil, nil, nil}
		for i := 1; i < count; i++ {
			row[i] = GP64()
			LEAQ(Mem{Base: row[i-1], Index: stride, Scale: 1}, row[i])
		}
		for i := range 4 {
			s.zero(i)
		}
		after := GP64()
		if count == 4 {
			LEAQ(Mem{Base: w, Index: stride, Scale: 4}, after)
		}
		s.loop(n, 1, func(_ int, at func(reg.Register) Mem) {
			s.load(at(x), 4)
			if count == 4 && !s.tail { // the next rows: they follow these without a gap as a rule
				for line := 0; line < 4*s.bytes(); line += 64 {
					PREFETCHT0(Mem{Base: after, Index: at(x).Index, Scale: 4, Disp: line})
				}
			}
			for i := range count {
				s.load(at(row[i]), 5)
				VFMADD231PS(v[5], v[4], v[i])
			}
		})
		if s.wide() {
			for i := range count {
				VEXTRACTF64X4(U8(1), v[i], v[5].AsY())
				VADDPS(v[5].AsY(), v[i].AsY(), v[i].AsY())
			}
		}
		VHADDPS(v[1].AsY(), v[0].AsY(), v[0].AsY())
		VHADDPS(v[3].AsY(), v[2].AsY(), v[2].AsY())
		VHADDPS(v[2].AsY(), v[0].AsY(), v[0].AsY())
		VEXTRACTF128(U8(1), v[0].AsY(), v[5].AsX())
		VADDPS(v[5].AsX(), v[0].AsX(), v[0].AsX())
		if count == 4 {
			VADDPS(Mem{Base: y}, v[0].AsX(), v[0].AsX())
			VMOVUPS(v[0].AsX(), Mem{Base: y})
		} else {
			VADDSS(Mem{Base: y}, v[0].AsX(), v[0].AsX())
			VMOVSS(v[0].AsX(), Mem{Base: y})
		}
		LEAQ(Mem{Base: row[count-1], Index: stride, Scale: 1}, w)
		ADDQ(U8(4*count), y)
		SUBQ(U8(count), rows)
		JMP(LabelRef(again))
		Label(done)
	}
	s.end()
}
