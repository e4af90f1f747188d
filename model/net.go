package model

import (
	"fmt"

	"halos/tensor"
)

// Net holds the activations of one model for at most batch sequences of context
// tokens. All memory is made once; its methods allocate nothing. It keeps no
// parameters: they are passed to each call, so one Net serves every version of a
// model. A Net is for one goroutine at a time.
type Net struct {
	cfg      Config
	params   []Param
	total    int // number of parameters
	tokens   int // capacity in tokens, batch*context
	context  int
	cos, sin []float32 // [context, r/2], see tensor.RotaryTable

	layers []activations
	x      []float32 // [B*T, C] what the last layer leaves
	norm   []float32 // [B*T, C] x normalised
	mean   []float32 // [B*T] of norm
	rstd   []float32 // [B*T] of norm
	logits []float32 // [B*T, V]; in LossGrad they become their own gradient

	scratch attention
	grad    gradients
}

// activations are what one layer keeps for its backward pass.
type activations struct {
	x                  []float32 // [B*T, C] input
	normIn             []float32 // [B*T, C] x normalised, input of the attention
	meanIn, rstdIn     []float32 // [B*T]
	qkv                []float32 // [B*T, 3C] per head [q|k|v], q and k turned by rotary
	lse                []float32 // [B, H, T] see tensor.CausalSoftmax
	mixed              []float32 // [B*T, C] what the heads return
	mid                []float32 // [B*T, C] x + attention; nil with the parallel residual
	normPost           []float32 // [B*T, C] x or mid normalised, input of the MLP
	meanPost, rstdPost []float32 // [B*T]
	act, slope         []float32 // [B*T, F] see tensor.GELU
}

// gradients are the buffers that the backward pass uses in every layer anew.
type gradients struct {
	x                []float32 // [B*T, C] of the residual stream
	normIn, normPost []float32 // [B*T, C]
	mixed            []float32 // [B*T, C]
	qkv              []float32 // [B*T, 3C]
	act              []float32 // [B*T, F]
}

// NewNet returns a Net for a valid config. It takes about 4*(B*T*(15*L*C + V) + 2*T*T) bytes
// if F is 4C.
func NewNet(c Config, batch, context int) *Net {
	C, F, n := c.HiddenSize, c.IntermediateSize, batch*context
	net := &Net{
		cfg: c, params: c.Params(), total: c.NumParams(), tokens: n, context: context,
		cos: make([]float32, context*c.rotary()/2), sin: make([]float32, context*c.rotary()/2),
		layers: make([]activations, c.NumHiddenLayers),
		x:      make([]float32, n*C), norm: make([]float32, n*C),
		mean: make([]float32, n), rstd: make([]float32, n),
		logits:  make([]float32, n*c.VocabSize),
		scratch: newAttention(c, context),
		grad: gradients{
			x: make([]float32, n*C), normIn: make([]float32, n*C), normPost: make([]float32, n*C),
			mixed: make([]float32, n*C), qkv: make([]float32, n*3*C), act: make([]float32, n*F),
		},
	}
	tensor.RotaryTable(net.cos, net.sin, c.rotary()/2, c.RotaryEmbBase)
	for l := range net.layers {
		net.layers[l] = activations{
			x:      make([]float32, n*C),
			normIn: make([]float32, n*C), meanIn: make([]float32, n), rstdIn: make([]float32, n),
			qkv: make([]float32, n*3*C), lse: make([]float32, n*c.NumAttentionHeads), mixed: make([]float32, n*C),
			normPost: make([]float32, n*C), meanPost: make([]float32, n), rstdPost: make([]float32, n),
			act: make([]float32, n*F), slope: make([]float32, n*F),
		}
		if !c.UseParallelResidual {
			net.layers[l].mid = make([]float32, n*C)
		}
	}
	return net
}

// Config returns the config the Net was made for.
func (n *Net) Config() Config { return n.cfg }

// Logits runs the model on tokens [B, T], each below V, and returns [B, T, V],
// borrowed until the next call.
func (n *Net) Logits(params []float32, tokens []int32, B, T int) []float32 {
	n.forward(params, tokens, pass{B: B, T: T, stride: T})
	return n.logits[:B*T*n.cfg.VocabSize]
}

