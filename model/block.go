package model

import "halos/tensor"

// block runs one layer, from a.x to out. With the parallel residual
//
//	out = x + attention(norm_in(x)) + mlp(norm_post(x))
//
// and else mid = x + attention(norm_in(x)), out = mid + mlp(norm_post(mid)).
func (n *Net) block(out []float32, w layer, a *activations, p pass) {
	C, eps := n.cfg.HiddenSize, n.cfg.LayerNormEps
	lo, hi := p.rows()
	x, out := a.x[lo*C:hi*C], out[lo*C:hi*C]

	normIn, qkv := a.normIn[lo*C:hi*C], a.qkv[lo*3*C:hi*3*C]
	tensor.LayerNorm(normIn, a.meanIn[lo:hi], a.rstdIn[lo:hi], x, w.normInGain, w.normInBias, eps)
	linear(qkv, normIn, w.qkv, w.qkvBias, C)
	n.attend(a, p)

	copy(out, x)
	linearAdd(out, a.mixed[lo*C:hi*C], w.dense, w.denseBias, C)
	if a.mid != nil {
		x = a.mid[lo*C : hi*C]
		copy(x, out)
	}
	n.mlp(out, x, w, a, lo, hi)
}

// blockGrad turns n.grad.x, the gradient of the layer's output, into that of its
// input, and adds those of the layer's parameters to d.
func (n *Net) blockGrad(d, w layer, a *activations, p pass) {
	C, g := n.cfg.HiddenSize, &n.grad
	rows := p.B * p.T
	dx, dnormIn, dnormPost, dqkv, dmixed := g.x[:rows*C], g.normIn[:rows*C], g.normPost[:rows*C], g.qkv[:rows*3*C], g.mixed[:rows*C]

	n.mlpGrad(dnormPost, dx, d, w, a)
	if a.mid != nil { // the attention gets the gradient of mid; with the parallel residual that of out
		tensor.LayerNormGrad(dx, d.normPostGain, d.normPostBias, dnormPost, a.mid[:rows*C], a.meanPost[:rows], a.rstdPost[:rows], w.normPostGain)
	}
	linearGrad(dmixed, d.dense, d.denseBias, dx, a.mixed[:rows*C], w.dense, C)
	n.attendGrad(dqkv, dmixed, a, p)
	linearGrad(dnormIn, d.qkv, d.qkvBias, dqkv, a.normIn[:rows*C], w.qkv, C)
	if a.mid == nil {
		tensor.LayerNormGrad(dx, d.normPostGain, d.normPostBias, dnormPost, a.x[:rows*C], a.meanPost[:rows], a.rstdPost[:rows], w.normPostGain)
	}
	tensor.LayerNormGrad(dx, d.normInGain, d.normInBias, dnormIn, a.x[:rows*C], a.meanIn[:rows], a.rstdIn[:rows], w.normInGain)
}

// mlp adds down(gelu(up(norm_post(x)))) to out, for rows lo..hi-1 of the batch.
func (n *Net) mlp(out, x []float32, w layer, a *activations, lo, hi int) {
	C, F := n.cfg.HiddenSize, n.cfg.IntermediateSize
	norm, act := a.normPost[lo*C:hi*C], a.act[lo*F:hi*F]
	tensor.LayerNorm(norm, a.meanPost[lo:hi], a.rstdPost[lo:hi], x, w.normPostGain, w.normPostBias, n.cfg.LayerNormEps)
	linear(act, norm, w.up, w.upBias, C)
	tensor.GELU(act, a.slope[lo*F:hi*F], act)
	linearAdd(out, act, w.down, w.downBias, F)
}

// mlpGrad sets dnorm, the gradient of the MLP's normalised input, from dout.
func (n *Net) mlpGrad(dnorm, dout []float32, d, w layer, a *activations) {
	C, F := n.cfg.HiddenSize, n.cfg.IntermediateSize
	rows := len(dout) / C
	dact := n.grad.act[:rows*F]
	linearGrad(dact, d.down, d.downBias, dout, a.act[:rows*F], w.down, F)
	tensor.Mul(dact, a.slope[:rows*F])
	linearGrad(dnorm, d.up, d.upBias, dact, a.normPost[:rows*C], w.up, C)
}

// linear sets y = x wᵀ + bias.
//
//	y     [rows, out]
//	x     [rows, in]
//	w     [out, in]
//	bias  [out], or nil for none
func linear(y, x, w, bias []float32, in int) {
	var beta float32
	if bias != nil {
		tensor.SetRows(y, bias)
		beta = 1
	}
	rows, out := len(x)/in, len(w)/in
	tensor.Gemm(1, tensor.Dense(x, rows, in), tensor.Dense(w, out, in).T(), beta, tensor.Dense(y, rows, out))
}

// linearAdd adds x wᵀ + bias to y.
func linearAdd(y, x, w, bias []float32, in int) {
	rows, out := len(x)/in, len(w)/in
	for r := range rows {
		tensor.Add(y[r*out:][:out], bias)
	}
	tensor.Gemm(1, tensor.Dense(x, rows, in), tensor.Dense(w, out, in).T(), 1, tensor.Dense(y, rows, out))
}

// linearGrad sets dx = dy w, and adds dyᵀ x to dw and the sum of dy's rows to
// dbias, unless that is nil.
func linearGrad(dx, dw, dbias, dy, x, w []float32, in int) {
	rows, out := len(x)/in, len(w)/in
	g := tensor.Dense(dy, rows, out)
	tensor.Gemm(1, g, tensor.Dense(w, out, in), 0, tensor.Dense(dx, rows, in))
	tensor.Gemm(1, g.T(), tensor.Dense(x, rows, in), 1, tensor.Dense(dw, out, in))
	if dbias != nil {
		tensor.SumRows(dbias, dy)
	}
}
