package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa is one of the two instruction sets. Vectors are numbered registers; those from
// 12 on are free for a loop's constants only in AVX-512, except where a function says
// which it uses. The last register of AVX2, mask of AVX-512, belongs to the tail.
type isa struct {
	name   string // suffix of the functions
	lanes  int    // float32 in a vector
	rows   int    // of the product's tile; it has two vectors beside each other
	depth  int    // products that a tile sums at most, as depth of tiles
	v      []reg.VecPhysical
	tail   bool // what is emitted is the masked tail of a loop
	known  map[string]Mem
	labels int
}

var sets = map[string]*isa{
	"avx2": {name: "AVX2", lanes: 8, rows: 6, depth: 256, v: []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}},
	"avx512": {name: "AVX512", lanes: 16, rows: 14, depth: 512, v: []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
		reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
		reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}},
}

// wide says that the set is AVX-512.
func (s *isa) wide() bool { return s.lanes == 16 }

// bytes is the size of a vector.
func (s *isa) bytes() int { return 4 * s.lanes }

// text starts a function.
func (s *isa) text(name, signature, doc string) {
	TEXT(name+s.name, NOSPLIT, "func"+signature)
	Pragma("noescape")
	Doc(name + s.name + " " + doc)
}

// label returns a name that the function has once.
func (s *isa) label(name string) string {
	s.labels++
	return fmt.Sprintf("%s%d", name, s.labels)
}

// all is a constant in every lane, in memory.
func (s *isa) all(x float32) Mem { return s.bits(math.Float32bits(x)) }

func (s *isa) bits(x uint32) Mem {
	name := fmt.Sprintf("all%08x", x)
	if m, ok := s.known[name]; ok {
		return m
	}
	m := GLOBL(name, RODATA|NOPTR)
	for i := range s.lanes {
		DATA(4*i, U32(x))
	}
	s.known[name] = m
	return m
}

// zero clears register i.
func (s *isa) zero(i int) {
	if s.wide() {
		VPXORD(s.v[i], s.v[i], s.v[i])
		return
	}
	VXORPS(s.v[i], s.v[i], s.v[i])
}

// fill sets every lane of register i to the float32 parameter.
func (s *isa) fill(i int, param string) {
	m, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(m.Addr, s.v[i])
}

// load and store move a vector, or the part of it that is left in a tail; the lanes
// beyond are 0.
func (s *isa) load(m Mem, i int) {
	switch {
	case !s.tail:
		VMOVUPS(m, s.v[i])
	case s.wide():
		VMOVUPS_Z(m, reg.K1, s.v[i])
	default:
		VMASKMOVPS(m, s.v[15], s.v[i])
	}
}

func (s *isa) store(i int, m Mem) {
	switch {
	case !s.tail:
		VMOVUPS(s.v[i], m)
	case s.wide():
		VMOVUPS(s.v[i], reg.K1, m)
	default:
		VMASKMOVPS(s.v[i], s.v[15], m)
	}
}

// drop clears the lanes of register i that lie beyond the tail.
func (s *isa) drop(i int) {
	switch {
	case !s.tail:
	case s.wide():
		VMOVAPS_Z(s.v[i], reg.K1, s.v[i])
	default:
		VANDPS(s.v[15], s.v[i], s.v[i])
	}
}

// instead puts register with into the lanes of register i that lie beyond the tail.
func (s *isa) instead(i, with int) {
	switch {
	case !s.tail:
	case s.wide():
		VBLENDMPS(s.v[i], s.v[with], reg.K1, s.v[i])
	default:
		VBLENDVPS(s.v[15], s.v[i], s.v[with], s.v[i])
	}
}

// masks makes the mask of the first n lanes, 0 < n < lanes. It spoils n.
func (s *isa) masks(n reg.GPVirtual) {
	if s.wide() {
		ones := GP64()
		MOVQ(U32(1), ones)
		SHLXQ(n, ones, ones)
		DECQ(ones)
		KMOVW(ones.As32(), reg.K1)
		return
	}
	table, known := s.known["masks"]
	if !known {
		table = GLOBL("masks", RODATA|NOPTR)
		for i := range 2 * s.lanes {
			DATA(4*i, U32(map[bool]uint32{true: math.MaxUint32}[i < s.lanes]))
		}
		s.known["masks"] = table
	}
	at := GP64()
	LEAQ(table.Offset(4*s.lanes), at)
	NEGQ(n)
	VMOVUPS(Mem{Base: at, Index: n, Scale: 4}, s.v[15])
}

// loop emits body for all n elements: unroll vectors at a time, then one, then the
// tail. body gets the byte offset of its vector, as index and displacement.
func (s *isa) loop(n reg.GPVirtual, unroll int, body func(u int, at func(base reg.Register) Mem)) {
	i, end := GP64(), GP64()
	XORQ(i, i)
	LEAQ(Mem{Base: n, Index: n, Scale: 1}, end)
	ADDQ(end, end)
	emit := func(count int) {
		for u := range count {
			body(u, func(base reg.Register) Mem { return Mem{Base: base, Index: i, Scale: 1, Disp: u * s.bytes()} })
		}
	}
	next := GP64()
	for _, count := range []int{unroll, 1} {
		again, done := s.label("loop"), s.label("done")
		LEAQ(Mem{Base: i, Disp: count * s.bytes()}, next)
		Label(again)
		CMPQ(next, end)
		JG(LabelRef(done))
		emit(count)
		MOVQ(next, i)
		ADDQ(U32(count*s.bytes()), next)
		JMP(LabelRef(again))
		Label(done)
		if unroll == 1 {
			break
		}
	}
	out := s.label("end")
	left := GP64()
	MOVQ(end, left)
	SUBQ(i, left)
	JE(LabelRef(out))
	SHRQ(U8(2), left)
	s.masks(left)
	s.tail = true
	emit(1)
	s.tail = false
	Label(out)
}

// gather adds the lanes of registers from..from+count-1 up, in one order, and leaves
// the sum in the lowest lane of register from. It spoils them and register spare.
func (s *isa) gather(from, count, spare int, add func(ops ...Op)) {
	for step := count / 2; step > 0; step /= 2 {
		for i := range step {
			add(s.v[from+i+step], s.v[from+i], s.v[from+i])
		}
	}
	x, y := s.v[from], s.v[spare]
	if s.wide() {
		VEXTRACTF64X4(U8(1), x, y.AsY())
		add(y.AsY(), x.AsY(), x.AsY())
	}
	if s.wide() {
		VEXTRACTF32X4(U8(1), x.AsY(), y.AsX())
	} else {
		VEXTRACTF128(U8(1), x.AsY(), y.AsX())
	}
	add(y.AsX(), x.AsX(), x.AsX())
}

// gather32 is gather for lanes of float32.
func (s *isa) gather32(from, count, spare int, add func(ops ...Op)) {
	s.gather(from, count, spare, add)
	x, y := s.v[from].AsX(), s.v[spare].AsX()
	VPERMILPS(U8(0b01_00_11_10), x, y)
	add(y, x, x)
	VPERMILPS(U8(0b10_11_00_01), x, y)
	add(y, x, x)
}

func (s *isa) end() {
	VZEROUPPER()
	RET()
}
