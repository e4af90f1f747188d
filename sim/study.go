package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"

	"halos/data"
	"halos/job"
	"halos/model"
	"halos/tensor"
	"halos/train"
)

// ErrNotReached says that a run spent its tokens above the loss that it was to end at.
var ErrNotReached = errors.New("target loss not reached")

// Study compares methods: each trains the same model on the same samples, from each
// of some seeds.
type Study struct {
	Job     *job.Job // the model, its optimizer, the tokens and the settings of HALoS
	Env     Env
	Cost    Cost
	Algos   []Algo
	H       int // of all methods that have rounds; 0 = the job's for HALoS, the paper's for others
	Outer   Outer
	Corpora []*data.Corpus // [regions]
	Seeds   int
	Until   float64 // loss to end at; 0 = none
	Evals   int     // of the global model in a run
	Windows int     // held-out windows of one of them, for each text
	Jobs    int
	Faults  Faults // of halos, drawn from each seed
	Store   *Store // nil: nothing is kept
}

// Outer changes what the paper gives the servers of the baselines.
type Outer struct {
	LR   *float64 // of an arrival; nil = the paper's
	Beta *float64 // nil = the paper's
}

// Runs are those of one method, a result for each seed.
type Runs struct {
	Algo   Algo     `json:"algo"`
	H      int      `json:"H"`
	K      int      `json:"K"`                // 0 where there is none
	Faults *Faults  `json:"faults,omitempty"` // nil without
	Runs   []Result `json:"runs"`
}

// Validate joins all faults of s.
func (s Study) Validate() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(s.Seeds < 1 || s.Job.Seed+uint64(s.Seeds) < s.Job.Seed, "%d seeds from %d on, want at least 1, and none beyond %d", s.Seeds, s.Job.Seed, uint64(math.MaxUint64))
	fault(len(s.Algos) == 0, "no algorithm")
	fault(s.Evals < 1, "%d evaluations, want at least 1", s.Evals)
	fault(s.Windows < 1, "%d held-out windows, want at least 1", s.Windows)
	fault(len(s.Corpora) != len(s.Env.Speeds), "%d texts for %d regions", len(s.Corpora), len(s.Env.Speeds))
	if err := errors.Join(append(faults, s.Env.Validate())...); err != nil {
		return err
	}
	for _, a := range s.Algos {
		if err := s.config(a, s.Job).Validate(); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", a, err))
		}
	}
	for region, corpus := range s.Corpora {
		if err := corpus.Check(s.Job.Context(), s.Job.Batch); err != nil {
			faults = append(faults, fmt.Errorf("region %d: %w", region, err))
		}
	}
	return errors.Join(faults...)
}

// config is the run of one method.
func (s Study) config(a Algo, j *job.Job) Config {
	c := Config{
		Algo: a, Env: s.Env, Cost: s.Cost, Roles: j.Config, Outer: a.PaperOuter(), LR: j.TrainConfig().Schedule,
		Steps: j.Samples() / uint64(j.Batch), TokensPerStep: j.Batch * j.Context(), Evaluations: s.Evals, Until: s.Until,
		Jobs: min(s.Jobs, s.Env.size()), Faults: s.Faults, Seed: j.Seed,
	}
	switch {
	case s.H > 0:
		c.Roles.H = s.H
	case a != HALoS:
		c.Roles.H = a.PaperH()
	}
	if a == DDP || a == Ideal {
		c.Roles.H = 1
		c.Inner = train.NewAdamW(j.TrainConfig())
	}
	if lr := s.Outer.LR; lr != nil {
		c.Outer.LR = *lr * float64(c.Outer.N)
	}
	if beta := s.Outer.Beta; beta != nil {
		c.Outer.Beta = *beta
	}
	return c
}

