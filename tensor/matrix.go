package tensor

import "fmt"

// Matrix is a view of a matrix in a flat slice; it owns nothing. Element (i, j)
// is Data[i*Stride+j], or Data[j*Stride+i] where Trans is set.
type Matrix struct {
	Data       []float32
	Rows, Cols int  // as the matrix multiplies, that is after transposition
	Stride     int  // from one stored row to the next
	Trans      bool // stored as its transpose
}

// Dense views data as rows x cols, row-major without gaps.
func Dense(data []float32, rows, cols int) Matrix {
	sameLen("matrix", len(data), rows*cols)
	return Matrix{Data: data, Rows: rows, Cols: cols, Stride: cols}
}

// T returns the transpose of a, over the same data.
func (a Matrix) T() Matrix {
	a.Rows, a.Cols, a.Trans = a.Cols, a.Rows, !a.Trans
	return a
}

// Block views the rows x cols elements of a whose first is (row, col).
func (a Matrix) Block(row, col, rows, cols int) Matrix {
	if row < 0 || col < 0 || rows < 0 || cols < 0 || row+rows > a.Rows || col+cols > a.Cols {
		panic(fmt.Sprintf("tensor: block %dx%d at (%d,%d) of %dx%d", rows, cols, row, col, a.Rows, a.Cols))
	}
	at := row*a.Stride + col
	if a.Trans {
		at = col*a.Stride + row
	}
	a.Data, a.Rows, a.Cols = a.Data[min(at, len(a.Data)):], rows, cols
	return a
}

// check panics unless the shape fits the data.
func (a Matrix) check() {
	rows, cols := a.Rows, a.Cols
	if a.Trans {
		rows, cols = cols, rows
	}
	if rows < 0 || cols < 0 || a.Stride < cols || rows > 0 && len(a.Data) < (rows-1)*a.Stride+cols {
		panic(fmt.Sprintf("tensor: matrix %dx%d, stride %d, on %d elements", a.Rows, a.Cols, a.Stride, len(a.Data)))
	}
}

// Gemm sets c = alpha*a*b + beta*c, with a [m, k], b [k, n] and c [m, n]. beta 0
// overwrites c whatever it held. c is not transposed and overlaps neither a nor b.
// A NaN or infinity in a or b reaches c.
//
// From 16 rows on, each element of c is summed over k in order, so its bits do not
// depend on how many rows are multiplied with it. Fewer rows times a transposed b
// are dot products in assembly, where the order depends on how b is aligned.
func Gemm(alpha float32, a, b Matrix, beta float32, c Matrix) {
	a.check()
	b.check()
	c.check()
	if a.Cols != b.Rows || a.Rows != c.Rows || b.Cols != c.Cols || c.Trans {
		panic(fmt.Sprintf("tensor: gemm of %dx%d and %dx%d into %dx%d", a.Rows, a.Cols, b.Rows, b.Cols, c.Rows, c.Cols))
	}
	if c.Rows == 0 || c.Cols == 0 {
		return
	}
	if beta != 1 {
		for i := range c.Rows {
			row := c.Data[i*c.Stride:][:c.Cols]
			if beta == 0 {
				clear(row)
			} else {
				active.scale(row, beta)
			}
		}
	}
	if a.Cols > 0 {
		active.gemm(alpha, a, b, c)
	}
}

// SetRows copies row into every row of y, [rows, len(row)].
func SetRows(y, row []float32) {
	for ; len(y) > 0; y = y[len(row):] {
		copy(y[:len(row)], row)
	}
}

// SumRows adds every row of x, [rows, len(sum)], to sum.
func SumRows(sum, x []float32) {
	for ; len(x) > 0; x = x[len(sum):] {
		active.axpy(sum, 1, x[:len(sum)])
	}
}

// Transpose sets dst = srcᵀ: dst is [src.Cols, src.Rows] with stride dstStride,
// and overlaps src nowhere.
func Transpose(dst []float32, dstStride int, src Matrix) {
	src.check()
	if src.Trans {
		for j := range src.Cols {
			copy(dst[j*dstStride:][:src.Rows], src.Data[j*src.Stride:][:src.Rows])
		}
		return
	}
	i := 0
	for ; i+8 <= src.Rows; i += 8 {
		transpose8(dst[i:], dstStride, src.Data[i*src.Stride:], src.Stride, src.Cols)
	}
	for ; i < src.Rows; i++ {
		for j, v := range src.Data[i*src.Stride:][:src.Cols] {
			dst[j*dstStride+i] = v
		}
	}
}

// transpose8 turns 8 rows of src into 8 columns of dst: whole runs of dst are
// written at once, which strided writes of single elements are not.
func transpose8(dst []float32, dstStride int, src []float32, stride, cols int) {
	r0, r1, r2, r3 := src[:cols], src[stride:][:cols], src[2*stride:][:cols], src[3*stride:][:cols]
	r4, r5, r6, r7 := src[4*stride:][:cols], src[5*stride:][:cols], src[6*stride:][:cols], src[7*stride:][:cols]
	for j := range r0 {
		d := (*[8]float32)(dst[j*dstStride:])
		d[0], d[1], d[2], d[3] = r0[j], r1[j], r2[j], r3[j]
		d[4], d[5], d[6], d[7] = r4[j], r5[j], r6[j], r7[j]
	}
}
