package tensor

import (
	"math"
	"testing"
	"math/rand/v2"
)

func geluA(y, slope, x []float32) {
	const invSqrt2Pi = 0.3989422804014327
	y, slope = y[:len(x)], slope[:len(x)]
	for i, v := range x {
		b := math.Float32bits(v)
		sign := b & (1 << 31)
		u := math.Float32frombits(b &^ (1 << 31))
		e := exp(-0.5 * u * u)
		t := 1 / (1 + 0.25*u)
		tail := -0.0905578461*t + 0.336166142
		tail = tail*t - 0.255247808
		tail = tail*t + 0.267761476
		tail = tail*t + 0.0333248282
		tail = tail*t + 0.109341675
		tail = 0.5 - (tail*t+0.0992115292)*t*e
		tail = 0.5 + math.Float32frombits(math.Float32bits(tail)|sign)
		y[i] = v * tail
		slope[i] = tail + v*e*invSqrt2Pi
	}
}
func expInto(y, x []float32) {
	const (
		log2e = 1.44269504088896341
		round = 3 << 22
		ln2hi = 0.693359375 // ln2 in two parts: n*ln2hi is exact
		ln2lo = -2.12194440e-4
	)
	y=y[:len(x)]
	for i,x:=range x {
	if x < -87 {
		x = -87
	}
	t := x*log2e + round
	n := t - round
	r := x - n*ln2hi - n*ln2lo
	p := ((((1.9875691500e-4*r+1.3981999507e-3)*r+8.3334519073e-3)*r+4.1665795894e-2)*r+1.6666665459e-1)*r + 5.0000001201e-1
	y[i]= (p*r*r + r + 1) * math.Float32frombits((math.Float32bits(t)+127)<<23)
	}
}
func geluB(y, slope, x []float32) {
	const invSqrt2Pi = 0.3989422804014327
	var buf [256]float32
	for len(x)>0 {
	n:=min(256,len(x))
	for i,v:=range x[:n] { buf[i]=-0.5*v*v }
	e:=buf[:n]
	expInto(e,e)
	y, slope := y[:n], slope[:n]
	for i, v := range x[:n] {
		b := math.Float32bits(v)
		sign := b & (1 << 31)
		u := math.Float32frombits(b &^ (1 << 31))
		e := e[i]
		t := 1 / (1 + 0.25*u)
		tail := -0.0905578461*t + 0.336166142
		tail = tail*t - 0.255247808
		tail = tail*t + 0.267761476
		tail = tail*t + 0.0333248282
		tail = tail*t + 0.109341675
		tail = 0.5 - (tail*t+0.0992115292)*t*e
		tail = 0.5 + math.Float32frombits(math.Float32bits(tail)|sign)
		y[i] = v * tail
		slope[i] = tail + v*e*invSqrt2Pi
	}
	x=x[n:]
	}
}
func BenchmarkVar(b *testing.B) {
	x, y, d := make([]float32, 4096), make([]float32, 4096), make([]float32, 4096)
	for i := range x {
		x[i] = float32(rand.NormFloat64())
	}
	b.Run("A",func(b *testing.B){
	for b.Loop() { geluA(y, d, x) }
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4096, "ns/element")})
	b.Run("B",func(b *testing.B){
	for b.Loop() { geluB(y, d, x) }
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4096, "ns/element")})
	b.Run("expInto",func(b *testing.B){
	for b.Loop() { expInto(y, x) }
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4096, "ns/element")})
}
