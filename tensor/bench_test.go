package tensor

import (
	"fmt"
	"runtime"
	"testing"
)

// The products of a training step, for the three presets: rows are the tokens that
// go through the model at once, out and in those of a linear layer.
var layersOf = []struct {
	preset                     string
	tokens, hidden, vocabulary int
}{
	{"tiny", 64, 128, 256}, {"small", 2048, 384, 256}, {"pythia-70m", 2048, 512, 50304},
}

func BenchmarkGemm(b *testing.B) {
	pool := NewPool(runtime.GOMAXPROCS(0))
	defer pool.Close()
	for _, set := range available() {
		for _, p := range layersOf {
			C := p.hidden
			for _, l := range []struct {
				name          string
				rows, out, in int
			}{
				{"qkv", p.tokens, 3 * C, C}, {"dense", p.tokens, C, C}, {"up", p.tokens, 4 * C, C}, {"down", p.tokens, C, 4 * C},
				{"logits", min(p.tokens, 512), p.vocabulary, C},
			} {
				name := fmt.Sprintf("%s/%s/%s", set.name, p.preset, l.name)
				x, y, w := noise(l.rows, l.in), noise(l.rows, l.out), noise(l.out, l.in)
				for _, form := range []struct {
					name    string
					c, a, b Matrix
				}{{"y=xw'", y, x, w.T()}, {"dx=dyw", x, y, w}, {"dw=dy'x", w, y.T(), x}} {
					b.Run(name+"/"+form.name, func(b *testing.B) {
						use(b, set)
						for b.Loop() {
							pool.Gemm(form.c, form.a, form.b)
						}
						flops := 2 * float64(l.rows) * float64(l.out) * float64(l.in) * float64(b.N)
						b.ReportMetric(flops/b.Elapsed().Seconds()/1e9, "GFLOP/s")
					})
				}
			}
		}
	}
}

// noise is not zeros, which take less power and so may run at a higher clock.
func noise(rows, cols int) Matrix { return Dense(random(rows*cols, 1), rows, cols) }

// BenchmarkVector is of slices that stay in the first cache. Bytes are those of the
// slices, read or written.
func BenchmarkVector(b *testing.B) {
	const n = 2048
	for _, set := range available() {
		for _, k := range elementwise {
			if k.name == "rotate" { // its test copies
				continue
			}
			b.Run(set.name+"/"+k.name, func(b *testing.B) {
				s := make([][]float32, k.slices)
				for i := range s {
					s[i] = make([]float32, n)
				}
				for b.Loop() {
					k.run(set, s)
				}
				report(b, 4*n*k.slices)
			})
		}
		x, y, gain := random(n, 1), make([]float32, n), random(n, 2)
		for _, k := range []struct {
			name   string
			slices int
			run    func()
		}{
			{"sumSquares", 1, func() { set.sumSquares(x) }},
			{"maximum", 1, func() { set.maximum(x) }},
			{"layerNorm", 4, func() { set.layerNorm(y, x, gain, gain, 1e-5) }},
			{"layerNormGrad", 6, func() { set.layerNormGrad(y, y, y, x, x, gain, 0, 1e-3) }},
			{"rotate", 2, func() { set.rotate(x, gain[:n/2], gain[n/2:], 1) }},
			{"dots", 1, func() { set.dots(y[:n/64], x[:64], x, 64) }},
			{"transpose", 2, func() { set.transpose(y, 32, x, 64, 32, 64) }},
		} {
			b.Run(set.name+"/"+k.name, func(b *testing.B) {
				for b.Loop() {
					k.run()
				}
				report(b, 4*n*k.slices)
			})
		}
	}
}

func report(b *testing.B, bytes int) {
	b.ReportMetric(float64(bytes)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
}

func BenchmarkAttend(b *testing.B) {
	const T, hd = 256, 64
	q, out, grad, lse := noise(T, hd), noise(T, hd), noise(T, hd), make([]float32, T)
	s := NewAttentionScratch(hd, T)
	for _, set := range available() {
		for _, k := range []struct {
			name     string
			products float64 // of T*T/2*hd multiplications each
			run      func()
		}{
			{"forward", 2, func() { s.Attend(out, lse, q, q, q, 0.125) }},
			{"backward", 5, func() { s.AttendGrad(grad, grad, grad, out, out, q, q, q, lse, 0.125) }},
		} {
			b.Run(set.name+"/"+k.name, func(b *testing.B) {
				use(b, set)
				for b.Loop() {
					k.run()
				}
				b.ReportMetric(k.products*T*T*hd*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
