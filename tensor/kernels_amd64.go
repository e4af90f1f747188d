package tensor

import "golang.org/x/sys/cpu"

// The assembly is made by the module in gen, see the target "kernels" of the Makefile.

var avx2 = kernels{
	name: "avx2",
	axpy: axpyAVX2, lerp: lerpAVX2, sub: subAVX2, mul: mulAVX2, scale: scaleAVX2, sumSquares: sumSquaresAVX2,
	gelu: geluAVX2, layerNorm: layerNormAVX2, layerNormGrad: layerNormGradAVX2, rotate: rotateAVX2,
	maximum: maximumAVX2, expSum: expSumAVX2, softmaxGrad: softmaxGradAVX2,
	adamW:  func(p, g, m, v []float32, s *AdamWStep) { adamWAVX2(p, g, m, v, &s.Scale) },
	arrive: arriveAVX2, glide: glideAVX2,
	renew:     func(theta, m, d, g []float32, s *NesterovStep) { renewAVX2(theta, m, d, g, &s.Beta) },
	transpose: transposeAVX, dots: dotsAVX2, gemm: tilesAVX2.gemm,
	triad: triadAVX2, peak: peakAVX2, peakFlops: 2 * 12 * 8,
}

var tilesAVX2 = &tiles{
	rows: 6, cols: 16, lanes: 8, depth: 256, packed: 1 << 16, strip: 60, copyRows: copyRowsAVX2,
	byRows: []tile{tile1RowsAVX2, tile2RowsAVX2, tile3RowsAVX2, tile4RowsAVX2, tile5RowsAVX2, tile6RowsAVX2},
	byCols: []tile{tile1ColsAVX2, tile2ColsAVX2, tile3ColsAVX2, tile4ColsAVX2, tile5ColsAVX2, tile6ColsAVX2},
}

var avx512 = kernels{
	name: "avx512",
	axpy: axpyAVX512, lerp: lerpAVX512, sub: subAVX512, mul: mulAVX512, scale: scaleAVX512, sumSquares: sumSquaresAVX512,
	gelu: geluAVX512, layerNorm: layerNormAVX512, layerNormGrad: layerNormGradAVX512, rotate: rotateAVX512,
	maximum: maximumAVX512, expSum: expSumAVX512, softmaxGrad: softmaxGradAVX512,
	adamW:  func(p, g, m, v []float32, s *AdamWStep) { adamWAVX512(p, g, m, v, &s.Scale) },
	arrive: arriveAVX512, glide: glideAVX512,
	renew:     func(theta, m, d, g []float32, s *NesterovStep) { renewAVX512(theta, m, d, g, &s.Beta) },
	transpose: transposeAVX, dots: dotsAVX512, gemm: tilesAVX512.gemm,
	triad: triadAVX512, peak: peakAVX512, peakFlops: 2 * 12 * 16,
}

var tilesAVX512 = &tiles{
	rows: 14, cols: 32, lanes: 16, depth: 512, packed: packedB, strip: 56, inPlace: true, copyRows: copyRowsAVX512,
	byRows: []tile{
		tile1RowsAVX512, tile2RowsAVX512, tile3RowsAVX512, tile4RowsAVX512, tile5RowsAVX512, tile6RowsAVX512, tile7RowsAVX512,
		tile8RowsAVX512, tile9RowsAVX512, tile10RowsAVX512, tile11RowsAVX512, tile12RowsAVX512, tile13RowsAVX512, tile14RowsAVX512,
	},
	byCols: []tile{
		tile1ColsAVX512, tile2ColsAVX512, tile3ColsAVX512, tile4ColsAVX512, tile5ColsAVX512, tile6ColsAVX512, tile7ColsAVX512,
		tile8ColsAVX512, tile9ColsAVX512, tile10ColsAVX512, tile11ColsAVX512, tile12ColsAVX512, tile13ColsAVX512, tile14ColsAVX512,
	},
}

// available lists the sets that this machine can run, the fastest last.
func available() []*kernels {
	sets := []*kernels{&generic}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2 {
		sets = append(sets, &avx2)
		if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL {
			sets = append(sets, &avx512)
		}
	}
	return sets
}
