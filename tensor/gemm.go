package tensor

import (
	"fmt"
	"math"
)

// Gemm sets c = a*b, with a [m, k], b [k, n] and c [m, n]. c is not transposed and
// overlaps neither a nor b. A NaN or infinity in a or b reaches c; what c held does
// not.
//
// From fewRows rows on, each element of c is summed over k in one order, so its bits
// depend neither on the number of threads nor on what is multiplied with it.
func (p *Pool) Gemm(c, a, b Matrix) { p.gemm(c, a, b, Matrix{}) }

// GemmAdd adds a*b to c.
func (p *Pool) GemmAdd(c, a, b Matrix) { p.gemm(c, a, b, c) }

// GemmBias sets each row of c to that of a*b plus bias, [n].
func (p *Pool) GemmBias(c, a, b Matrix, bias []float32) {
	sameLen("bias", len(bias), c.Cols)
	p.gemm(c, a, b, Matrix{Data: bias})
}

// product is c = a*b + d, cut into a grid of blocks of c. d is laid out as c, or is
// one row for all with stride 0, or has no data, for zeros.
type product struct {
	c, a, b, d Matrix
	rows, cols int // of a block
	across     int // blocks beside each other
}

const (
	fewRows   = 4       // below this packing does not pay: dot products instead
	alone     = 1 << 17 // multiplications that are done before another thread is awake
	drift     = 1 << 24 // multiplications that take so long that threads may drift apart
	blockRows = 32      // of c at least in a block
	blockCols = 64      // likewise, and half of it divides all but the last

	// What a block costs besides its multiplications, in multiplications for each
	// element, as measured: to pack b, and to copy a for each so many columns.
	copyCost  = 16
	transCost = 80 // where a is transposed
	copyCols  = 256
)

// gemm sets c = a*b + d, see product.
func (p *Pool) gemm(c, a, b, d Matrix) {
	a.check()
	b.check()
	c.check()
	if a.Cols != b.Rows || a.Rows != c.Rows || b.Cols != c.Cols || c.Trans {
		panic(fmt.Sprintf("tensor: gemm of %dx%d and %dx%d into %dx%d", a.Rows, a.Cols, b.Rows, b.Cols, c.Rows, c.Cols))
	}
	if c.Rows == 0 || c.Cols == 0 {
		return
	}
	if c.Rows*c.Cols*a.Cols < alone || !p.enter() {
		all := product{c: c, a: a, b: b, d: d, rows: c.Rows, cols: c.Cols, across: 1}
		all.Part(0)
		return
	}
	p.product = product{c: c, a: a, b: b, d: d}
	p.run(p.product.cut(p.threads), &p.product)
	p.product = product{}
	p.busy.Unlock()
}

// cut chooses the blocks that take the threads least time and returns their number.
// Each block packs its columns of b and copies its rows of a.
func (t *product) cut(threads int) int {
	m, n, k := t.c.Rows, t.c.Cols, t.a.Cols
	want := threads
	if m*n*k >= drift {
		want = 2 * threads
	}
	ofA := copyCost
	if t.a.Trans {
		ofA = transCost
	}
	least := math.MaxInt
	for across := range want {
		cols := max(blockCols, roundUp(ceil(n, across+1), blockCols/2))
		rows := max(blockRows, ceil(m, ceil(want, ceil(n, cols))))
		rounds := ceil(ceil(n, cols)*ceil(m, rows), threads)
		if time := rounds * k * (rows*cols + rows*ofA*ceil(cols, copyCols) + cols*copyCost); time < least {
			least, t.rows, t.cols = time, rows, cols
		}
	}
	t.across = ceil(n, t.cols)
	return t.across * ceil(m, t.rows)
}

// Part multiplies one block.
func (t *product) Part(i int) {
	row, col := i/t.across*t.rows, i%t.across*t.cols
	rows, cols := min(t.rows, t.c.Rows-row), min(t.cols, t.c.Cols-col)
	c, d := t.c.Block(row, col, rows, cols), t.d
	if d.Data != nil {
		d.Data = d.Data[row*d.Stride+col:]
	}
	a, b := t.a.Block(row, 0, rows, t.a.Cols), t.b.Block(0, col, t.b.Rows, cols)
	if t.c.Rows < fewRows && !a.Trans && b.Trans { // of all rows: it must not depend on the cut
		dots(c, a, b, d)
		return
	}
	s := borrow()
	active.gemm(s, c, a, b, d)
	s.giveBack()
}

// dots multiplies few rows of a and a transposed b, whose rows are read as they lie.
func dots(c, a, b, d Matrix) {
	for i := range c.Rows {
		y := c.Data[i*c.Stride:][:c.Cols]
		if d.Data == nil {
			clear(y)
		} else {
			copy(y, d.Data[i*d.Stride:])
		}
		active.dots(y, a.Data[i*a.Stride:][:a.Cols], b.Data, b.Stride)
	}
}

func ceil(n, by int) int { return (n + by - 1) / by }

func roundUp(n, to int) int { return ceil(n, to) * to }
