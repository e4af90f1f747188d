package model

import "halos/tensor"

// What follows are the operations of a pass, on the rows that it covers of buffers,
// [B*T, width], with weights, [out, in].

// embed sets x to the embeddings of the tokens.
func (n *Net) embed(x, weights []float32) {
	C := n.cfg.HiddenSize
	n.parts(n.pass.rows(), C, operands{y: n.pass.of(x, C), x: weights}, func(n *Net, o *operands, lo, hi int) {
		C := n.cfg.HiddenSize
		for r := lo; r < hi; r++ {
			copy(o.y[r*C:][:C], o.x[n.pass.input(n.pass.from+r)*C:][:C])
		}
	})
}

// embedGrad adds the rows of dx to the gradients of their tokens' embeddings.
func (n *Net) embedGrad(dweights, dx []float32) {
	n.byColumns(n.cfg.HiddenSize, n.pass.rows(), operands{y: dweights, x: dx}, func(n *Net, o *operands, lo, hi int) {
		C := n.cfg.HiddenSize
		for r := range n.pass.rows() {
			tensor.Add(o.y[n.pass.input(r)*C:][lo:hi], o.x[r*C:][lo:hi])
		}
	})
}

// norm is a LayerNorm's output and what its backward pass needs besides.
type norm struct {
	y          []float32 // [B*T, C]
	mean, rstd []float32 // [B*T]
}

func (n *Net) layerNorm(to norm, x, gain, bias []float32) {
	C, p := n.cfg.HiddenSize, n.pass
	o := operands{y: p.of(to.y, C), mean: p.of(to.mean, 1), rstd: p.of(to.rstd, 1), x: p.of(x, C), gain: gain, bias: bias}
	n.parts(p.rows(), C, o, func(n *Net, o *operands, lo, hi int) {
		C := n.cfg.HiddenSize
		tensor.LayerNorm(o.y[lo*C:hi*C], o.mean[lo:hi], o.rstd[lo:hi], o.x[lo*C:hi*C], o.gain, o.bias, n.cfg.LayerNormEps)
	})
}

// layerNormGrad adds the gradients of layerNorm to dx, dgain and dbias. The latter
// two are summed over normRows rows at a time, then over these sums in order.
func (n *Net) layerNormGrad(dx, dgain, dbias, dy []float32, of norm, x, gain []float32) {
	C, p := n.cfg.HiddenSize, n.pass
	o := operands{y: p.of(dx, C), dy: p.of(dy, C), mean: p.of(of.mean, 1), rstd: p.of(of.rstd, 1), x: p.of(x, C), gain: gain}
	n.cut(p.rows(), roundUp(max(1, enough/C), normRows), o, func(n *Net, o *operands, lo, hi int) {
		C := n.cfg.HiddenSize
		for ; lo < hi; lo += normRows {
			end := min(lo+normRows, hi)
			sums := n.grad.norm[lo/normRows*2*C:][:2*C]
			clear(sums)
			tensor.LayerNormGrad(o.y[lo*C:end*C], sums[:C], sums[C:], o.dy[lo*C:end*C], o.x[lo*C:end*C], o.mean[lo:end], o.rstd[lo:end], o.gain)
		}
	})
	sums := n.grad.norm[:ceil(p.rows(), normRows)*2*C]
	n.addRows(dgain, sums, 2*C)
	n.addRows(dbias, sums[C:], 2*C)
}

// addRows adds the rows of x to sum. They begin width elements apart and are read as
// far as sum goes.
func (n *Net) addRows(sum, x []float32, width int) {
	n.byColumns(len(sum), ceil(len(x), width), operands{y: sum, x: x, width: width}, func(_ *Net, o *operands, lo, hi int) {
		sum := o.y[lo:hi]
		for at := lo; at < len(o.x); at += o.width {
			tensor.Add(sum, o.x[at:][:len(sum)])
		}
	})
}

// byColumns does an operation on all rows by parts of columns.
func (n *Net) byColumns(width, rows int, o operands, do operation) {
	n.cut(width, roundUp(max(1, enough/rows), columns), o, do)
}

// residual sets out = x + bias + more, where more may be nil for none.
func (n *Net) residual(out, x, bias, more []float32) {
	C := n.cfg.HiddenSize
	o := operands{y: n.pass.of(out, C), x: n.pass.of(x, C), bias: bias, more: more}
	n.parts(n.pass.rows(), C, o, func(n *Net, o *operands, lo, hi int) {
		C := n.cfg.HiddenSize
		for r := lo; r < hi; r++ {
			y := o.y[r*C:][:C]
			copy(y, o.x[r*C:][:C])
			tensor.Add(y, o.bias)
			if o.more != nil {
				tensor.Add(y, o.more)
			}
		}
	})
}

// gelu replaces act by GELU of it and sets slope to its derivative.
func (n *Net) gelu(act, slope []float32) {
	F := n.cfg.IntermediateSize
	n.parts(n.pass.rows(), F, operands{y: n.pass.of(act, F), x: n.pass.of(slope, F)}, func(n *Net, o *operands, lo, hi int) {
		F := n.cfg.IntermediateSize
		act := o.y[lo*F : hi*F]
		tensor.GELU(act, o.x[lo*F:hi*F], act)
	})
}

// geluGrad multiplies dact by the slope.
func (n *Net) geluGrad(dact, slope []float32) {
	F := n.cfg.IntermediateSize
	n.parts(n.pass.rows(), F, operands{y: n.pass.of(dact, F), x: n.pass.of(slope, F)}, func(n *Net, o *operands, lo, hi int) {
		F := n.cfg.IntermediateSize
		tensor.Mul(o.y[lo*F:hi*F], o.x[lo*F:hi*F])
	})
}

// linear sets y = x wᵀ + bias.
func (n *Net) linear(y, x, w, bias []float32) {
	out, in := len(bias), len(w)/len(bias)
	n.pool.GemmBias(n.pass.matrix(y, out), n.pass.matrix(x, in), tensor.Dense(w, out, in).T(), bias)
}

// linearAdd adds x wᵀ to y, [B*T, C].
func (n *Net) linearAdd(y, x, w []float32) {
	out, in := n.cfg.HiddenSize, len(w)/n.cfg.HiddenSize
	n.pool.GemmAdd(n.pass.matrix(y, out), n.pass.matrix(x, in), tensor.Dense(w, out, in).T())
}

// linearGrad sets dx = dy w, and adds dyᵀ x to dw and the sum of dy's rows to dbias.
func (n *Net) linearGrad(dx, dw, dbias, dy, x, w []float32) {
	out, in := len(dbias), len(w)/len(dbias)
	g := n.pass.matrix(dy, out)
	n.pool.Gemm(n.pass.matrix(dx, in), g, tensor.Dense(w, out, in))
	n.pool.GemmAdd(tensor.Dense(dw, out, in), g.T(), n.pass.matrix(x, in))
	n.addRows(dbias, g.Data, out)
}

func ceil(n, by int) int { return (n + by - 1) / by }

func roundUp(n, to int) int { return ceil(n, to) * to }
