package tensor

// A product is done by tiles of c that stay in registers, a few rows high and two
// vectors wide, after Goto and van de Geijn, "Anatomy of High-Performance Matrix
// Multiplication" (2008). What a tile needs of b lies packed in one panel, [depth,
// cols]; what it needs of a is copied row by row, or where a is transposed by strips
// of columns, some tiles wide, so that less than a page of each is not wasted:
//
//	rows     a(i, l) at [i*(depth+pad) + l]
//	columns  a(i, l) at [l*stripStride + i]
//
// The rows of a are not transposed: a copy costs an eighth of that, and elements of
// a are read one by one anyway. Both strides are odd numbers of cache lines, since
// even ones would use few of the cache's sets. Tiles that take long enough over each
// row of a transposed a read it where it lies. Rows of c are split evenly, so that no
// tile is much lower than the others: each height has an assembly function of its own.
type tiles struct {
	rows, cols int  // of a whole tile
	lanes      int  // of a vector
	depth      int  // products summed in registers at most before c takes them
	packed     int  // elements of b that are packed at once at most: a part of the second-level cache
	strip      int  // columns of a transposed a that are copied at once
	inPlace    bool // read a transposed a where it lies, unless its stride is bad for a cache
	copyRows   func(dst *float32, dstStride int, src *float32, stride, rows, cols int)
	byRows     []tile // [rows]
	byCols     []tile // [rows]
}

// tile sets c = a*b + d for one tile of k products, where d may be c.
// step is how far the elements of a are apart along k.
type tile func(k int, a *float32, step int, b, c *float32, ldc int, d *float32, ldd int)

const (
	pad         = 16
	stripStride = 80
	badStride   = 1 << 10 // elements: one page and its multiples fall into few of a cache's sets
)

// nothing is what d is where there is none to add.
var nothing [64]float32

func (t *tiles) gemm(s *scratch, c, a, b, d Matrix) {
	if d.Data == nil {
		d.Data = nothing[:]
	}
	whole := c
	depth := max(1, ceil(a.Cols, max(1, ceil(a.Cols, t.depth)))) // evenly
	most := t.packed / depth / t.cols * t.cols
	atOnce := roundUp(ceil(whole.Cols, ceil(whole.Cols, most)), t.cols)
	for j := 0; j < whole.Cols; j += atOnce {
		cols := min(atOnce, whole.Cols-j)
		c := whole.Block(0, j, whole.Rows, cols)
		from := d
		if d.Stride != 0 || &d.Data[0] != &nothing[0] {
			from.Data = d.Data[j:]
		}
		for l := 0; l < a.Cols || l == 0; l += depth {
			k := min(depth, a.Cols-l)
			t.pack(s, b.Block(l, j, k, cols))
			t.panel(s, c, a.Block(0, l, a.Rows, k), from)
			from = c
		}
	}
}

// pack copies b, [k, n], to panels of cols columns.
func (t *tiles) pack(s *scratch, b Matrix) {
	if b.Rows == 0 {
		return
	}
	for j := 0; j < b.Cols; j += t.cols {
		to, cols := s.b[j*b.Rows:], min(t.cols, b.Cols-j)
		if b.Trans {
			transposeAVX(to, t.cols, b.Data[j*b.Stride:], b.Stride, cols, b.Rows)
		} else {
			t.copyRows(&to[0], t.cols, &b.Data[j], b.Stride, b.Rows, cols)
		}
	}
}

// panel sets c = a*b + d, with the packed b.
func (t *tiles) panel(s *scratch, c, a, d Matrix) {
	k, count := a.Cols, ceil(c.Rows, t.rows)
	height, higher := c.Rows/count, c.Rows%count // the first are one row higher
	first, end := 0, 0                           // of the strip
	inPlace := a.Trans && t.inPlace && a.Stride%badStride != 0
	for i, row := 0, 0; i < count; i++ {
		rows := height
		if i < higher {
			rows++
		}
		multiply, from, step := t.byRows[rows-1], &s.a[0], 1
		switch {
		case k == 0:
		case inPlace:
			multiply, from, step = t.byCols[rows-1], &a.Data[row], a.Stride
		case a.Trans:
			if row+rows > end {
				first, end = row, min(row+t.strip, c.Rows)
				t.copyStrip(s, a, first, end)
				fetch(a, end, min(t.strip, c.Rows-end))
			}
			multiply, from, step = t.byCols[rows-1], &s.a[row-first], stripStride
		default:
			t.copyRows(&s.a[0], t.depth+pad, &a.Data[row*a.Stride], a.Stride, rows, k)
			fetch(a, row+rows, min(rows, c.Rows-row-rows))
		}
		t.row(s, multiply, k, from, step, c.Block(row, 0, rows, c.Cols), d, row)
		row += rows
	}
}

// fetch asks for the rows of a that are next, while those before are multiplied: each
// is too short for the processor to foresee it.
func fetch(a Matrix, row, rows int) {
	switch {
	case rows <= 0:
	case a.Trans:
		fetchRowsAVX2(&a.Data[row], a.Stride, a.Cols, rows)
	default:
		fetchRowsAVX2(&a.Data[row*a.Stride], a.Stride, rows, a.Cols)
	}
}

// copyStrip copies rows first..end-1 of a transposed a. What lies beside them is
// copied too where it may be read: AVX2 is slow to store a part of a vector.
func (t *tiles) copyStrip(s *scratch, a Matrix, first, end int) {
	cols := roundUp(end-first, t.lanes)
	if (a.Cols-1)*a.Stride+first+cols > len(a.Data) {
		cols = end - first
	}
	t.copyRows(&s.a[0], stripStride, &a.Data[first], a.Stride, a.Cols, cols)
}

// row sets one row of tiles, c, which is row at of d.
func (t *tiles) row(s *scratch, multiply tile, k int, a *float32, step int, c, d Matrix, at int) {
	from, along := d.Data[at*d.Stride:], t.cols
	if d.Stride == 0 && &d.Data[0] == &nothing[0] {
		along = 0
	}
	j := 0
	for ; j+t.cols <= c.Cols; j += t.cols {
		multiply(k, a, step, &s.b[j*k], &c.Data[j], c.Stride, &from[j/t.cols*along], d.Stride)
	}
	if j < c.Cols {
		multiply(k, a, step, &s.b[j*k], &s.c[0], t.cols, &nothing[0], 0)
		t.edge(s, c.Data[j:], c.Stride, from[j/t.cols*along:], d.Stride, c.Rows, c.Cols-j)
	}
}

// edge adds d to the part of a tile that lies within c.
func (t *tiles) edge(s *scratch, c []float32, ldc int, d []float32, ldd, rows, cols int) {
	for i := range rows {
		from, add := s.c[i*t.cols:][:cols], d[i*ldd:][:cols]
		for j, v := range from {
			c[i*ldc+j] = v + add[j]
		}
	}
}

// transposeAVX is Transpose by blocks of eight, and element by element at the edges.
func transposeAVX(dst []float32, dstStride int, src []float32, stride, rows, cols int) {
	wholeRows, wholeCols := rows&^7, cols&^7
	if wholeRows > 0 && wholeCols > 0 {
		transposeAVX2(&dst[0], dstStride, &src[0], stride, wholeRows, wholeCols)
	}
	for i := range rows {
		from := wholeCols
		if i >= wholeRows {
			from = 0
		}
		for j := from; j < cols; j++ {
			dst[j*dstStride+i] = src[i*stride+j]
		}
	}
}
