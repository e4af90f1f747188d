package tensor

import "math"

// CrossEntropy returns -ln softmax(logits)[target] in nats. logits is one row.
func CrossEntropy(logits []float32, target int) float64 {
	top, total := logSumExpParts(logits)
	return math.Log(total) + float64(top) - float64(logits[target])
}

// CrossEntropyGrad returns the same as CrossEntropy and sets grad to its gradient
// times scale, scale*(softmax(logits) - onehot(target)). grad may alias logits.
func CrossEntropyGrad(grad, logits []float32, target int, scale float32) float64 {
	sameLen("cross-entropy gradient", len(grad), len(logits))
	top := maximum(logits)
	loss := float64(top) - float64(logits[target])
	var total float64
	for i, v := range logits {
		e := exp(v - top)
		grad[i] = e
		total += float64(e)
	}
	Scale(grad, float32(float64(scale)/total))
	grad[target] -= scale
	return loss + math.Log(total)
}

// logSumExpParts returns the largest of x and the sum of exp(x-largest).
func logSumExpParts(x []float32) (top float32, total float64) {
	top = maximum(x)
	for _, v := range x {
		total += float64(exp(v - top))
	}
	return top, total
}

func maximum(x []float32) float32 {
	top := x[0]
	for _, v := range x {
		if v > top {
			top = v
		}
	}
	return top
}

// CausalSoftmax turns attention scores into weights, in place: each column of
// scale*s becomes its softmax over the keys the query may see.
//
//	s    [keys, queries]  s(j, i) is the score of key j for query i; not transposed
//	lse  [queries]        the logarithm of each column's sum, for CausalWeights
//
// The queries are the last of the keys, so query i sees keys 0..keys-queries+i. The
// weights of the others become 0, whatever s held there.
func CausalSoftmax(s Matrix, lse []float32, scale float32) {
	sameLen("causal softmax", len(lse), s.Cols)
	past := s.Rows - s.Cols
	for i := 0; i < s.Cols; i += softmaxWidth {
		width := min(softmaxWidth, s.Cols-i)
		softmaxColumns(s.Block(0, i, s.Rows, width), past+i, lse[i:][:width], scale)
	}
}

const softmaxWidth = 64 // columns whose running maxima and sums are kept at a time

// softmaxColumns is CausalSoftmax for at most softmaxWidth columns, the first of
// which sees keys 0..past.
func softmaxColumns(s Matrix, past int, lse []float32, scale float32) {
	var tops, totals [softmaxWidth]float32
	top, total := tops[:s.Cols], totals[:s.Cols]
	for i := range top {
		top[i] = float32(math.Inf(-1))
	}
	for j := range s.Rows {
		row, first := causalRow(s, j, past)
		clear(row[:first])
		top := top[first:]
		for i, v := range row[first:] {
			if v > top[i] {
				top[i] = v
			}
		}
	}
	for i := range top {
		top[i] *= scale // not Scale: behind the kernel table the array would escape
	}
	for j := range s.Rows {
		row, first := causalRow(s, j, past)
		seen, top, total := row[first:], top[first:], total[first:]
		for i, v := range seen {
			e := exp(v*scale - top[i])
			seen[i] = e
			total[i] += e
		}
	}
	for i, v := range total {
		lse[i] = top[i] + float32(math.Log(float64(v)))
		total[i] = 1 / v
	}
	for j := range s.Rows {
		row, first := causalRow(s, j, past)
		Mul(row[first:], total[first:])
	}
}

// causalRow returns row j of s and the first of its columns that sees key j.
func causalRow(s Matrix, j, past int) (row []float32, first int) {
	return s.Data[j*s.Stride:][:s.Cols], min(s.Cols, max(0, j-past))
}

// CausalWeights turns scores into the weights of CausalSoftmax again, from the lse
// that it left: it saves keeping [keys, queries] weights for the backward pass.
func CausalWeights(s Matrix, lse []float32, scale float32) {
	sameLen("causal weights", len(lse), s.Cols)
	for j := range s.Rows {
		row, first := causalRow(s, j, s.Rows-s.Cols)
		clear(row[:first])
		seen, lse := row[first:], lse[first:]
		for i, v := range seen {
			seen[i] = exp(v*scale - lse[i])
		}
	}
}

// CausalSoftmaxGrad turns the gradient of the weights into that of the scores, in
// place: d = scale*w*(d - dot).
//
//	d, w  [keys, queries]  laid out alike, d(j, i) is undefined on entry where w is masked
//	dot   [queries]        the sum over keys of w*d
func CausalSoftmaxGrad(d, w Matrix, dot []float32, scale float32) {
	sameLen("causal softmax gradient", len(dot), d.Cols)
	sameLen("causal softmax gradient", d.Rows, w.Rows)
	for j := range d.Rows {
		row, first := causalRow(d, j, d.Rows-d.Cols)
		clear(row[:first])
		seen, dot := row[first:], dot[first:]
		weights := w.Data[j*w.Stride+first:][:len(seen)]
		for i, v := range seen {
			seen[i] = scale * weights[i] * (v - dot[i])
		}
	}
}
