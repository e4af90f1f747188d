package model

import (
	"fmt"
	"compress/gzip"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"strings"
	"halos/optim"
)

func TestScratch(t *testing.T) {
	f, _ := os.Open(os.Getenv("CORPUS"))
	z, _ := gzip.NewReader(f)
	text, _ := io.ReadAll(z)
	cut := len(text) * 95 / 100
	for _, kind := range strings.Fields(os.Getenv("KINDS")) {
		var init string; var B, steps int; var lr float64
		fmt.Sscanf(strings.ReplaceAll(kind, ",", " "), "%s %d %d %g", &init, &B, &steps, &lr)
		c, T := tiny, 128
		net, params, _ := made(c, max(B,8), T)
		if init == "normal" {
			rng := rand.New(rand.NewPCG(1, 2))
			for _, p := range c.Params() {
				if len(p.Shape) == 2 {
					std := 0.02
					if strings.Contains(p.Name, "attention.dense") || strings.Contains(p.Name, "4h_to_h") { std = 0.02 / math.Sqrt(8) }
					for i := range params[p.Offset:][:p.Len()] { params[p.Offset+i] = float32(rng.NormFloat64() * std) }
				}
			}
		}
		var spans []optim.Span
		for _, p := range c.Params() { if len(p.Shape) > 1 { spans = append(spans, optim.Span{p.Offset, p.Offset + p.Len()}) } }
		opt := optim.NewAdamW(optim.AdamWConfig{0.9, 0.95, 1e-8, 0.1, 1}, len(params), spans)
		rng := rand.New(rand.NewPCG(5, 6))
		window := func(from, to int, n int) []int32 { var out []int32; for range n { s := from + rng.IntN(to-from-T-1); for _, b := range text[s:s+T+1] { out = append(out, int32(b)) } }; return out }
		val := window(cut, len(text), 8)
		grads := make([]float32, len(params))
		warm := max(1,steps/20)
		fmt.Printf("%s: start %.3f", kind, net.Loss(params, val, 8, T))
		for i := 1; i <= steps; i++ {
			clear(grads)
			net.LossGrad(grads, params, window(0, cut, B), B, T)
			r := lr
			if i <= warm { r = lr * float64(i) / float64(warm) } else { r = lr*(0.1 + 0.9*(1+math.Cos(math.Pi*float64(i-warm)/float64(steps-warm)))/2) }
			opt.Step(params, grads, r)
			if i%(steps/4) == 0 { var s float64; for range 4 { s += net.Loss(params, window(cut, len(text), 8), 8, T)/4 }; fmt.Printf(" %d: %.3f", i*B*T, s) }
		}
		fmt.Println()
	}
}
