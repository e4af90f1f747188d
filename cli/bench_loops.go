package cli

import (
	"halos/job"
	"halos/tensor"
)

// loop is done by parts of equal length.
type loop struct {
	n, part int
	do      func(lo, hi int)
}

func (l loop) Part(i int) { l.do(i*l.part, min((i+1)*l.part, l.n)) }

// over returns what does a loop over n elements, in parts that are a multiple of grain.
func over(pool *tensor.Pool, n, grain int, do func(lo, hi int)) func() {
	part := max(1, 1<<16/grain) * grain
	l := loop{n, part, do}
	return func() { pool.Run((n+part-1)/part, l) }
}

// loopBench measures loops beside a triad.
type loopBench struct {
	pool     *tensor.Pool
	elements int // of the triad
	triad    func()
	times    []float64 // of the triad, in seconds
}

func (b *loopBench) rate(name string, bytes, n, grain int, do func(lo, hi int)) loopRate {
	t := inTurn(over(b.pool, n, grain, do), b.triad)
	b.times = append(b.times, t.boundSeconds())
	moved := float64(bytes) * float64(n)
	return loopRate{Name: name, Bytes: bytes, GBPS: moved / t.seconds() / 1e9, Share: moved / b.triadBytes() * t.share()}
}

// triadBytes is what a triad reads and writes.
func (b *loopBench) triadBytes() float64 { return 12 * float64(b.elements) }

// measureLoops measures the updates of a model of n parameters, and what lies between
// the products of a layer of j.
func (s *kernelSpeeds) measureLoops(pool *tensor.Pool, n int, j *job.Job) {
	theta, m, d, g := noise(n), noise(n), make([]float32, n), noise(n)
	b := &loopBench{pool: pool, elements: n, triad: over(pool, n, 1, func(lo, hi int) {
		tensor.Triad(theta[lo:hi], m[lo:hi], g[lo:hi], 0.5)
	})}
	nesterov := tensor.NesterovStep{Beta: 0.9, Share: 1. / 16, OfMomentum: 1e-3, OfDelta: 1e-3}
	plain := tensor.NesterovStep{OfDelta: 1e-3}
	adam := tensor.AdamWStep{Scale: 1, Beta1: 0.9, Rest1: 0.1, Beta2: 0.95, Rest2: 0.05, Rate: 1e-3, Root: 1, Eps: 1e-8, Keep: 0.9999}
	s.Loops = []loopRate{
		b.rate("nesterov", 20, n, 1, func(lo, hi int) {
			tensor.NesterovArrive(theta[lo:hi], m[lo:hi], d[lo:hi], g[lo:hi], &plain)
		}),
		b.rate("nesterov momentum", 28, n, 1, func(lo, hi int) {
			tensor.NesterovRenew(theta[lo:hi], m[lo:hi], d[lo:hi], g[lo:hi], &nesterov)
		}),
		b.rate("merge", 12, n, 1, func(lo, hi int) { tensor.Lerp(theta[lo:hi], g[lo:hi], 0.25) }),
		b.rate("delta", 12, n, 1, func(lo, hi int) { tensor.Sub(d[lo:hi], theta[lo:hi], g[lo:hi]) }),
		b.rate("norm", 4, n, 1, func(lo, hi int) { tensor.SumSquares(g[lo:hi]) }),
	}
	clear(d) // second moments are not negative
	s.Loops = append(s.Loops, b.rate("adamw", 28, n, 1, func(lo, hi int) {
		tensor.AdamW(theta[lo:hi], g[lo:hi], m[lo:hi], d[lo:hi], &adam)
	}))
	s.Activations = b.activations(j)
	s.TriadGBPS = b.triadBytes() / median(b.times) / 1e9
}

// activations measures what lies between the products of a layer of j.
func (b *loopBench) activations(j *job.Job) []loopRate {
	rows, C, F := j.Batch*j.Context(), j.Model.HiddenSize, j.Model.IntermediateSize
	x, y, slope := noise(rows*F), make([]float32, rows*F), make([]float32, rows*F)
	gain, mean, rstd := noise(F), make([]float32, rows), make([]float32, rows)
	ones := make([]float32, rows*F) // any other factor would let the product vanish, call by call
	for i := range ones {
		ones[i] = 1
	}
	return []loopRate{
		b.rate("gelu", 12, rows*F, F, func(lo, hi int) { tensor.GELU(y[lo:hi], slope[lo:hi], x[lo:hi]) }),
		b.rate("gelu gradient", 12, rows*F, F, func(lo, hi int) { tensor.Mul(y[lo:hi], ones[lo:hi]) }),
		b.rate("layer norm", 8, rows*C, C, func(lo, hi int) {
			tensor.LayerNorm(y[lo:hi], mean[lo/C:hi/C], rstd[lo/C:hi/C], x[lo:hi], gain[:C], gain[:C], 1e-5)
		}),
		b.rate("exp and its sum", 8, rows*F, F, func(lo, hi int) {
			for ; lo < hi; lo += F {
				tensor.CrossEntropy(x[lo:lo+F], 0)
			}
		}),
	}
}
