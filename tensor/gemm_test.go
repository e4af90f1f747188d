package tensor

import (
	"fmt"
	"testing"
)

func BenchmarkGemm(b *testing.B) {
	shapes := []struct {
		name    string
		m, n, k int
	}{
		{"qkv", 512, 384, 128},
		{"dense", 512, 128, 128},
		{"up", 512, 512, 128},
		{"down", 512, 128, 512},
		{"attention", 32, 32, 64},
		{"score", 32, 64, 32},
		{"mix", 96, 32, 32},
		{"small up", 1024, 1536, 384},
		{"row", 1, 512, 128},
		{"rows", 15, 512, 128},
	}
	for _, s := range shapes {
		for _, form := range []string{"NN", "NT", "TN"} {
			b.Run(fmt.Sprintf("%s/%s", s.name, form), func(b *testing.B) {
				x, y, z := Dense(make([]float32, s.m*s.k), s.m, s.k), Dense(make([]float32, s.n*s.k), s.k, s.n), Dense(make([]float32, s.m*s.n), s.m, s.n)
				if form[0] == 'T' {
					x = Dense(x.Data, s.k, s.m).T()
				}
				if form[1] == 'T' {
					y = Dense(y.Data, s.n, s.k).T()
				}
				for b.Loop() {
					Gemm(1, x, y, 0, z)
				}
				flops := 2 * float64(s.m) * float64(s.n) * float64(s.k) * float64(b.N)
				b.ReportMetric(flops/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
