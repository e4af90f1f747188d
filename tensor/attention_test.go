package tensor

import (
	"fmt"
	"math"
	"testing"
)

// rows64 copies a matrix to float64, a slice per row.
func rows64(m Matrix) [][]float64 {
	out := make([][]float64, m.Rows)
	for i := range out {
		out[i] = make([]float64, m.Cols)
		for j := range out[i] {
			out[i][j] = m.at(i, j)
		}
	}
	return out
}

func dot64(x, y []float64) (sum float64) {
	for i, v := range x {
		sum += v * y[i]
	}
	return sum
}

// naiveAttend is Attend by its definition; it returns the weights too.
func naiveAttend(q, k, v [][]float64, scale float64) (out, w [][]float64, lse []float64) {
	out, w, lse = make([][]float64, len(q)), make([][]float64, len(q)), make([]float64, len(q))
	for i := range q {
		seen := len(k) - len(q) + i + 1
		out[i], w[i] = make([]float64, len(v[0])), make([]float64, len(k))
		top, total := math.Inf(-1), 0.0
		for j := range seen {
			w[i][j] = scale * dot64(q[i], k[j])
			top = max(top, w[i][j])
		}
		for j := range seen {
			w[i][j] = math.Exp(w[i][j] - top)
			total += w[i][j]
		}
		lse[i] = top + math.Log(total)
		for j := range seen {
			w[i][j] /= total
			for d := range out[i] {
				out[i][d] += w[i][j] * v[j][d]
			}
		}
	}
	return out, w, lse
}

// naiveAttendGrad is AttendGrad by the chain rule.
func naiveAttendGrad(dout, q, k, v [][]float64, scale float64) (dq, dk, dv [][]float64) {
	dq, dk, dv = zeros(q), zeros(k), zeros(v)
	out, w, _ := naiveAttend(q, k, v, scale)
	for i := range q {
		for j := range i + 1 {
			ds := scale * w[i][j] * (dot64(dout[i], v[j]) - dot64(dout[i], out[i]))
			for d := range q[i] {
				dq[i][d] += ds * k[j][d]
				dk[j][d] += ds * q[i][d]
			}
			for d := range v[j] {
				dv[j][d] += w[i][j] * dout[i][d]
			}
		}
	}
	return dq, dk, dv
}

func zeros(like [][]float64) [][]float64 {
	out := make([][]float64, len(like))
	for i := range out {
		out[i] = make([]float64, len(like[i]))
	}
	return out
}

// nearRows fails unless each element is within tolerance, relative to the largest
// and to 1, the size of the inputs, which may cancel.
func nearRows(t *testing.T, name string, got Matrix, want [][]float64, tolerance float64) {
	t.Helper()
	size := 1.0
	for _, row := range want {
		for _, v := range row {
			size = max(size, math.Abs(v))
		}
	}
	for i, row := range want {
		for j, v := range row {
			if !(math.Abs(got.at(i, j)-v) <= tolerance*size) {
				t.Fatalf("%s (%d,%d) = %v, want %v", name, i, j, got.at(i, j), v)
			}
		}
	}
}

func TestAttendAgreesWithNaive(t *testing.T) {
	const context = 100
	for _, hd := range []int{1, 2, 7, 16, 32, 33, 64, 70} {
		s := NewAttentionScratch(hd, context)
		for T := 1; T <= context; T += 1 + T/8 {
			for _, queries := range []int{1, 2, 3, 4, 5, 31, 32, 33, 40, T} {
				if queries > T {
					continue
				}
				q, k, v := form(queries, hd, false, 1), form(T, hd, false, 2), form(T, hd, false, 3)
				scale := 1 / math.Sqrt(float64(hd))
				want, _, wantLSE := naiveAttend(rows64(q), rows64(k), rows64(v), scale)
				eachSet(t, func(t *testing.T) {
					out, lse := form(queries, hd, false, 4), random(queries, 5)
					before := clone(out.Data)
					s.Attend(out, lse, q, k, v, float32(scale))
					sameOutside(t, out, before)
					name := fmt.Sprintf("%d queries, %d keys, size %d", queries, T, hd)
					nearRows(t, name, out, want, 2e-6)
					for i, v := range lse {
						near(t, name, float64(v), wantLSE[i], 2e-6*(1+math.Abs(wantLSE[i])))
					}
				})
			}
		}
	}
}

func TestNaiveAttendGradAgreesWithDifferences(t *testing.T) {
	const T, hd, scale, h = 6, 3, 0.7, 1e-6
	x := [4][][]float64{}
	for i := range x {
		x[i] = rows64(form(T, hd, false, uint64(i)))
	}
	loss := func() (sum float64) {
		out, _, _ := naiveAttend(x[0], x[1], x[2], scale)
		for i := range out {
			sum += dot64(out[i], x[3][i])
		}
		return sum
	}
	dq, dk, dv := naiveAttendGrad(x[3], x[0], x[1], x[2], scale)
	for n, grad := range [][][]float64{dq, dk, dv} {
		for i := range grad {
			for j, got := range grad[i] {
				at := &x[n][i][j]
				before := *at
				*at = before + h
				up := loss()
				*at = before - h
				near(t, "gradient", got, (up-loss())/(2*h), 1e-8)
				*at = before
			}
		}
	}
}

