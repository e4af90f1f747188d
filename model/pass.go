package model

import (
	"fmt"

	"halos/tensor"
)

// pass says which part of tokens [B, stride] a forward pass covers: columns
// from..T-1. from is 0 unless B is 1 and columns 0..from-1 are those of the last
// pass, whose keys and values are still in place.
type pass struct {
	tokens             []int32
	B, T, stride, from int
}

// rows returns how many rows of [B*T, ...] activations the pass covers, all but the
// first from.
func (p pass) rows() int { return p.B*p.T - p.from }

// input returns the token of row r of the activations.
func (p pass) input(r int) int { return int(p.tokens[r/p.T*p.stride+r%p.T]) }

// target returns the token that row r of the logits is to predict.
func (p pass) target(r int) int { return int(p.tokens[r/p.T*p.stride+r%p.T+1]) }

// of views the rows of x that the pass covers.
func (p pass) of(x []float32, width int) []float32 {
	return x[p.from*width : p.B*p.T*width]
}

// matrix is of as a matrix.
func (p pass) matrix(x []float32, width int) tensor.Matrix {
	return tensor.Dense(p.of(x, width), p.rows(), width)
}

// Logits runs the model on tokens [B, T], each below V, and sets logits, [B, T, V].
func (n *Net) Logits(logits, params []float32, tokens []int32, B, T int) {
	n.forward(params, pass{tokens: tokens, B: B, T: T, stride: T})
	C, V := n.cfg.HiddenSize, n.cfg.VocabSize
	n.pool.Gemm(tensor.Dense(logits, B*T, V), n.pass.matrix(n.norm.y, C), tensor.Dense(n.outer(params).embedOut, V, C).T())
}

// next returns the logits, [V], of what follows tokens, of which the last pass saw
// all but the last from; they are borrowed until the next call.
func (n *Net) next(params []float32, tokens []int32, from int) []float32 {
	T := len(tokens)
	n.forward(params, pass{tokens: tokens, B: 1, T: T, stride: T, from: from})
	return n.logitsOf(n.outer(params).embedOut, T-1, T).Data
}

// Loss returns the mean cross-entropy, in nats per token, of predicting columns
// 1..T of tokens [B, T+1] from columns 0..T-1.
func (n *Net) Loss(params []float32, tokens []int32, B, T int) float64 {
	n.forward(params, pass{tokens: tokens, B: B, T: T, stride: T + 1})
	for lo := 0; lo < B*T; lo += logitRows {
		logits := n.logitsOf(n.outer(params).embedOut, lo, min(lo+logitRows, B*T))
		n.parts(logits.Rows, logits.Cols, operands{y: logits.Data, first: lo}, func(n *Net, o *operands, lo, hi int) {
			for r := lo; r < hi; r++ {
				V := n.cfg.VocabSize
				n.losses[o.first+r] = tensor.CrossEntropy(o.y[r*V:][:V], n.pass.target(o.first+r))
			}
		})
	}
	return n.meanLoss()
}

// LossGrad adds weight times the gradient of Loss to grads, laid out as params, and
// returns the loss.
func (n *Net) LossGrad(grads, params []float32, tokens []int32, B, T int, weight float64) float64 {
	if len(grads) != n.total {
		panic(fmt.Sprintf("model: %d gradients, the model has %d parameters", len(grads), n.total))
	}
	n.forward(params, pass{tokens: tokens, B: B, T: T, stride: T + 1})
	n.backward(grads, params, float32(weight/float64(B*T)))
	return n.meanLoss()
}

func (n *Net) check(params []float32, p pass) {
	if len(params) != n.total {
		panic(fmt.Sprintf("model: %d parameters, the model has %d", len(params), n.total))
	}
	if p.B < 1 || p.T < 1 || p.T > n.context || p.B*p.T > n.tokens || len(p.tokens) != p.B*p.stride {
		panic(fmt.Sprintf("model: %d tokens as [%d, %d] in a net of %d tokens, context %d", len(p.tokens), p.B, p.stride, n.tokens, n.context))
	}
}

// forward runs the model up to n.norm, from which the logits follow.
func (n *Net) forward(params []float32, p pass) {
	n.check(params, p)
	n.pass = p
	w := n.outer(params)
	n.embed(n.layers[0].x, w.embedIn)
	for l := range n.layers {
		out := n.x
		if l+1 < len(n.layers) {
			out = n.layers[l+1].x
		}
		n.block(out, n.layer(params, l), &n.layers[l])
	}
	n.layerNorm(n.norm, n.x, w.normGain, w.normBias)
}

// backward adds the gradients of all parameters to grads, those of the loss times
// scale, summed over the rows.
func (n *Net) backward(grads, params []float32, scale float32) {
	w, d := n.outer(params), n.outer(grads)
	for lo := 0; lo < n.pass.rows(); lo += logitRows {
		n.headGrad(d.embedOut, w.embedOut, lo, min(lo+logitRows, n.pass.rows()), scale)
	}
	clear(n.pass.of(n.grad.x, n.cfg.HiddenSize))
	n.layerNormGrad(n.grad.x, d.normGain, d.normBias, n.grad.normIn, n.norm, n.x, w.normGain)
	for l := len(n.layers) - 1; l >= 0; l-- {
		if n.shared && l+1 < len(n.layers) { // the last layer's are still there
			n.activate(n.layer(params, l), &n.layers[l])
		}
		n.blockGrad(n.layer(grads, l), n.layer(params, l), &n.layers[l])
	}
	n.embedGrad(d.embedIn, n.grad.x)
}

// headGrad computes the losses of rows lo..hi-1 and sets their gradient of n.norm in
// n.grad.normIn.
func (n *Net) headGrad(dweights, weights []float32, lo, hi int, scale float32) {
	C, V := n.cfg.HiddenSize, n.cfg.VocabSize
	logits := n.logitsOf(weights, lo, hi)
	n.parts(hi-lo, V, operands{y: logits.Data, first: lo, scale: scale}, func(n *Net, o *operands, lo, hi int) {
		for r := lo; r < hi; r++ {
			V := n.cfg.VocabSize
			n.losses[o.first+r] = tensor.CrossEntropyGrad(o.y[r*V:][:V], n.pass.target(o.first+r), o.scale)
		}
	})
	n.pool.Gemm(tensor.Dense(n.grad.normIn[lo*C:hi*C], hi-lo, C), logits, tensor.Dense(weights, V, C))
	n.pool.GemmAdd(tensor.Dense(dweights, V, C), logits.T(), tensor.Dense(n.norm.y[lo*C:hi*C], hi-lo, C))
}

// logitsOf computes the logits of rows lo..hi-1, at most logitRows of them.
func (n *Net) logitsOf(weights []float32, lo, hi int) tensor.Matrix {
	C, V := n.cfg.HiddenSize, n.cfg.VocabSize
	logits := tensor.Dense(n.logits[:(hi-lo)*V], hi-lo, V)
	n.pool.Gemm(logits, tensor.Dense(n.norm.y[lo*C:hi*C], hi-lo, C), tensor.Dense(weights, V, C).T())
	return logits
}

// meanLoss averages the losses of the pass in order.
func (n *Net) meanLoss() float64 {
	sum := 0.0
	for _, loss := range n.losses[:n.pass.rows()] {
		sum += loss
	}
	return sum / float64(n.pass.rows())
}
