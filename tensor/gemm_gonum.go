package tensor

// gonum has assembly for three products of float32: y += a*x, x·y and the
// rank-one update A += x yᵀ. Its Sgemm is made of the first two and starts
// goroutines for all but small matrices. Rank-one updates of tiles that stay in
// the first-level cache are up to 1.5 times as fast and allocate nothing. They
// need both operands k-major (aᵀ is [k, m] and b is [k, n], row by row): what is
// not is packed first, at one move per element against n or m multiplications.
const (
	tileElems = 4096 // elements of c that one run of updates keeps in cache, 16 KiB
	tileRows  = 128  // most rows of a tile
	tileCols  = 512  // most columns of a tile
	tileDepth = 128  // updates per run, the depth of a packed panel
)

func gemmGonum(s *scratch, c, a, b, d Matrix) {
	for i := range c.Rows {
		row := c.Data[i*c.Stride:][:c.Cols]
		if d.Data == nil {
			clear(row)
		} else {
			copy(row, d.Data[i*d.Stride:])
		}
	}
	for l := 0; l < a.Cols; l += tileDepth {
		depth := min(tileDepth, a.Cols-l)
		for j := 0; j < b.Cols; j += tileCols {
			cols := min(tileCols, b.Cols-j)
			s.columns(a.Block(0, l, a.Rows, depth), b.Block(l, j, depth, cols), c.Block(0, j, c.Rows, cols))
		}
	}
}

// columns adds a*b to c, where b fits one panel.
func (s *scratch) columns(a, b, c Matrix) {
	if b.Trans {
		transposeGo(s.b[:], b.Cols, b.Data, b.Stride, b.Cols, b.Rows)
		b = Matrix{Data: s.b[:], Rows: b.Rows, Cols: b.Cols, Stride: b.Cols}
	}
	height := min(tileRows, max(8, tileElems/b.Cols&^7))
	for i := 0; i < a.Rows; i += height {
		rows := min(height, a.Rows-i)
		at := a.Block(i, 0, rows, a.Cols)
		if !a.Trans {
			transposeGo(s.a[:], rows, at.Data, at.Stride, rows, a.Cols)
			at = Matrix{Data: s.a[:], Stride: rows}
		}
		tile := c.Data[i*c.Stride:]
		for l := range b.Rows {
			blas.Sger(rows, b.Cols, 1, at.Data[l*at.Stride:][:rows], 1, b.Data[l*b.Stride:][:b.Cols], 1, tile, c.Stride)
		}
	}
}

// dotsGonum adds x·wⱼ to y[j], with wⱼ at w[j*stride].
func dotsGonum(y, x, w []float32, stride int) {
	for j := range y {
		y[j] += blas.Sdot(len(x), x, 1, w[j*stride:][:len(x)], 1)
	}
}
