// Package tensor holds the float32 arithmetic of halos: vectors, matrix
// products and the layers of a transformer, all on flat slices.
//
// Rules that every function keeps:
//
//   - The destination comes first. Slices of different lengths are a bug of the
//     caller and panic; nothing read from a file or a peer may reach that.
//   - Nothing is allocated per call.
//   - Slices may alias only where the function says so.
//   - Each XxxGrad follows its Xxx. Gradients of parameters are added to what the
//     slice holds, so that one slice gathers several batches.
//   - The same calls of the same program give the same bits: no sum depends on
//     scheduling or on the number of processors.
//
// The heavy loops sit in one table of kernels that is chosen once at start, see
// Kernel.
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
