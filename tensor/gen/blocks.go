package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func number(param string) reg.GPVirtual { return Load(Param(param), GP64()).(reg.GPVirtual) }

// blocks emits what packs the operands of a product. Vectors of eight are as fast as
// wider ones in a transposition, which shuffles more than it moves.
func (s *isa) blocks() {
	s.copyRows()
	if !s.wide() {
		s.transpose()
		s.fetchRows()
	}
}

func (s *isa) fetchRows() {
	s.text("fetchRows", "(src *float32, stride, rows, cols int)", "asks for rows of cols elements, at least one of each, to be brought near.")
	src, stride, rows, cols := number("src"), number("stride"), number("rows"), number("cols")
	SHLQ(U8(2), stride)
	SHLQ(U8(2), cols)
	Label("row")
	at := GP64()
	XORQ(at, at)
	Label("line")
	PREFETCHT1(Mem{Base: src, Index: at, Scale: 1})
	ADDQ(U8(64), at)
	CMPQ(at, cols)
	JL(LabelRef("line"))
	ADDQ(stride, src)
	DECQ(rows)
	JNE(LabelRef("row"))
	RET()
}

func (s *isa) copyRows() {
	s.text("copyRows", "(dst *float32, dstStride int, src *float32, stride, rows, cols int)", "copies rows of cols elements, at least one of each.")
	dst, dstStride, src, stride, rows, cols := number("dst"), number("dstStride"), number("src"), number("stride"), number("rows"), number("cols")
	SHLQ(U8(2), dstStride)
	SHLQ(U8(2), stride)
	whole, rest := GP64(), GP64()
	MOVQ(cols, whole)
	ANDQ(I8(-s.lanes), whole)
	MOVQ(cols, rest)
	SUBQ(whole, rest)
	SHLQ(U8(2), whole)
	Comment("Without a rest no mask is read.")
	TESTQ(rest, rest)
	JE(LabelRef("row"))
	left := GP64()
	MOVQ(rest, left)
	s.masks(left)
	Label("row")
	at := GP64()
	XORQ(at, at)
	next := GP64()
	for _, count := range []int{4, 2, 1} {
		again, done := s.label("vectors"), s.label("done")
		Label(again)
		LEAQ(Mem{Base: at, Disp: count * s.bytes()}, next)
		CMPQ(next, whole)
		JG(LabelRef(done))
		for u := range count {
			s.load(Mem{Base: src, Index: at, Scale: 1, Disp: u * s.bytes()}, u)
		}
		for u := range count {
			s.store(u, Mem{Base: dst, Index: at, Scale: 1, Disp: u * s.bytes()})
		}
		MOVQ(next, at)
		if count == 4 {
			JMP(LabelRef(again))
		}
		Label(done)
	}
	Label("tail")
	TESTQ(rest, rest)
	JE(LabelRef("next"))
	s.tail = true
	s.load(Mem{Base: src, Index: at, Scale: 1}, 0)
	s.store(0, Mem{Base: dst, Index: at, Scale: 1})
	s.tail = false
	Label("next")
	ADDQ(stride, src)
	ADDQ(dstStride, dst)
	DECQ(rows)
	JNE(LabelRef("row"))
	s.end()
}

// transpose turns blocks of 8x8: the halves of rows r and r+4 share a register, so
// that no element has to cross between halves later.
func (s *isa) transpose() {
	v := s.v
	s.text("transpose", "(dst *float32, dstStride int, src *float32, stride, rows, cols int)", "sets dst[j*dstStride+i] = src[i*stride+j]; rows and cols are multiples of 8 above 0.")
	dst, dstStride, src, stride, rows, cols := number("dst"), number("dstStride"), number("src"), number("stride"), number("rows"), number("cols")
	SHLQ(U8(2), dstStride)
	SHLQ(U8(2), stride)
	stride3, dstStride3 := GP64(), GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	LEAQ(Mem{Base: dstStride, Index: dstStride, Scale: 2}, dstStride3)
	Label("rows")
	upper, lower, to, to4, left := GP64(), GP64(), GP64(), GP64(), GP64()
	MOVQ(src, upper)
	LEAQ(Mem{Base: src, Index: stride, Scale: 4}, lower)
	MOVQ(dst, to)
	MOVQ(cols, left)
	Label("block")
	LEAQ(Mem{Base: to, Index: dstStride, Scale: 4}, to4)
	row := func(base, step, step3 reg.Register, i, disp int) Mem {
		switch i {
		case 1, 2:
			return Mem{Base: base, Index: step, Scale: uint8(i), Disp: disp}
		case 3:
			return Mem{Base: base, Index: step3, Scale: 1, Disp: disp}
		}
		return Mem{Base: base, Disp: disp}
	}
	for half := range 2 {
		for i := range 4 {
			VMOVUPS(row(upper, stride, stride3, i, 16*half), v[4*half+i].AsX())
			VINSERTF128(U8(1), row(lower, stride, stride3, i, 16*half), v[4*half+i], v[4*half+i])
		}
	}
	for half := range 2 {
		r := v[4*half:]
		VUNPCKLPS(r[1], r[0], v[8])
		VUNPCKHPS(r[1], r[0], v[9])
		VUNPCKLPS(r[3], r[2], v[10])
		VUNPCKHPS(r[3], r[2], v[11])
		out := []reg.Register{to, to4}[half]
		for i, from := range []int{8, 8, 9, 9} {
			VSHUFPS(U8([]uint8{0x44, 0xee, 0x44, 0xee}[i]), v[from+2], v[from], v[12])
			VMOVUPS(v[12], row(out, dstStride, dstStride3, i, 0))
		}
	}
	ADDQ(U8(32), upper)
	ADDQ(U8(32), lower)
	LEAQ(Mem{Base: to4, Index: dstStride, Scale: 4}, to)
	SUBQ(U8(8), left)
	JNE(LabelRef("block"))
	LEAQ(Mem{Base: src, Index: stride, Scale: 8}, src)
	ADDQ(U8(32), dst)
	SUBQ(U8(8), rows)
	JNE(LabelRef("rows"))
	s.end()
}
