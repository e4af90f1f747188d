package model

// block runs one layer, from a.x to out. With the parallel residual
//
//	out = x + attention(norm_in(x)) + mlp(norm_post(x))
//
// and else mid = x + attention(norm_in(x)), out = mid + mlp(norm_post(mid)).
func (n *Net) block(out []float32, w layer, a *activations) {
	n.activate(w, a)
	if a.mid != nil {
		n.residual(out, a.mid, w.downBias, nil)
	} else {
		n.residual(out, a.x, w.denseBias, w.downBias)
		n.linearAdd(out, a.mixed, w.dense)
	}
	n.linearAdd(out, a.act, w.down)
}

// activate computes from a.x all else that the layer's backward pass needs.
func (n *Net) activate(w layer, a *activations) {
	n.layerNorm(a.normIn, a.x, w.normInGain, w.normInBias)
	n.linear(a.qkv, a.normIn.y, w.qkv, w.qkvBias)
	n.attend(a)
	if a.mid != nil {
		n.residual(a.mid, a.x, w.denseBias, nil)
		n.linearAdd(a.mid, a.mixed, w.dense)
	}
	n.layerNorm(a.normPost, a.inner(), w.normPostGain, w.normPostBias)
	n.linear(a.act, a.normPost.y, w.up, w.upBias)
	n.gelu(a.act, a.slope)
}

// blockGrad turns n.grad.x, the gradient of the layer's output, into that of its
// input, and adds those of the layer's parameters to d.
func (n *Net) blockGrad(d, w layer, a *activations) {
	g := &n.grad
	n.linearGrad(g.act, d.down, d.downBias, g.x, a.act, w.down)
	n.geluGrad(g.act, a.slope)
	n.linearGrad(g.normPost, d.up, d.upBias, g.act, a.normPost.y, w.up)
	if a.mid != nil { // the attention gets the gradient of mid; with the parallel residual that of out
		n.layerNormGrad(g.x, d.normPostGain, d.normPostBias, g.normPost, a.normPost, a.mid, w.normPostGain)
	}
	n.linearGrad(g.mixed, d.dense, d.denseBias, g.x, a.mixed, w.dense)
	n.attendGrad(g.qkv, g.mixed, a)
	n.linearGrad(g.normIn, d.qkv, d.qkvBias, g.qkv, a.normIn.y, w.qkv)
	if a.mid == nil {
		n.layerNormGrad(g.x, d.normPostGain, d.normPostBias, g.normPost, a.normPost, a.x, w.normPostGain)
	}
	n.layerNormGrad(g.x, d.normInGain, d.normInBias, g.normIn, a.normIn, a.x, w.normInGain)
}