// Loss returns the mean cross-entropy, in nats per token, of predicting columns
// 1..T of tokens [B, T+1] from columns 0..T-1.
func (n *Net) Loss(params []float32, tokens []int32, B, T int) float64 {
	n.forward(params, tokens, pass{B: B, T: T, stride: T + 1})
	V, sum := n.cfg.VocabSize, 0.0
	for r := range B * T {
		sum += tensor.CrossEntropy(n.logits[r*V:][:V], target(tokens, r, T))
	}
	return sum / float64(B*T)
}

// LossGrad adds the gradient of Loss to grads, laid out as params, and returns the
// loss.
func (n *Net) LossGrad(grads, params []float32, tokens []int32, B, T int) float64 {
	if len(grads) != n.total {
		panic(fmt.Sprintf("model: %d gradients, the model has %d parameters", len(grads), n.total))
	}
	p := pass{B: B, T: T, stride: T + 1}
	n.forward(params, tokens, p)
	V, sum := n.cfg.VocabSize, 0.0
	for r := range B * T {
		row := n.logits[r*V:][:V]
		sum += tensor.CrossEntropyGrad(row, row, target(tokens, r, T), 1/float32(B*T))
	}
	n.backward(grads, params, tokens, p)
	return sum / float64(B*T)
}

// target returns the token that row r of the logits is to predict.
func target(tokens []int32, r, T int) int { return int(tokens[r/T*(T+1)+r%T+1]) }

// pass says which part of tokens [B, stride] a forward pass covers: columns
// from..T-1. from is 0 unless B is 1 and columns 0..from-1 are those of the last
// pass, whose keys and values are still in place.
type pass struct{ B, T, stride, from int }

// rows returns the rows of [B*T, ...] activations that the pass covers.
func (p pass) rows() (lo, hi int) { return p.from, p.B * p.T }

func (n *Net) check(params []float32, tokens []int32, p pass) {
	if len(params) != n.total {
		panic(fmt.Sprintf("model: %d parameters, the model has %d", len(params), n.total))
	}
	if p.B < 1 || p.T < 1 || p.T > n.context || p.B*p.T > n.tokens || len(tokens) != p.B*p.stride {
		panic(fmt.Sprintf("model: %d tokens as [%d, %d] in a net of %d tokens, context %d", len(tokens), p.B, p.stride, n.tokens, n.context))
	}
}

func (n *Net) forward(params []float32, tokens []int32, p pass) {
	n.check(params, tokens, p)
	w, C := n.outer(params), n.cfg.HiddenSize
	lo, hi := p.rows()
	x := n.layers[0].x
	for r := lo; r < hi; r++ {
		id := int(tokens[r/p.T*p.stride+r%p.T])
		copy(x[r*C:][:C], w.embedIn[id*C:][:C])
	}
	for l := range n.layers {
		out := n.x
		if l+1 < len(n.layers) {
			out = n.layers[l+1].x
		}
		n.block(out, n.layer(params, l), &n.layers[l], p)
	}
	tensor.LayerNorm(n.norm[lo*C:hi*C], n.mean[lo:hi], n.rstd[lo:hi], n.x[lo*C:hi*C], w.normGain, w.normBias, n.cfg.LayerNormEps)
	linear(n.logits[lo*n.cfg.VocabSize:hi*n.cfg.VocabSize], n.norm[lo*C:hi*C], w.embedOut, nil, C)
}

// backward adds the gradients of all parameters to grads, from the gradient of the
// logits in n.logits.
func (n *Net) backward(grads, params []float32, tokens []int32, p pass) {
	w, d, C := n.outer(params), n.outer(grads), n.cfg.HiddenSize
	rows := p.B * p.T
	dlogits, dnorm, dx := n.logits[:rows*n.cfg.VocabSize], n.grad.normIn[:rows*C], n.grad.x[:rows*C]
	linearGrad(dnorm, d.embedOut, nil, dlogits, n.norm[:rows*C], w.embedOut, C)
	clear(dx)
	tensor.LayerNormGrad(dx, d.normGain, d.normBias, dnorm, n.x[:rows*C], n.mean[:rows], n.rstd[:rows], w.normGain)
	for l := len(n.layers) - 1; l >= 0; l-- {
		n.blockGrad(n.layer(grads, l), n.layer(params, l), &n.layers[l], p)
	}
	for r := range rows {
		id := int(tokens[r/p.T*p.stride+r%p.T])
		tensor.Add(d.embedIn[id*C:][:C], dx[r*C:][:C])
	}
}