func TestAttendGradAgreesWithNaive(t *testing.T) {
	const context = 100
	for _, hd := range []int{1, 2, 7, 16, 32, 33, 64, 70} {
		s := NewAttentionScratch(hd, context)
		for T := 1; T <= context; T += 1 + T/5 {
			q, k, v, dout := form(T, hd, false, 1), form(T, hd, false, 2), form(T, hd, false, 3), form(T, hd, false, 4)
			scale := 1 / math.Sqrt(float64(hd))
			wantQ, wantK, wantV := naiveAttendGrad(rows64(dout), rows64(q), rows64(k), rows64(v), scale)
			eachSet(t, func(t *testing.T) {
				out, lse := form(T, hd, false, 5), make([]float32, T)
				s.Attend(out, lse, q, k, v, float32(scale))
				dq, dk, dv := form(T, hd, false, 6), form(T, hd, false, 7), form(T, hd, false, 8)
				before := [][]float32{clone(dq.Data), clone(dk.Data), clone(dv.Data)}
				s.AttendGrad(dq, dk, dv, dout, out, q, k, v, lse, float32(scale))
				for i, d := range []Matrix{dq, dk, dv} {
					sameOutside(t, d, before[i])
					nearRows(t, fmt.Sprintf("%d tokens, size %d, gradient of %c", T, hd, "qkv"[i]), d, [][][]float64{wantQ, wantK, wantV}[i], 2e-6)
				}
			})
		}
	}
}

// What the mask hides must not be seen: neither large scores nor large values.
func TestAttendIgnoresLaterKeys(t *testing.T) {
	const hd, T, scale = 9, 70, 0.3
	s := NewAttentionScratch(hd, T)
	eachSet(t, func(t *testing.T) {
		for _, seen := range []int{1, 31, 32, 33, 69} {
			var outs, lses, grads [2][]float32
			for later := range 2 {
				q, k, v, dout := form(T, hd, false, 1), form(T, hd, false, 2), form(T, hd, false, 3), form(T, hd, false, 4)
				for i := seen; i < T; i++ {
					for j := range hd {
						k.Data[i*k.Stride+j] *= float32(1 + 1e6*later)
						v.Data[i*v.Stride+j] *= float32(1 + 1e6*later)
					}
				}
				out, lse := Dense(make([]float32, T*hd), T, hd), make([]float32, T)
				s.Attend(out, lse, q, k, v, scale)
				dq, dk, dv := Dense(make([]float32, T*hd), T, hd), form(T, hd, false, 6), form(T, hd, false, 7)
				s.AttendGrad(dq, dk, dv, dout, out, q, k, v, lse, scale)
				outs[later], lses[later], grads[later] = out.Data[:seen*hd], lse[:seen], dq.Data[:seen*hd]
			}
			sameBits(t, "out", outs[1], outs[0])
			sameBits(t, "lse", lses[1], lses[0])
			sameBits(t, "dq", grads[1], grads[0])
		}
	})
}

func TestAttendOfLargeScores(t *testing.T) {
	const T, scale = 40, 1
	s := NewAttentionScratch(1, T)
	eachSet(t, func(t *testing.T) {
		q, k, v := Dense(make([]float32, T), T, 1), Dense(make([]float32, T), T, 1), Dense(random(T, 1), T, 1)
		for i := range T {
			q.Data[i], k.Data[i] = 300, float32(300-10*i) // the first key has the largest score by far
		}
		k.Data[1] = k.Data[0]
		want := float32((v.at(0, 0) + v.at(1, 0)) / 2)
		for _, queries := range []int{1, T - 2} {
			out, lse := Dense(make([]float32, queries), queries, 1), make([]float32, queries)
			s.Attend(out, lse, q.Block(2, 0, queries, 1), k.Block(0, 0, 2+queries, 1), v.Block(0, 0, 2+queries, 1), scale)
			for i, got := range out.Data {
				near(t, "out", float64(got), float64(want), 2*roundoff*math.Abs(float64(want)))
				near(t, "lse", float64(lse[i]), 90000+math.Ln2, 90000*roundoff)
			}
		}
	})
}

func TestAttendAllocatesNothing(t *testing.T) {
	const hd, T = 33, 70
	s, lse := NewAttentionScratch(hd, T), make([]float32, T)
	q, out, grad := form(T, hd, false, 1), form(T, hd, false, 2), [3]Matrix{form(T, hd, false, 3), form(T, hd, false, 4), form(T, hd, false, 5)}
	eachSet(t, func(t *testing.T) {
		if n := testing.AllocsPerRun(5, func() {
			s.Attend(out, lse, q, q, q, 1)
			s.Attend(out.Block(0, 0, 1, hd), lse, q.Block(69, 0, 1, hd), q, q, 1)
			s.AttendGrad(grad[0], grad[1], grad[2], q, out, q, q, q, lse, 1)
		}); n != 0 {
			t.Errorf("%v allocations per call", n)
		}
	})
}
