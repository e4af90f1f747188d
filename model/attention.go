package model

import (
	"math"

	"halos/tensor"
)

// attention is the scratch for one head of one sequence. Scores and weights lie as
// [keys, queries]: so no product needs a transposed copy of them, except by blocks,
// and the softmax runs along rows.
type attention struct {
	scale               float32   // of the scores, 1/sqrt(hd)
	qT, kT, vT, dmixedT []float32 // [hd, T]
	w, dw               []float32 // [keys, queries] weights, and the gradient of the scores
	dot                 []float32 // [T] see tensor.CausalSoftmaxGrad
}

func newAttention(c Config, context int) attention {
	hd := c.headSize()
	return attention{
		scale: float32(1 / math.Sqrt(float64(hd))),
		qT:    make([]float32, hd*context), kT: make([]float32, hd*context),
		vT: make([]float32, hd*context), dmixedT: make([]float32, hd*context),
		w: make([]float32, context*context), dw: make([]float32, context*context),
		dot: make([]float32, context),
	}
}

// attend turns the q and k of the pass by their positions and sets a.mixed: for
// each query the values of its past, weighted by softmax(q·k/sqrt(hd)).
func (n *Net) attend(a *activations, p pass) {
	lo, hi := p.rows()
	n.rotate(a.qkv, lo, hi, p.T, tensor.Rotary)
	s := &n.scratch
	for b := range p.B {
		for h := range n.cfg.NumAttentionHeads {
			q, k, v := n.qkv(a.qkv, b, h, p.T)
			q = q.Block(p.from, 0, p.T-p.from, q.Cols)
			w := tensor.Dense(s.w[:k.Rows*q.Rows], k.Rows, q.Rows)
			score(w, transposed(s.kT, k), transposed(s.qT, q))
			tensor.CausalSoftmax(w, n.lse(a, b, h, p.T)[p.from:], s.scale)
			sumKeys(n.headOf(a.mixed, b, h, p.T).Block(p.from, 0, q.Rows, v.Cols), w, v)
		}
	}
}

// attendGrad sets dqkv, [B*T, 3C], the gradient of a.qkv before it was turned, from
// dmixed. The weights are computed again, which costs less than keeping them.
func (n *Net) attendGrad(dqkv, dmixed []float32, a *activations, p pass) {
	s := &n.scratch
	for b := range p.B {
		for h := range n.cfg.NumAttentionHeads {
			q, k, v := n.qkv(a.qkv, b, h, p.T)
			dq, dk, dv := n.qkv(dqkv, b, h, p.T)
			mixed, dout := n.headOf(a.mixed, b, h, p.T), n.headOf(dmixed, b, h, p.T)
			w, dw := tensor.Dense(s.w[:p.T*p.T], p.T, p.T), tensor.Dense(s.dw[:p.T*p.T], p.T, p.T)

			score(w, transposed(s.kT, k), transposed(s.qT, q))
			tensor.CausalWeights(w, n.lse(a, b, h, p.T), s.scale)
			sumQueries(dv, w, dout)

			score(dw, transposed(s.vT, v), transposed(s.dmixedT, dout))
			tensor.CausalSoftmaxGrad(dw, w, rowDots(s.dot[:p.T], dout, mixed), s.scale)
			sumKeys(dq, dw, k)
			sumQueries(dk, dw, q)
		}
	}
	n.rotate(dqkv, 0, p.B*p.T, p.T, tensor.RotaryGrad)
}

// score sets w(j, i) = x_j·y_i wherever query i sees key j. w is [keys, queries],
// the queries being the last of the keys, xT [hd, keys] and yT [hd, queries].
func score(w, xT, yT tensor.Matrix) {
	for j := 0; j < w.Rows; j += keyBlock {
		keys, first := visible(w, j)
		queries := w.Cols - first
		tensor.Gemm(1, xT.Block(0, j, xT.Rows, keys).T(), yT.Block(0, first, yT.Rows, queries), 0, w.Block(j, first, keys, queries))
	}
}

