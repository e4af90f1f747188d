package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// depth is the number of products that a tile sums before it is added to, as depth
// of tiles_amd64.go; a row of packed a has pad elements more, so that the rows of a
// tile do not share the same few lines of the cache.
const (
	depth = 256
	pad   = 16
	ahead = 8 // steps of k that b is fetched in advance from the second-level cache
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
	v, form := s.v, "Rows"
	if kMajor {
		form = "Cols"
	}
	s.text(fmt.Sprintf("tile%d%s", rows, form), "(k int, a *float32, step int, b, c *float32, ldc int, d *float32, ldd int)", "is c = a*b + d for one tile, see tiles.")
	k, a, step, b := number("k"), number("a"), number("step"), number("b")
	SHLQ(U8(2), step)
	sum := func(i, j int) reg.VecPhysical { return v[4+2*i+j] }
	for i := range 2 * rows {
		s.zero(4 + i)
	}
	TESTQ(k, k)
	JE(LabelRef("add"))
	Instruction(&ir.Instruction{Opcode: "PCALIGN", Operands: []Op{Imm(64)}})
	Label("step")
	VMOVUPS(Mem{Base: b}, v[0])
	VMOVUPS(Mem{Base: b, Disp: s.bytes()}, v[1])
	for j := range 2 {
		PREFETCHT0(Mem{Base: b, Disp: (2*ahead + j) * s.bytes()})
	}
	for i := range rows {
		at := 4 * i
		if !kMajor {
			at = 4 * i * (depth + pad)
		}
		VBROADCASTSS(Mem{Base: a, Disp: at}, v[2+i%2])
		VFMADD231PS(v[0], v[2+i%2], sum(i, 0))
		VFMADD231PS(v[1], v[2+i%2], sum(i, 1))
	}
	ADDQ(step, a)
	ADDQ(I32(2*s.bytes()), b)
	DECQ(k)
	JNE(LabelRef("step"))
	Label("add")
	c, ldc, d, ldd := number("c"), number("ldc"), number("d"), number("ldd")
	SHLQ(U8(2), ldc)
	SHLQ(U8(2), ldd)
	for i := range rows {
		for j := range 2 {
			VADDPS(Mem{Base: d, Disp: j * s.bytes()}, sum(i, j), sum(i, j))
			VMOVUPS(sum(i, j), Mem{Base: c, Disp: j * s.bytes()})
		}
		if i+1 < rows {
			ADDQ(ldd, d)
			ADDQ(ldc, c)
		}
	}
	s.end()
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
		s.loop(n, 1, func(_ int, at func(reg.Register) Mem) {
			s.load(at(x), 4)
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