// Run runs everything, telling progress what is under way and which share of all is
// done. When ctx ends it returns what has been finished, with ctx's error; with a
// Store the next Run goes on from there.
func (s Study) Run(ctx context.Context, progress func(what string, share float64)) ([]Runs, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if s.Store != nil {
		if err := s.Store.open(s.settings()); err != nil {
			return nil, err
		}
	}
	var all []Runs
	total := float64(len(s.Algos) * s.Seeds)
	for _, a := range s.Algos {
		c := s.config(a, s.Job)
		runs := Runs{Algo: a, H: c.Roles.H, Faults: s.faults()}
		if a == HALoS {
			runs.K = c.Roles.K
		}
		all = append(all, runs)
	}
	done := 0.0
	for seed := range s.Seeds {
		for i, a := range s.Algos {
			what := fmt.Sprintf("%s, seed %d", a, s.Job.Seed+uint64(seed))
			res, err := s.one(ctx, a, seed, func(share float64) { progress(what, (done+share)/total) })
			if err != nil {
				return all, fmt.Errorf("%s: %w", what, err)
			}
			all[i].Runs = append(all[i].Runs, res)
			done++
		}
	}
	return all, s.reached(all)
}

// settings are all on which the bits of a result depend.
func (s Study) settings() any {
	j := *s.Job
	j.Salt = ""
	return struct {
		Job            job.Job
		Env            Env
		Cost           Cost
		H              int
		Outer          Outer
		Texts          []string
		Until          float64
		Evals, Windows int
		Kernel         string
		Faults         *Faults `json:",omitempty"`
	}{j, s.Env, s.Cost, s.H, s.Outer, s.texts(), s.Until, s.Evals, s.Windows, tensor.Kernel(), s.faults()}
}

// faults are nil if there are none.
func (s Study) faults() *Faults {
	if s.Faults.EveryMS == 0 {
		return nil
	}
	return &s.Faults
}

// texts lists the hashes of the regions' texts.
func (s Study) texts() []string {
	var all []string
	for _, c := range s.Corpora {
		all = append(all, c.Source().SHA256)
	}
	return all
}

// terms names all on which it depends whether the losses and times of two studies can
// be compared.
func (s Study) terms() string {
	all := fmt.Appendf(nil, "%+v", struct {
		Env     Env
		Cost    Cost
		Model   model.Config
		Texts   []string
		Windows int
		Tokens  uint64
	}{s.Env, s.Cost, s.Job.Model, s.texts(), s.Windows, s.Job.Tokens})
	return fmt.Sprintf("%.8x", sha256.Sum256(all))
}

// one runs one method from one seed, or finds it in the store.
func (s Study) one(ctx context.Context, a Algo, seed int, progress func(float64)) (Result, error) {
	j := *s.Job
	j.Seed += uint64(seed)
	c := s.config(a, &j)
	c.Progress = progress
	name := fmt.Sprintf("%s-seed%d", a, j.Seed)
	var corpora []*data.Corpus
	regions, _ := s.Env.workers()
	for _, region := range regions {
		corpora = append(corpora, s.Corpora[region])
	}
	params := make([]float32, j.Model.NumParams())
	model.Init(params, j.Model, j.Seed)
	learner := NewTexts(j.TrainConfig(), corpora, c.Jobs, s.Windows)
	if s.Store == nil {
		return Run(ctx, c, learner, params)
	}
	return s.Store.run(ctx, name, c, learner, params)
}

// reached says which runs ended above the loss that they were to end at.
func (s Study) reached(all []Runs) error {
	var short []string
	for _, runs := range all {
		for i, r := range runs.Runs {
			if s.Until > 0 && !(r.Loss <= s.Until) {
				short = append(short, fmt.Sprintf("%s, seed %d: %.4f", runs.Algo, s.Job.Seed+uint64(i), r.Loss))
			}
		}
	}
	if len(short) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %g nats per token was the target, %d tokens the budget, the loss at the end %v: raise --tokens or the target", ErrNotReached, s.Until, s.Job.Tokens, short)
}

// CommonLoss is the lowest loss that every run has reached, at which they can be
// compared; a run that has diverged or has no curve is left out.
func CommonLoss(all []Runs) float64 {
	common := 0.0
	for _, runs := range all {
		for _, r := range runs.Runs {
			if r.Diverged || len(r.Curve) == 0 {
				continue
			}
			least := slices.MinFunc(r.Curve, func(p, q Point) int {
				if p.Loss < q.Loss {
					return -1
				}
				return 1
			})
			common = max(common, least.Loss)
		}
	}
	return common
}
