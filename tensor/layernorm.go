package tensor

import "math"

// LayerNorm normalises each row of x to mean zero and variance one (of the
// population, eps added), then scales by gain and shifts by bias.
//
//	y, x        [rows, width]  y may alias x
//	mean, rstd  [rows]         kept for LayerNormGrad
//	gain, bias  [width]
func LayerNorm(y, mean, rstd, x, gain, bias []float32, eps float64) {
	width := len(gain)
	sameLen("layer norm", len(y), len(x))
	sameLen("layer norm", len(mean)*width, len(x))
	sameLen("layer norm", len(rstd), len(mean))
	sameLen("layer norm", len(bias), width)
	for r := range mean {
		mean[r], rstd[r] = active.layerNorm(y[r*width:][:width], x[r*width:][:width], gain, bias, float32(eps))
	}
}

// layerNormGo is LayerNorm of one row.
func layerNormGo(y, x, gain, bias []float32, eps float32) (mean, rstd float32) {
	y, gain, bias = y[:len(x)], gain[:len(x)], bias[:len(x)]
	mean = sum(x) / float32(len(x))
	rstd = float32(1 / math.Sqrt(float64(sumSquaresAbout(x, mean)/float32(len(x))+eps)))
	for i, v := range x {
		y[i] = (v-mean)*rstd*gain[i] + bias[i]
	}
	return mean, rstd
}

// LayerNormGrad adds the gradients of LayerNorm to dx, dgain and dbias.
//
//	dx, dy, x            [rows, width]  no aliasing
//	dgain, dbias, gain   [width]
//	mean, rstd           [rows]         as LayerNorm left them
func LayerNormGrad(dx, dgain, dbias, dy, x, mean, rstd, gain []float32) {
	width := len(gain)
	sameLen("layer norm gradient", len(dx), len(x))
	sameLen("layer norm gradient", len(dy), len(x))
	sameLen("layer norm gradient", len(mean)*width, len(x))
	sameLen("layer norm gradient", len(rstd), len(mean))
	sameLen("layer norm gradient", len(dgain), width)
	sameLen("layer norm gradient", len(dbias), width)
	for r, mu := range mean {
		active.layerNormGrad(dx[r*width:][:width], dgain, dbias, dy[r*width:][:width], x[r*width:][:width], gain, mu, rstd[r])
	}
}

// layerNormGradGo is LayerNormGrad of one row.
func layerNormGradGo(dx, dgain, dbias, dy, x, gain []float32, mean, rstd float32) {
	x, dx, dgain, dbias, gain = x[:len(dy)], dx[:len(dy)], dgain[:len(dy)], dbias[:len(dy)], gain[:len(dy)]
	var sum, dot float32 // of dy*gain, and of it with the normalised row
	for i, v := range dy {
		norm := (x[i] - mean) * rstd
		dgain[i] += v * norm
		dbias[i] += v
		v *= gain[i]
		sum += v
		dot += v * norm
	}
	sum /= float32(len(dy))
	dot /= float32(len(dy))
	for i, v := range dy {
		dx[i] += rstd * (v*gain[i] - sum - (x[i]-mean)*rstd*dot)
	}
}

// sum keeps four partial sums: one would wait for itself at every element.
func sum(x []float32) float32 {
	var s0, s1, s2, s3 float32
	for len(x) >= 4 {
		v := (*[4]float32)(x)
		s0 += v[0]
		s1 += v[1]
		s2 += v[2]
		s3 += v[3]
		x = x[4:]
	}
	for _, v := range x {
		s0 += v
	}
	return (s0 + s1) + (s2 + s3)
}

// sumSquaresAbout sums (x-mu)², in four partial sums as sum does.
func sumSquaresAbout(x []float32, mu float32) float32 {
	var s0, s1, s2, s3 float32
	for len(x) >= 4 {
		v := (*[4]float32)(x)
		a, b, c, d := v[0]-mu, v[1]-mu, v[2]-mu, v[3]-mu
		s0 += a * a
		s1 += b * b
		s2 += c * c
		s3 += d * d
		x = x[4:]
	}
	for _, v := range x {
		s0 += (v - mu) * (v - mu)
	}
	return (s0 + s1) + (s2 + s3)
}
