package tensor

import gonum "gonum.org/v1/gonum/blas"

// gonum has assembly for three products of float32: y += a*x, x·y and the
// rank-one update A += x yᵀ. Its Sgemm is made of the first two and starts
// goroutines for all but small matrices. Rank-one updates of tiles that stay in
// the first-level cache are up to 1.5 times as fast and allocate nothing. They
// need both operands k-major (aᵀ is [k, m] and b is [k, n], row by row): what is
// not is packed first, at one move per element against n or m multiplications.
const (
	outerRows = 16   // below this packing does not pay: dot products instead
	tileElems = 4096 // elements of c that one run of updates keeps in cache, 16 KiB
	tileRows  = 128  // most rows of a tile
	tileCols  = 512  // most columns of a tile
	tileDepth = 128  // updates per run, the depth of a packed panel
)

// panels hold the packed parts of a and b that one tile needs.
type panels struct {
	a [tileDepth * tileRows]float32
	b [tileDepth * tileCols]float32
}

// free keeps panels between calls; its bound is far above the number of
// goroutines that multiply at once, beyond it they are simply made anew. Not a
// sync.Pool, which drops its content at any collection.
var free = make(chan *panels, 64)

func gemmGonum(alpha float32, a, b, c Matrix) {
	if a.Rows < outerRows && !a.Trans && b.Trans {
		gemmDots(alpha, a, b, c)
		return
	}
	var p *panels
	select {
	case p = <-free:
	default:
		p = new(panels)
	}
	for l := 0; l < a.Cols; l += tileDepth {
		depth := min(tileDepth, a.Cols-l)
		for j := 0; j < b.Cols; j += tileCols {
			cols := min(tileCols, b.Cols-j)
			p.columns(alpha, a.Block(0, l, a.Rows, depth), b.Block(l, j, depth, cols), c.Block(0, j, c.Rows, cols))
		}
	}
	select {
	case free <- p:
	default:
	}
}

// columns adds alpha*a*b to c, where b fits one panel.
func (p *panels) columns(alpha float32, a, b, c Matrix) {
	if b.Trans {
		Transpose(p.b[:], b.Cols, b.T())
		b = Matrix{Data: p.b[:], Rows: b.Rows, Cols: b.Cols, Stride: b.Cols}
	}
	height := min(tileRows, max(8, tileElems/b.Cols&^7))
	for i := 0; i < a.Rows; i += height {
		rows := min(height, a.Rows-i)
		at := a.Block(i, 0, rows, a.Cols)
		if !a.Trans {
			Transpose(p.a[:], rows, at)
			at = Matrix{Data: p.a[:], Stride: rows}
		}
		tile := c.Data[i*c.Stride:]
		for l := range b.Rows {
			blas.Sger(rows, b.Cols, alpha, at.Data[l*at.Stride:][:rows], 1, b.Data[l*b.Stride:][:b.Cols], 1, tile, c.Stride)
		}
	}
}

// gemmDots adds alpha*a*b to c by dot products of the stored rows, for few rows
// of a and a transposed b. It goes by 128 columns, which gonum multiplies without
// starting goroutines.
func gemmDots(alpha float32, a, b, c Matrix) {
	const width = 128
	for j := 0; j < b.Cols; j += width {
		cols := min(width, b.Cols-j)
		blas.Sgemm(gonum.NoTrans, gonum.Trans, a.Rows, cols, a.Cols, alpha,
			a.Data, a.Stride, b.Data[j*b.Stride:], b.Stride, 1, c.Data[j:], c.Stride)
	}
}
