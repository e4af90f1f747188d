package tensor

// kernels are the loops worth writing once per instruction set. Lengths are
// checked before the call, so an entry may trust them.
type kernels struct {
	name       string
	axpy       func(y []float32, a float32, x []float32)
	lerp       func(y, x []float32, w float32)
	sub        func(dst, a, b []float32)
	scale      func(x []float32, a float32)
	sumSquares func(x []float32) float64
	gelu       func(y, slope, x []float32)
	gemm       func(alpha float32, a, b, c Matrix) // c += alpha*a*b
}

// generic runs everywhere: plain Go, with gonum for what it has in assembly.
var generic = kernels{
	name:       "generic",
	axpy:       axpyGonum,
	lerp:       lerpGo,
	sub:        subGo,
	scale:      scaleGo,
	sumSquares: sumSquaresGo,
	gelu:       geluGo,
	gemm:       gemmGonum,
}

var active = &generic

// Kernel names the set of kernels in use. Sets differ in the order of their
// sums, so results agree to rounding between sets and to the bit within one.
func Kernel() string { return active.name }
