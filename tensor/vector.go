package tensor

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/gonum"
)

var blas gonum.Implementation

func sameLen(op string, a, b int) {
	if a != b {
		panic(fmt.Sprintf("tensor: %s of lengths %d and %d", op, a, b))
	}
}

// piece is how many elements a kernel gets at a time: it cannot be interrupted, and
// this many take it far less than a millisecond.
const piece = 1 << 16

// Axpy adds a*x to y.
func Axpy(y []float32, a float32, x []float32) {
	sameLen("axpy", len(y), len(x))
	for len(y) > piece {
		active.axpy(y[:piece], a, x[:piece])
		y, x = y[piece:], x[piece:]
	}
	active.axpy(y, a, x)
}

// axpyGonum does without gonum where that would not look at x.
func axpyGonum(y []float32, a float32, x []float32) {
	if a != 0 {
		blas.Saxpy(len(y), a, x, 1, y, 1)
		return
	}
	for i, v := range x {
		y[i] += a * v
	}
}

// Add adds x to y.
func Add(y, x []float32) { Axpy(y, 1, x) }

// Lerp moves y towards x: y = (1-w)*y + w*x. At w = 0 and w = 1 it gives y and x
// to the bit, as long as both are finite.
func Lerp(y, x []float32, w float32) {
	sameLen("lerp", len(y), len(x))
	for len(y) > piece {
		active.lerp(y[:piece], x[:piece], 1-w, w)
		y, x = y[piece:], x[piece:]
	}
	active.lerp(y, x, 1-w, w)
}

func lerpGo(y, x []float32, keep, w float32) {
	x = x[:len(y)]
	for i, v := range y {
		y[i] = keep*v + w*x[i]
	}
}

// Sub sets dst = a - b. dst may alias either.
func Sub(dst, a, b []float32) {
	sameLen("sub", len(dst), len(a))
	sameLen("sub", len(dst), len(b))
	for len(dst) > piece {
		active.sub(dst[:piece], a[:piece], b[:piece])
		dst, a, b = dst[piece:], a[piece:], b[piece:]
	}
	active.sub(dst, a, b)
}

func subGo(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] - b[i]
	}
}

// Mul multiplies y by x, element by element.
func Mul(y, x []float32) {
	sameLen("mul", len(y), len(x))
	for len(y) > piece {
		active.mul(y[:piece], x[:piece])
		y, x = y[piece:], x[piece:]
	}
	active.mul(y, x)
}

func mulGo(y, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] *= x[i]
	}
}

// Scale multiplies x by a.
func Scale(x []float32, a float32) {
	for len(x) > piece {
		active.scale(x[:piece], a)
		x = x[piece:]
	}
	active.scale(x, a)
}

func scaleGo(x []float32, a float32) {
	for i := range x {
		x[i] *= a
	}
}

// Norm returns the Euclidean norm of x, summed in float64. It is finite exactly
// if every element is: no float32 overflows a float64 when squared.
func Norm(x []float32) float64 { return math.Sqrt(SumSquares(x)) }

// SumSquares returns the square of Norm.
func SumSquares(x []float32) float64 {
	var sum float64
	for len(x) > piece {
		sum += active.sumSquares(x[:piece])
		x = x[piece:]
	}
	return sum + active.sumSquares(x)
}

func sumSquaresGo(x []float32) float64 {
	var s0, s1, s2, s3 float64
	for len(x) >= 4 {
		v := (*[4]float32)(x)
		a, b, c, d := float64(v[0]), float64(v[1]), float64(v[2]), float64(v[3])
		s0 += a * a
		s1 += b * b
		s2 += c * c
		s3 += d * d
		x = x[4:]
	}
	for _, v := range x {
		s0 += float64(v) * float64(v)
	}
	return (s0 + s1) + (s2 + s3)
}
