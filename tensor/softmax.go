package tensor

import "math"

// CrossEntropyGrad returns -ln softmax(logits)[target] in nats, for one row of
// logits, and turns the row into the gradient of that times scale,
// scale*(softmax(logits) - onehot(target)).
func CrossEntropyGrad(logits []float32, target int, scale float32) float64 {
	top, aim := active.maximum(logits), logits[target]
	total := active.expSum(logits, logits, 1, top)
	active.scale(logits, scale/total)
	logits[target] -= scale
	return float64(top) - float64(aim) + math.Log(float64(total))
}

// CrossEntropy returns the same as CrossEntropyGrad and spoils the row.
func CrossEntropy(logits []float32, target int) float64 {
	top, aim := active.maximum(logits), logits[target]
	return float64(top) - float64(aim) + math.Log(float64(active.expSum(logits, logits, 1, top)))
}

func maximumGo(x []float32) float32 {
	top := float32(math.Inf(-1))
	for _, v := range x {
		if v > top {
			top = v
		}
	}
	return top
}

// expSumGo keeps four partial sums, see sum.
func expSumGo(y, x []float32, scale, shift float32) float32 {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = exp(scale*v - shift)
	}
	return sum(y)
}

// softmaxGradGo turns the gradient d of the weights w into that of the scores.
func softmaxGradGo(d, w []float32, dot, scale float32) {
	w = w[:len(d)]
	for i, v := range d {
		d[i] = scale * w[i] * (v - dot)
	}
}
