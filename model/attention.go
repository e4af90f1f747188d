package model

import "halos/tensor"

// attend turns the q and k of the pass by their positions and sets a.mixed: for
// each query the values of its past, weighted by softmax(q·k/sqrt(hd)).
func (n *Net) attend(a *activations) {
	p := n.pass
	n.parts(p.B*n.cfg.NumAttentionHeads, (p.T-p.from)*p.T, operands{layer: a}, func(n *Net, o *operands, lo, hi int) {
		s := <-n.scratch
		for i := lo; i < hi; i++ {
			n.attendHead(s, o.layer, i/n.cfg.NumAttentionHeads, i%n.cfg.NumAttentionHeads)
		}
		n.scratch <- s
	})
}

func (n *Net) attendHead(s *tensor.AttentionScratch, a *activations, b, h int) {
	p := n.pass
	q, k, v := n.qkv(a.qkv, b, h)
	n.rotate(q, p.from, tensor.Rotary)
	n.rotate(k, p.from, tensor.Rotary)
	queries := p.T - p.from
	out := n.headOf(a.mixed, b, h).Block(p.from, 0, queries, q.Cols)
	s.Attend(out, n.lse(a, b, h)[p.from:], q.Block(p.from, 0, queries, q.Cols), k, v, n.scale)
}

// attendGrad sets dqkv, [B*T, 3C], the gradient of a.qkv before it was turned, from
// dmixed.
func (n *Net) attendGrad(dqkv, dmixed []float32, a *activations) {
	p := n.pass
	o := operands{y: dqkv, dy: dmixed, layer: a}
	n.parts(p.B*n.cfg.NumAttentionHeads, p.T*p.T, o, func(n *Net, o *operands, lo, hi int) {
		s := <-n.scratch
		for i := lo; i < hi; i++ {
			n.attendHeadGrad(s, o.y, o.dy, o.layer, i/n.cfg.NumAttentionHeads, i%n.cfg.NumAttentionHeads)
		}
		n.scratch <- s
	})
}

func (n *Net) attendHeadGrad(s *tensor.AttentionScratch, dqkv, dmixed []float32, a *activations, b, h int) {
	q, k, v := n.qkv(a.qkv, b, h)
	dq, dk, dv := n.qkv(dqkv, b, h)
	s.AttendGrad(dq, dk, dv, n.headOf(dmixed, b, h), n.headOf(a.mixed, b, h), q, k, v, n.lse(a, b, h), n.scale)
	n.rotate(dq, 0, tensor.RotaryGrad)
	n.rotate(dk, 0, tensor.RotaryGrad)
}

// rotate applies turn to the rows of x, [T, hd], from position from on.
func (n *Net) rotate(x tensor.Matrix, from int, turn func(x, cos, sin []float32)) {
	half := n.cfg.rotary() / 2
	for t := from; t < x.Rows; t++ {
		turn(x.Data[t*x.Stride:][:x.Cols], n.cos[t*half:][:half], n.sin[t*half:][:half])
	}
}

// qkv views what head h of sequence b has in qkv, each [T, hd].
func (n *Net) qkv(qkv []float32, b, h int) (q, k, v tensor.Matrix) {
	C, hd, T := n.cfg.HiddenSize, n.cfg.headSize(), n.pass.T
	at := b*T*3*C + h*3*hd
	view := func(at int) tensor.Matrix {
		return tensor.Matrix{Data: qkv[at:], Rows: T, Cols: hd, Stride: 3 * C}
	}
	return view(at), view(at + hd), view(at + 2*hd)
}

// headOf views what head h of sequence b has in x, [B*T, C], as [T, hd].
func (n *Net) headOf(x []float32, b, h int) tensor.Matrix {
	C, hd, T := n.cfg.HiddenSize, n.cfg.headSize(), n.pass.T
	return tensor.Matrix{Data: x[b*T*C+h*hd:], Rows: T, Cols: hd, Stride: C}
}

// lse views what head h of sequence b has in a.lse, [T].
func (n *Net) lse(a *activations, b, h int) []float32 {
	return a.lse[(b*n.cfg.NumAttentionHeads+h)*n.pass.T:][:n.pass.T]
}
