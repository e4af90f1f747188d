package tensor

import (
	"math"
	"math/rand/v2"
	"testing"
)

func BenchmarkGELU(b *testing.B) {
	x, y, d := make([]float32, 4096), make([]float32, 4096), make([]float32, 4096)
	for i := range x {
		x[i] = float32(rand.NormFloat64())
	}
	for b.Loop() {
		GELU(y, d, x)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4096, "ns/element")
}
func BenchmarkExp(b *testing.B) {
	x, y := make([]float32, 4096), make([]float32, 4096)
	for i := range x {
		x[i] = float32(rand.NormFloat64())
	}
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			for i, v := range x {
				y[i] = exp(v)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4096, "ns/element")
	})
	b.Run("math", func(b *testing.B) {
		for b.Loop() {
			for i, v := range x {
				y[i] = float32(math.Exp(float64(v)))
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4096, "ns/element")
	})
}