// sumKeys sets row i of out, [queries, hd], to the sum over keys of w(j, i)*x_j.
func sumKeys(out, w, x tensor.Matrix) {
	var beta float32 // the first block of keys is seen by all queries
	for j := 0; j < w.Rows; j += keyBlock {
		keys, first := visible(w, j)
		queries := w.Cols - first
		tensor.Gemm(1, w.Block(j, first, keys, queries).T(), x.Block(j, 0, keys, x.Cols), beta, out.Block(first, 0, queries, out.Cols))
		beta = 1
	}
}

// sumQueries sets row j of out, [keys, hd], to the sum over queries of w(j, i)*y_i.
func sumQueries(out, w, y tensor.Matrix) {
	for j := 0; j < w.Rows; j += keyBlock {
		keys, first := visible(w, j)
		queries := w.Cols - first
		tensor.Gemm(1, w.Block(j, first, keys, queries), y.Block(first, 0, queries, y.Cols), 0, out.Block(j, 0, keys, out.Cols))
	}
}

// keyBlock is how many keys are multiplied at a time. What the causal mask hides is
// skipped to that grain.
const keyBlock = 32

// visible returns how many keys of w the block from j has, and the first query that
// sees any of them.
func visible(w tensor.Matrix, j int) (keys, first int) {
	return min(keyBlock, w.Rows-j), max(0, j-(w.Rows-w.Cols))
}

// rowDots sets dot[i] = x_i·y_i and returns it.
func rowDots(dot []float32, x, y tensor.Matrix) []float32 {
	for i := range dot {
		a, b := x.Data[i*x.Stride:][:x.Cols], y.Data[i*y.Stride:][:x.Cols]
		var sum float32
		for d, v := range a {
			sum += v * b[d]
		}
		dot[i] = sum
	}
	return dot
}

func transposed(buf []float32, x tensor.Matrix) tensor.Matrix {
	buf = buf[:x.Rows*x.Cols]
	tensor.Transpose(buf, x.Rows, x)
	return tensor.Dense(buf, x.Cols, x.Rows)
}

// rotate applies turn to every q and k in rows lo..hi-1 of qkv, [B*T, 3C].
func (n *Net) rotate(qkv []float32, lo, hi, T int, turn func(x, cos, sin []float32)) {
	C, hd, half := n.cfg.HiddenSize, n.cfg.headSize(), n.cfg.rotary()/2
	for r := lo; r < hi; r++ {
		cos, sin := n.cos[r%T*half:][:half], n.sin[r%T*half:][:half]
		for row := qkv[r*3*C:][:3*C]; len(row) > 0; row = row[3*hd:] {
			turn(row[:hd], cos, sin)
			turn(row[hd:2*hd], cos, sin)
		}
	}
}

// qkv views what head h of sequence b has in qkv, each [T, hd].
func (n *Net) qkv(qkv []float32, b, h, T int) (q, k, v tensor.Matrix) {
	C, hd := n.cfg.HiddenSize, n.cfg.headSize()
	at := b*T*3*C + h*3*hd
	view := func(at int) tensor.Matrix {
		return tensor.Matrix{Data: qkv[at:], Rows: T, Cols: hd, Stride: 3 * C}
	}
	return view(at), view(at + hd), view(at + 2*hd)
}

// headOf views what head h of sequence b has in x, [B*T, C], as [T, hd].
func (n *Net) headOf(x []float32, b, h, T int) tensor.Matrix {
	C, hd := n.cfg.HiddenSize, n.cfg.headSize()
	return tensor.Matrix{Data: x[b*T*C+h*hd:], Rows: T, Cols: hd, Stride: C}
}

// lse views what head h of sequence b has in a.lse, [T].
func (n *Net) lse(a *activations, b, h, T int) []float32 {
	return a.lse[(b*n.cfg.NumAttentionHeads+h)*T:][:T]
}
