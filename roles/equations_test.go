package roles

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"halos/data"
	"halos/optim"
	"halos/tensor"
)

// Each test takes an equation of ALGORITHMS.md and computes it again in float64.

const equationParams = 3

// tier drives a server of equationParams parameters through one client.
type tier struct {
	actor
	client string
	seq    uint64
	params []float32
	opt    *optim.DelayedNesterov
}

func lpsTier(cfg Config, rng *rand.Rand) (*tier, *LPS) {
	l := NewLPS(cfg, "eu", "l", lpsTerm, equationParams, 1000)
	l.Step(Connected{})
	l.Step(Welcome{Client: "eu", Session: 1})
	l.Step(Grant{Client: "eu", Ranges: span(0, 1<<20)})
	l.Step(hi("w1", 1, 1, 1))
	l.Step(Model{Client: "eu", ID: global(0), Params: vector(rng)})
	l.Step(done(1))
	return &tier{actor: l, client: "w1", params: l.params, opt: l.opt}, l
}

func gpsTier(cfg Config, rng *rand.Rand) *tier {
	g := NewGPS(cfg, gpsTerm, vector(rng), 1<<30, 1000)
	g.Step(hi("eu", 1, 1, 1))
	return &tier{actor: g, client: "eu", params: g.params, opt: g.opt}
}

// apply asks for samples and sends g as the delta of training on them.
func (s *tier) apply(t *testing.T, g []float32) []Action {
	t.Helper()
	var samples data.Intervals
	for _, a := range s.Step(Ask{Client: s.client, Samples: 4}) {
		if a, ok := a.(Grant); ok {
			samples.AddAll(a.Ranges)
			for _, task := range a.Tasks {
				samples.Add(task.Samples)
			}
		}
	}
	s.seq++
	acts := s.Step(Delta{
		Name: Name{s.client, 1, s.seq}, Steps: samples.Len() / 2, Samples: samples,
		Loss: 1, Norm: tensor.Norm(g), Values: g,
	})
	if _, ok := acts[0].(Applied); !ok {
		t.Fatalf("delta %d: got %s, want it applied", s.seq, trace(acts))
	}
	return acts
}

func vector(rng *rand.Rand) []float32 {
	v := make([]float32, equationParams)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
}

func wide(v []float32) []float64 {
	w := make([]float64, len(v))
	for i, x := range v {
		w[i] = float64(x)
	}
	return w
}

// near fails unless got is want but for float32 rounding over some dozen steps.
func near(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	for i, x := range want {
		if len(got) != len(want) || !(math.Abs(float64(got[i])-x) <= 2e-5*(1+math.Abs(x))) {
			t.Fatalf("%s: got %v, want %v", what, got, want)
		}
	}
}

// nesterov is delayed Nesterov for one parameter, written as ALGORITHMS.md has it.
type nesterov struct {
	optim.NesterovConfig
	theta, m, d float64
	t           int
}

func (s *nesterov) step(g float64) {
	n := float64(s.N)
	s.d += g
	if (s.t+1)%s.N == 0 {
		s.m = s.Beta*s.m + s.d/n
		s.theta -= s.LR * ((1-s.C*n+s.C)*s.Beta*s.m + g/n)
		s.d = 0
	} else {
		s.theta -= s.LR * (s.C*s.Beta*s.m + g/n)
	}
	s.t++
}

// D += g; every N-th: m = beta*m + D/N; theta -= lr*((1 - c*N + c)*beta*m + g/N); D = 0;
// otherwise theta -= lr*(c*beta*m + g/N). At both servers.
func TestEquationDelayedNesterov(t *testing.T) {
	for seed, n := range []int{1, 2, 3, 5, 16} {
		for _, c := range []float64{0, 0.5 / float64(n), 1 / float64(n)} {
			for _, beta := range []float64{0, 0.5, 0.9} {
				t.Run(fmt.Sprintf("N=%d,c=%.3g,beta=%v", n, c, beta), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(uint64(seed), 1))
					cfg, dn := scriptCfg, optim.NesterovConfig{LR: 0.2 * float64(n), Beta: beta, C: c, N: n}
					cfg.K, cfg.LPS, cfg.GPS = 1000, dn, dn
					lps, _ := lpsTier(cfg, rng)
					checkNesterov(t, lps, dn, rng)
					checkNesterov(t, gpsTier(cfg, rng), dn, rng)
				})
			}
		}
	}
}

func checkNesterov(t *testing.T, s *tier, dn optim.NesterovConfig, rng *rand.Rand) {
	t.Helper()
	want := make([]nesterov, equationParams)
	for i := range want {
		want[i] = nesterov{NesterovConfig: dn, theta: float64(s.params[i])}
	}
	for range 40 {
		g := vector(rng)
		s.apply(t, g)
		var theta, m, d []float64
		for i := range want {
			want[i].step(float64(g[i]))
			theta, m, d = append(theta, want[i].theta), append(m, want[i].m), append(d, want[i].d)
		}
		near(t, s.client+": theta", s.params, theta)
		near(t, s.client+": m", s.opt.M, m)
		near(t, s.client+": D", s.opt.D, d)
	}
}

// "GPS on a push: DN; answer that LPS with its theta."
func TestEquationAnswer(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 5))
	s := gpsTier(scriptCfg, rng)
	want, g := wide(s.params), vector(rng)
	s.Step(Follow{Client: "eu", Contains: 1})
	for _, a := range s.apply(t, g) {
		if a, ok := a.(Model); ok {
			for i := range want {
				want[i] -= float64(g[i])
			}
			near(t, "answer", a.Params, want)
			if a.Client != "eu" || a.Contains != 1 {
				t.Errorf("got an answer to %s that contains %d, want eu, 1", a.Client, a.Contains)
			}
			return
		}
	}
	t.Error("the push was not answered")
}
