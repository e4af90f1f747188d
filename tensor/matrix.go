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
	active.transpose(dst, dstStride, src.Data, src.Stride, src.Rows, src.Cols)
}

// transposeGo turns 8 rows of src at a time: whole runs of dst are written at once,
// which strided writes of single elements are not.
func transposeGo(dst []float32, dstStride int, src []float32, stride, rows, cols int) {
	i := 0
	for ; i+8 <= rows; i += 8 {
		transpose8(dst[i:], dstStride, src[i*stride:], stride, cols)
	}
	for ; i < rows; i++ {
		for j, v := range src[i*stride:][:cols] {
			dst[j*dstStride+i] = v
		}
	}
}

func transpose8(dst []float32, dstStride int, src []float32, stride, cols int) {
	r0, r1, r2, r3 := src[:cols], src[stride:][:cols], src[2*stride:][:cols], src[3*stride:][:cols]
	r4, r5, r6, r7 := src[4*stride:][:cols], src[5*stride:][:cols], src[6*stride:][:cols], src[7*stride:][:cols]
	for j := range r0 {
		d := (*[8]float32)(dst[j*dstStride:])
		d[0], d[1], d[2], d[3] = r0[j], r1[j], r2[j], r3[j]
		d[4], d[5], d[6], d[7] = r4[j], r5[j], r6[j], r7[j]
	}
}
