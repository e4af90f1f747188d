package roles

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
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

// joined returns a worker with a task for each of the rounds, which starts from theta.
func joined(theta []float32, rounds int) (*Worker, []Action) {
	w := NewWorker("w1", 1, len(theta), rounds)
	w.Step(Connected{})
	w.Step(Welcome{Client: "w1", Session: 1})
	for i := range rounds {
		w.Step(task(uint64(4 * i)))
	}
	return w, w.Step(Model{Client: "w1", ID: local(1), Params: theta})
}

// endRound ends the running round in the trainer's model at end and returns what follows.
func endRound(w *Worker, acts []Action, end []float32) []Action {
	for _, a := range acts {
		if a, ok := a.(Train); ok {
			copy(a.Params, end)
			return w.Step(TrainDone{Steps: a.Task.Steps, Samples: a.Task.Samples, Loss: 1})
		}
	}
	panic("no round is running after " + trace(acts))
}

// delta = theta_start - theta_end
func TestEquationDelta(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 6))
		start, end := vector(rng), vector(rng)
		w, acts := joined(start, 1)
		d, ok := pushed(w, endRound(w, acts, end))
		if !ok {
			t.Fatal("no delta")
		}
		want := wide(start)
		for i := range want {
			want[i] -= float64(end[i])
		}
		near(t, "delta", d.Values, want)
		if math.Abs(d.Norm-math.Sqrt(want[0]*want[0]+want[1]*want[1]+want[2]*want[2])) > 1e-5 {
			t.Errorf("norm %v of %v", d.Norm, want)
		}
	}
}

// "model - sum of its own outbox deltas with seq > s", those that were refused left out.
func TestEquationAdoption(t *testing.T) {
	const rounds = 4
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 7))
		w, acts := joined(vector(rng), rounds)
		w.Step(ServerGone{}) // so that it waits for no answer
		var deltas [][]float64
		for range rounds - 1 {
			acts = endRound(w, acts, vector(rng))
			deltas = append(deltas, wide(w.out.entries[len(w.out.entries)-1].Values))
		}
		refused, contains := rng.Uint64N(rounds), rng.Uint64N(rounds)
		w.Step(Welcome{Client: "w1", Session: 1, Leases: span(0, 4*rounds)})
		if refused > 0 {
			w.Step(marksOf("w1", refused, 0).refusing(refused))
		}
		model, end := vector(rng), vector(rng)
		w.Step(Model{Client: "w1", ID: local(2), Contains: contains, Params: model})
		w.Step(ServerGone{})
		last := slices.Clone(w.start)
		endRound(w, acts, end)
		w.Step(task(4 * rounds))
		want := wide(model)
		for i := range want {
			for seq := contains + 1; seq < rounds; seq++ {
				if seq != refused {
					want[i] -= deltas[seq-1][i]
				}
			}
			want[i] -= float64(last[i]) - float64(end[i])
		}
		near(t, fmt.Sprintf("contains %d, refused %d", contains, refused), w.start, want)
	}
}

// First = max(first index, samples committed when granted) / global batch
func TestEquationTaskPlacement(t *testing.T) {
	for _, c := range []struct {
		first, committed uint64
		globalBatch      int
		want             uint64
	}{
		{0, 0, 8, 0},
		{6, 0, 8, 0},
		{8, 0, 8, 1},
		{30, 12, 8, 3},
		{12, 30, 8, 3},
		{1022, 1024, 1024, 1},
		{1 << 40, 1, 1, 1 << 40},
	} {
		cfg := scriptCfg
		cfg.GlobalBatch = c.globalBatch
		l := newLPS(cfg, 8, 0, "w1")().(*LPS)
		acts := l.Step(Grant{Client: "eu", Ranges: span(c.first, c.first+4), Committed: c.committed})
		g, ok := acts[0].(Grant)
		if !ok || len(g.Tasks) != 1 || g.Tasks[0].First != c.want || g.Tasks[0].Steps != 2 {
			t.Errorf("first index %d, %d committed, global batch %d: got %+v, want 2 steps at %d", c.first, c.committed, c.globalBatch, acts[0], c.want)
		}
	}
}
