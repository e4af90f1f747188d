package tensor

import (
	"syscall"
	"testing"
	"unsafe"
)

// atEdge returns n elements in front of a page that may not be touched, or right
// behind one: the process ends with a fault where a kernel reads or writes beyond.
func atEdge(t *testing.T, n int, behind bool) []float32 {
	page := syscall.Getpagesize()
	size := (4*n/page + 1) * page
	all, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(all) })
	for _, guard := range [][]byte{all[:page], all[page+size:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	data := unsafe.Slice((*float32)(unsafe.Pointer(&all[page])), size/4)
	copy(data, random(len(data), uint64(n)))
	if behind {
		return data[:n:n]
	}
	return data[len(data)-n:]
}

func TestVectorsTouchNothingBeyond(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, behind := range []bool{false, true} {
			var s [6][]float32
			for i := range s {
				s[i] = atEdge(t, 71, behind)
			}
			for n := range 72 {
				part := func(i int) []float32 {
					if behind {
						return s[i][:n]
					}
					return s[i][71-n:]
				}
				for _, k := range elementwise {
					var all [][]float32
					for i := range k.slices {
						all = append(all, part(i))
					}
					k.run(active, all)
				}
				active.rotate(part(0)[:n/2*2], part(1)[:n/2], part(2)[n-n/2:], 1)
				active.sumSquares(part(0))
				if n > 0 {
					active.maximum(part(0))
					active.layerNorm(part(0), part(1), part(2), part(3), 1)
					active.layerNormGrad(part(0), part(1), part(2), part(3), part(4), part(5), 0, 1)
					cols := min(n, 9)
					rows := n / cols
					active.dots(part(1)[:rows], part(0)[:cols], part(2)[n-rows*cols:], cols)
				}
			}
		}
	})
}

func TestMatricesTouchNothingBeyond(t *testing.T) {
	const largest = 41 * 43
	eachSet(t, func(t *testing.T) {
		for _, behind := range []bool{false, true} {
			var s [3][]float32
			for i := range s {
				s[i] = atEdge(t, largest, behind)
			}
			// view is a matrix whose last row ends where the data does.
			view := func(i, rows, cols int, trans bool) Matrix {
				m := Matrix{Rows: rows, Cols: cols, Trans: trans}
				if trans {
					rows, cols = cols, rows
				}
				m.Stride = cols + 2
				n := max(0, (rows-1)*m.Stride+cols)
				m.Data = s[i][:n]
				if !behind {
					m.Data = s[i][largest-n:]
				}
				return m
			}
			bias := atEdge(t, 41, behind)
			for _, z := range []shape{{1, 1, 1}, {1, 41, 5}, {3, 17, 41}, {4, 33, 1}, {5, 31, 0}, {14, 32, 8}, {15, 34, 9}, {41, 41, 41}, {29, 15, 17}, {7, 40, 39}} {
				for trans := range 4 {
					c, a, b := view(0, z.m, z.n, false), view(1, z.m, z.k, trans&1 != 0), view(2, z.k, z.n, trans&2 != 0)
					single.Gemm(c, a, b)
					single.GemmAdd(c, a, b)
					if behind {
						single.GemmBias(c, a, b, bias[:z.n])
					} else {
						single.GemmBias(c, a, b, bias[41-z.n:])
					}
					dst := view(0, z.k, z.m, false)
					Transpose(dst.Data, dst.Stride, a)
				}
			}
		}
	})
}
