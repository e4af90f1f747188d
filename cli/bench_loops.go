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

// rateOf measures a loop over n elements, in parts that are a multiple of grain.
func rateOf(pool *tensor.Pool, name string, bytes, n, grain int, do func(lo, hi int)) loopRate {
	part := max(1, 1<<16/grain) * grain
	parts := (n + part - 1) / part
	took := seconds(func() { pool.Run(parts, loop{n, part, do}) })
	return loopRate{Name: name, Bytes: bytes, GBPS: float64(bytes) * float64(n) / took / 1e9}
}

// measureLoops measures the updates of a model of n parameters.
func (s *kernelSpeeds) measureLoops(pool *tensor.Pool, n int) {
	theta, m, d, g := noise(n), noise(n), make([]float32, n), noise(n)
	s.TriadGBPS = rateOf(pool, "", 12, n, 1, func(lo, hi int) { tensor.Triad(theta[lo:hi], m[lo:hi], g[lo:hi], 0.5) }).GBPS
	nesterov := tensor.NesterovStep{Beta: 0.9, Share: 1. / 16, OfMomentum: 1e-3, OfDelta: 1e-3}
	plain := tensor.NesterovStep{OfDelta: 1e-3}
	adam := tensor.AdamWStep{Scale: 1, Beta1: 0.9, Rest1: 0.1, Beta2: 0.95, Rest2: 0.05, Rate: 1e-3, Root: 1, Eps: 1e-8, Keep: 0.9999}
	s.Loops = []loopRate{
		rateOf(pool, "nesterov", 20, n, 1, func(lo, hi int) {
			tensor.NesterovArrive(theta[lo:hi], m[lo:hi], d[lo:hi], g[lo:hi], &plain)
		}),
		rateOf(pool, "nesterov momentum", 28, n, 1, func(lo, hi int) {
			tensor.NesterovRenew(theta[lo:hi], m[lo:hi], d[lo:hi], g[lo:hi], &nesterov)
		}),
		rateOf(pool, "merge", 12, n, 1, func(lo, hi int) { tensor.Lerp(theta[lo:hi], g[lo:hi], 0.25) }),
		rateOf(pool, "delta", 12, n, 1, func(lo, hi int) { tensor.Sub(d[lo:hi], theta[lo:hi], g[lo:hi]) }),
		rateOf(pool, "norm", 4, n, 1, func(lo, hi int) { tensor.SumSquares(g[lo:hi]) }),
	}
	clear(d) // second moments are not negative
	s.Loops = append(s.Loops, rateOf(pool, "adamw", 28, n, 1, func(lo, hi int) {
		tensor.AdamW(theta[lo:hi], g[lo:hi], m[lo:hi], d[lo:hi], &adam)
	}))
	s.share(s.Loops)
}

func (s *kernelSpeeds) share(loops []loopRate) {
	for i := range loops {
		loops[i].Share = loops[i].GBPS / s.TriadGBPS
	}
}

// measureActivations measures what lies between the products of a layer of j.
func (s *kernelSpeeds) measureActivations(pool *tensor.Pool, j *job.Job) {
	rows, C, F := j.Batch*j.Context(), j.Model.HiddenSize, j.Model.IntermediateSize
	x, y, slope := noise(rows*F), make([]float32, rows*F), make([]float32, rows*F)
	gain, mean, rstd := noise(F), make([]float32, rows), make([]float32, rows)
	s.Activations = []loopRate{
		rateOf(pool, "gelu", 12, rows*F, F, func(lo, hi int) { tensor.GELU(y[lo:hi], slope[lo:hi], x[lo:hi]) }),
		rateOf(pool, "gelu gradient", 12, rows*F, F, func(lo, hi int) { tensor.Mul(y[lo:hi], slope[lo:hi]) }),
		rateOf(pool, "layer norm", 8, rows*C, C, func(lo, hi int) {
			tensor.LayerNorm(y[lo:hi], mean[lo/C:hi/C], rstd[lo/C:hi/C], x[lo:hi], gain[:C], gain[:C], 1e-5)
		}),
		rateOf(pool, "exp and its sum", 8, rows*F, F, func(lo, hi int) {
			for ; lo < hi; lo += F {
				tensor.CrossEntropy(x[lo:lo+F], 0)
			}
		}),
	}
	s.share(s.Activations)
}
