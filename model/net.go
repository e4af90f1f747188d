package model

import (
	"math"

	"halos/tensor"
)

// Net holds the activations of one model for at most batch sequences of context
// tokens. All memory is made once; its methods allocate nothing. It keeps no
// parameters: they are passed to each call, so one Net serves every version of a
// model. A Net is for one goroutine at a time.
//
// What it computes has the same bits with any Options.
type Net struct {
	cfg      Config
	pool     *tensor.Pool
	params   []Param
	total    int       // number of parameters
	tokens   int       // capacity in tokens, batch*context
	context  int       // longest sequence
	scale    float32   // of the scores, 1/sqrt(hd)
	cos, sin []float32 // [context, r/2], see tensor.RotaryTable

	layers []activations
	shared bool      // the layers share all but x
	x      []float32 // [B*T, C] what the last layer leaves
	norm   norm      // of x
	logits []float32 // [at most logitRows, V]; in LossGrad they become their own gradient
	losses []float64 // [B*T]

	grad    gradients
	scratch chan *tensor.AttentionScratch // one for each thread

	pass pass // under way
	work work // under way
}

// Options say how a Net works, not what it computes. The zero value is one thread
// that keeps all activations.
type Options struct {
	Pool      *tensor.Pool // nil: the caller's thread alone
	Recompute bool         // compute activations again in the backward pass, to hold those of one layer only
}

// activations are what one layer keeps for its backward pass.
type activations struct {
	x        []float32 // [B*T, C] input
	normIn   norm      // of x, input of the attention
	qkv      []float32 // [B*T, 3C] per head [q|k|v], q and k turned by rotary
	lse      []float32 // [B, H, T] see tensor.AttentionScratch
	mixed    []float32 // [B*T, C] what the heads return
	mid      []float32 // [B*T, C] x + attention; nil with the parallel residual
	normPost norm      // of x or mid, input of the MLP
	act      []float32 // [B*T, F] see tensor.GELU
	slope    []float32 // [B*T, F]
}

// inner returns what the MLP starts from.
func (a *activations) inner() []float32 {
	if a.mid != nil {
		return a.mid
	}
	return a.x
}

// gradients are the buffers that the backward pass uses in every layer anew.
type gradients struct {
	x                []float32 // [B*T, C] of the residual stream
	normIn, normPost []float32 // [B*T, C]
	mixed            []float32 // [B*T, C]
	qkv              []float32 // [B*T, 3C]
	act              []float32 // [B*T, F]
	norm             []float32 // [B*T/normRows, 2, C] partial sums for gains and biases
}

// logitRows is how many rows of logits a Net holds: enough to keep the product busy,
// and with a large vocabulary far less than all.
const logitRows = 512

// NewNet returns a Net for a valid config. For n = batch*context tokens it takes about
//
//	4*(n*(L*(7*C + 2*F) + 9*C + F) + min(n, 512)*V)  bytes, or with o.Recompute
//	4*(n*(L*C + 15*C + 3*F)        + min(n, 512)*V)
//
// and n*C elements more in each layer that is kept without the parallel residual; see
// NetBytes. Recomputing costs about a third more time.
func NewNet(c Config, batch, context int, o Options) *Net {
	n, C := batch*context, c.HiddenSize
	net := &Net{
		cfg: c, pool: o.Pool, params: c.Params(), total: c.NumParams(), tokens: n, context: context,
		scale: float32(1 / math.Sqrt(float64(c.headSize()))),
		cos:   make([]float32, context*c.rotary()/2), sin: make([]float32, context*c.rotary()/2),
		layers: make([]activations, c.NumHiddenLayers), shared: o.Recompute,
		x: make([]float32, n*C), norm: newNorm(n, C),
		logits: make([]float32, min(n, logitRows)*c.VocabSize), losses: make([]float64, n),
		grad: gradients{
			x: make([]float32, n*C), normIn: make([]float32, n*C), normPost: make([]float32, n*C),
			mixed: make([]float32, n*C), qkv: make([]float32, n*3*C), act: make([]float32, n*c.IntermediateSize),
			norm: make([]float32, ceil(n, normRows)*2*C),
		},
		scratch: make(chan *tensor.AttentionScratch, o.Pool.Threads()),
	}
	tensor.RotaryTable(net.cos, net.sin, c.rotary()/2, c.RotaryEmbBase)
	for range o.Pool.Threads() {
		net.scratch <- tensor.NewAttentionScratch(c.headSize(), context)
	}
	for l := range net.layers {
		if o.Recompute && l > 0 {
			net.layers[l] = net.layers[0]
		} else {
			net.layers[l] = newActivations(c, n)
		}
		net.layers[l].x = make([]float32, n*C)
	}
	return net
}

// newActivations makes all but x.
func newActivations(c Config, n int) activations {
	C, F := c.HiddenSize, c.IntermediateSize
	a := activations{
		normIn: newNorm(n, C), qkv: make([]float32, n*3*C), lse: make([]float32, n*c.NumAttentionHeads), mixed: make([]float32, n*C),
		normPost: newNorm(n, C), act: make([]float32, n*F), slope: make([]float32, n*F),
	}
	if !c.UseParallelResidual {
		a.mid = make([]float32, n*C)
	}
	return a
}

func newNorm(n, width int) norm {
	return norm{y: make([]float32, n*width), mean: make([]float32, n), rstd: make([]float32, n)}
}

// NetBytes returns about how many bytes NewNet takes, see there.
func NetBytes(c Config, batch, context int, o Options) int {
	n, C, F := batch*context, c.HiddenSize, c.IntermediateSize
	layer, kept, inputs := 6*C+2*F+c.NumAttentionHeads, c.NumHiddenLayers, c.NumHiddenLayers
	if !c.UseParallelResidual {
		layer += C
	}
	if o.Recompute {
		kept = 1
	}
	scratch := o.Pool.Threads() * context * (96 + 2*c.headSize())
	return 4 * (n*(kept*layer+inputs*C+9*C+F) + min(n, logitRows)*c.VocabSize + scratch)
}

// Config returns the config the Net was made for.
func (n *Net) Config() Config { return n.cfg }
