package roles

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"halos/optim"
)

// push `base - theta`
func TestEquationPush(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 2))
		cfg := scriptCfg
		cfg.K, cfg.LPS = 1+rng.IntN(6), optim.NesterovConfig{LR: 0.4, Beta: 0.9, N: 2}
		s, l := lpsTier(cfg, rng)
		base := wide(l.params)
		var acts []Action
		for range cfg.K {
			acts = s.apply(t, vector(rng))
		}
		push, ok := pushed(l, acts)
		if !ok {
			t.Fatalf("seed %d: no push after K=%d deltas", seed, cfg.K)
		}
		want := make([]float64, equationParams)
		for i := range want {
			want[i] = base[i] - float64(l.params[i])
		}
		near(t, "push", push.Values, want)
		if k := uint64(cfg.K); push.Steps != 2*k || push.Samples.Len() != 4*k || push.Loss != 1 {
			t.Errorf("seed %d: push of %d steps, %d samples, loss %v, want %d, %d, 1", seed, push.Steps, push.Samples.Len(), push.Loss, 2*k, 4*k)
		}
	}
}

// "if version - merged reaches K and no push is in flight": since the merge in paper,
// since the push in carry.
func TestEquationTrigger(t *testing.T) {
	for _, c := range []struct {
		mode            InFlight
		k, inFlight     int
		after           int // deltas between the answer and the next push
		withTheAnswer   bool
		samplesOfSecond uint64
	}{
		{Paper, 1, 0, 1, false, 4},
		{Paper, 4, 0, 4, false, 16},
		{Paper, 4, 3, 4, false, 28},
		{Paper, 4, 9, 4, false, 52},
		{Carry, 1, 0, 1, false, 4},
		{Carry, 4, 0, 4, false, 16},
		{Carry, 4, 3, 1, false, 16},
		{Carry, 4, 4, 0, true, 16},
		{Carry, 4, 9, 0, true, 36},
	} {
		t.Run(fmt.Sprintf("%s,K=%d,%d in flight", c.mode, c.k, c.inFlight), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 3))
			cfg := scriptCfg
			cfg.K, cfg.InFlight = c.k, c.mode
			s, l := lpsTier(cfg, rng)
			apply := func() (Delta, bool) { return pushed(l, s.apply(t, vector(rng))) }
			for i := range c.k {
				if _, ok := apply(); ok != (i == c.k-1) {
					t.Fatalf("first push after %d deltas: %v", i+1, ok)
				}
			}
			for range c.inFlight {
				if _, ok := apply(); ok {
					t.Fatal("a second push in flight")
				}
			}
			push, ok := pushed(l, l.Step(Model{Client: "eu", ID: global(1), Contains: 1, Params: vector(rng)}))
			if ok != c.withTheAnswer {
				t.Fatalf("push with the answer: %v, want %v", ok, c.withTheAnswer)
			}
			for i := range c.after {
				if push, ok = apply(); ok != (i == c.after-1) {
					t.Fatalf("second push %d deltas after the answer: %v", i+1, ok)
				}
			}
			if push.Seq != 2 || push.Samples.Len() != c.samplesOfSecond {
				t.Errorf("got push %d of %d samples, want 2 of %d", push.Seq, push.Samples.Len(), c.samplesOfSecond)
			}
		})
	}
}

// paper: theta = (1-alpha)*theta + alpha*Theta; base = theta
// carry: r = (1-alpha)*theta_sent + alpha*Theta; theta += r - theta_sent; base = r
// "Momentum and D are untouched by a merge."
func TestEquationMerge(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 4))
		cfg := scriptCfg
		cfg.Alpha, cfg.LPS = []float64{0.25, 1 - rng.Float64(), 1}[seed%3], optim.NesterovConfig{LR: 0.4, Beta: 0.9, N: 3}
		if rng.IntN(2) == 0 {
			cfg.InFlight = Paper
		}
		s, l := lpsTier(cfg, rng)
		s.apply(t, vector(rng))
		if _, ok := pushed(l, s.apply(t, vector(rng))); !ok {
			t.Fatal("no push")
		}
		sent := wide(l.params)
		for range rng.IntN(2) { // fewer than K: no push follows the merge at once
			s.apply(t, vector(rng))
		}
		theta, m, d, arrivals := wide(l.params), slices.Clone(l.opt.M), slices.Clone(l.opt.D), l.opt.T
		answer := vector(rng)
		l.Step(Model{Client: "eu", ID: global(1), Contains: 1, Params: answer})
		base := make([]float64, equationParams)
		for i, g := range wide(answer) {
			if cfg.InFlight == Paper {
				theta[i] = (1-cfg.Alpha)*theta[i] + cfg.Alpha*g
				base[i] = theta[i]
				continue
			}
			r := (1-cfg.Alpha)*sent[i] + cfg.Alpha*g
			theta[i] += r - sent[i]
			base[i] = r
		}
		near(t, string(cfg.InFlight)+": theta", l.params, theta)
		near(t, string(cfg.InFlight)+": base", l.base, base)
		if !slices.Equal(l.opt.M, m) || !slices.Equal(l.opt.D, d) || l.opt.T != arrivals {
			t.Fatalf("seed %d: the merge moved m, D or t: %v %v %d, want %v %v %d", seed, l.opt.M, l.opt.D, l.opt.T, m, d, arrivals)
		}
	}
}
