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
//     scheduling or on the number of threads.
//
// The heavy loops sit in one table of kernels that is chosen once at start, see
// Kernel.
package tensor

import (
	"fmt"
	"os"
	"strings"
)

// kernels are the loops worth writing once per instruction set. Lengths are
// checked before the call, so an entry may trust them.
type kernels struct {
	name string

	axpy       func(y []float32, a float32, x []float32)
	lerp       func(y, x []float32, keep, w float32) // y = keep*y + w*x
	sub        func(dst, a, b []float32)
	mul        func(y, x []float32)
	scale      func(x []float32, a float32)
	sumSquares func(x []float32) float64

	gelu          func(y, slope, x []float32)
	layerNorm     func(y, x, gain, bias []float32, eps float32) (mean, rstd float32)
	layerNormGrad func(dx, dgain, dbias, dy, x, gain []float32, mean, rstd float32)
	rotate        func(x, cos, sin []float32, sign float32)
	maximum       func(x []float32) float32                          // of at least one element; NaN are passed over
	expSum        func(y, x []float32, scale, shift float32) float32 // y = exp(scale*x - shift), and its sum
	softmaxGrad   func(d, w []float32, dot, scale float32)           // d = scale*w*(d - dot)

	adamW  func(p, g, m, v []float32, s *AdamWStep)
	arrive func(theta, d, g []float32, ofDelta float32)                // see Nesterov
	renew  func(theta, m, d, g []float32, s *NesterovStep)             // see Nesterov
	glide  func(theta, m, d, g []float32, ofMomentum, ofDelta float32) // see Nesterov

	triad     func(a, b, c []float32, s float32)
	peak      func(n int) // does n*peakFlops operations
	peakFlops float64

	transpose func(dst []float32, dstStride int, src []float32, stride, rows, cols int)
	dots      func(y, x, w []float32, stride int) // y[j] += x·w[j*stride:]
	gemm      func(s *scratch, c, a, b, d Matrix) // c = a*b + d, see product
}

// generic runs everywhere: plain Go, with gonum for what it has in assembly.
var generic = kernels{
	name: "generic",
	axpy: axpyGonum, lerp: lerpGo, sub: subGo, mul: mulGo, scale: scaleGo, sumSquares: sumSquaresGo,
	gelu: geluGo, layerNorm: layerNormGo, layerNormGrad: layerNormGradGo, rotate: rotateGo,
	maximum: maximumGo, expSum: expSumGo, softmaxGrad: softmaxGradGo,
	adamW: adamWGo, arrive: arriveGo, renew: renewGo, glide: glideGo,
	triad: triadGo, peak: peakGo, peakFlops: 8,
	transpose: transposeGo, dots: dotsGonum, gemm: gemmGonum,
}

var active, choice = choose(os.Getenv("HALOS_KERNEL"))

// Kernel names the set of kernels in use. Sets differ in the order of their
// sums, so results agree to rounding between sets and to the bit within one.
func Kernel() string { return active.name }

// KernelError says what is wrong with HALOS_KERNEL, by which a user may force one
// of the sets: it names none, or one that this machine cannot run.
func KernelError() error { return choice }

// choose returns the named set, or the best one where the name is empty.
func choose(name string) (*kernels, error) {
	sets := available()
	if name == "" {
		return sets[len(sets)-1], nil
	}
	var names []string
	for _, s := range sets {
		if s.name == name {
			return s, nil
		}
		names = append(names, s.name)
	}
	return sets[len(sets)-1], fmt.Errorf("HALOS_KERNEL is %q; this machine runs %s", name, strings.Join(names, ", "))
}
