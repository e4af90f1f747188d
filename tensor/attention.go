package tensor

import "math"

// AttentionScratch is what Attend and AttendGrad need for heads of at most size
// elements and sequences of at most context tokens. It holds a strip of the scores,
// some queries wide, never the context x context matrix:
//
//	4*(3*strip*context + 2*size*context) bytes, strip = 32
type AttentionScratch struct {
	kT, vT []float32 // [size, context]
	w, dw  []float32 // [strip, context] weights and the gradient of the scores
}

// strip is how many queries are attended to at a time: all keys up to the last of
// them are multiplied, so it is also the grain to which what the mask hides is
// skipped.
const strip = 32

// NewAttentionScratch makes the scratch.
func NewAttentionScratch(size, context int) *AttentionScratch {
	return &AttentionScratch{
		kT: make([]float32, size*context), vT: make([]float32, size*context),
		w: make([]float32, strip*context), dw: make([]float32, strip*context),
	}
}

// Attend sets out to the values of the keys that each query may see, weighted by
// the softmax of scale*q·k, for one head of one sequence.
//
//	out, q  [queries, hd]  the last of the keys' positions: query i sees keys 0..keys-queries+i
//	k, v    [keys, hd]
//	lse     [queries]      the logarithm of each query's sum, kept for AttendGrad
func (s *AttentionScratch) Attend(out Matrix, lse []float32, q, k, v Matrix, scale float32) {
	past := k.Rows - q.Rows
	if q.Rows < fewRows {
		for i := range q.Rows {
			s.attendOne(out.Data[i*out.Stride:][:out.Cols], &lse[i], q.Data[i*q.Stride:][:q.Cols], k, v, past+i+1, scale)
		}
		return
	}
	kT := Dense(s.kT[:k.Rows*k.Cols], k.Cols, k.Rows)
	Transpose(kT.Data, kT.Stride, k)
	for i := 0; i < q.Rows; i += strip {
		rows := min(strip, q.Rows-i)
		keys := past + i + rows
		w := Dense(s.w[:rows*keys], rows, keys)
		single.Gemm(w, q.Block(i, 0, rows, q.Cols), kT.Block(0, 0, kT.Rows, keys))
		for r := range rows {
			row := w.Data[r*keys:][:keys]
			lse[i+r] = softmax(row, past+i+r+1, scale)
		}
		single.Gemm(out.Block(i, 0, rows, out.Cols), w, v.Block(0, 0, keys, v.Cols))
	}
}

// attendOne is Attend for one query, which sees the given number of keys. It reads
// keys and values once, as they lie.
func (s *AttentionScratch) attendOne(out []float32, lse *float32, q []float32, k, v Matrix, keys int, scale float32) {
	w := s.w[:keys]
	clear(w)
	active.dots(w, q, k.Data, k.Stride)
	*lse = softmax(w, keys, scale)
	clear(out)
	for j, weight := range w {
		active.axpy(out, weight, v.Data[j*v.Stride:][:v.Cols])
	}
}

// softmax turns the first of a row of scores into weights, sets the others to 0 and
// returns the logarithm of the sum of exp(scale*score).
func softmax(row []float32, seen int, scale float32) float32 {
	clear(row[seen:])
	row = row[:seen]
	top := scale * active.maximum(row)
	total := active.expSum(row, row, scale, top)
	active.scale(row, 1/total)
	return top + float32(math.Log(float64(total)))
}

// AttendGrad sets dq, dk and dv from the gradient of out, for all queries of a
// sequence, as many as keys. The weights are computed again from lse, which costs
// less than keeping them.
//
//	dq, dk, dv, dout  [T, hd]  no aliasing
//	out, q, k, v      [T, hd]  as in Attend
//	lse               [T]      as Attend left it
func (s *AttentionScratch) AttendGrad(dq, dk, dv, dout, out, q, k, v Matrix, lse []float32, scale float32) {
	T := k.Rows
	kT, vT := Dense(s.kT[:T*k.Cols], k.Cols, T), Dense(s.vT[:T*v.Cols], v.Cols, T)
	Transpose(kT.Data, kT.Stride, k)
	Transpose(vT.Data, vT.Stride, v)
	for i := range T {
		clear(dk.Data[i*dk.Stride:][:dk.Cols])
		clear(dv.Data[i*dv.Stride:][:dv.Cols])
	}
	for i := 0; i < T; i += strip {
		rows := min(strip, T-i)
		keys := i + rows
		w, dw := Dense(s.w[:rows*keys], rows, keys), Dense(s.dw[:rows*keys], rows, keys)
		qi, gi := q.Block(i, 0, rows, q.Cols), dout.Block(i, 0, rows, dout.Cols)
		single.Gemm(w, qi, kT.Block(0, 0, kT.Rows, keys))
		single.Gemm(dw, gi, vT.Block(0, 0, vT.Rows, keys))
		for r := range rows {
			seen := i + r + 1
			weights, grads := w.Data[r*keys:][:keys], dw.Data[r*keys:][:keys]
			clear(weights[seen:])
			clear(grads[seen:])
			active.expSum(weights[:seen], weights[:seen], scale, lse[i+r])
			active.softmaxGrad(grads[:seen], weights[:seen], rowDot(gi, out, r, i+r), scale)
		}
		single.Gemm(dq.Block(i, 0, rows, dq.Cols), dw, k.Block(0, 0, keys, k.Cols))
		single.GemmAdd(dk.Block(0, 0, keys, dk.Cols), dw.T(), qi)
		single.GemmAdd(dv.Block(0, 0, keys, dv.Cols), w.T(), gi)
	}
}

// rowDot is the product of row i of x and row j of y, one sum in order.
func rowDot(x, y Matrix, i, j int) float32 {
	a, b := x.Data[i*x.Stride:][:x.Cols], y.Data[j*y.Stride:][:x.Cols]
	var sum float32
	for d, v := range a {
		sum += v * b[d]
	}
	return sum
}

// single is the pool of a task's parts, which are done by one thread each.
var single *Pool
