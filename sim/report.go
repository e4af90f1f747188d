package sim

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// ReportSchema names the form of a report as JSON.
const ReportSchema = "halos.sim/1"

// Report sums up a study, or several that are compared.
type Report struct {
	Schema     string   `json:"schema"`
	Terms      string   `json:"terms"` // equal in reports whose losses and times can be compared
	Env        string   `json:"env"`
	Preset     string   `json:"preset"`
	Tokens     uint64   `json:"tokens"` // after which a run ends, unless it ends earlier
	Seed       uint64   `json:"seed"`   // the first
	Seeds      int      `json:"seeds"`
	InFlight   string   `json:"inflight"`    // "" where compared studies differ
	Target     float64  `json:"target_loss"` // nats per token: that of --until-loss, or the lowest that all runs have reached
	Algorithms []Method `json:"algorithms"`
}

// Method sums up the runs of a method: means over those that have not diverged, null
// or 0 if all have.
type Method struct {
	Name string `json:"name"` // in tables and pictures
	Runs
	Seconds       float64  `json:"seconds"`           // of virtual time, to the end
	Tokens        float64  `json:"tokens"`            // trained on: with the last push or round more than the report's
	ToTarget      *float64 `json:"seconds_to_target"` // to the first measurement at or below the target; null if a run has none
	RatioToHALoS  *float64 `json:"ratio_to_halos"`    // of seconds_to_target; null without both
	Loss          *float64 `json:"loss"`              // at the end
	LossLeast     *float64 `json:"loss_least"`
	LossMost      *float64 `json:"loss_most"`
	Diverged      int      `json:"diverged"` // runs
	Utilisation   float64  `json:"utilisation"`
	WANGB         float64  `json:"wan_gb"`
	StalenessMean float64  `json:"staleness_mean"`
	StalenessMax  uint64   `json:"staleness_max"`
	Unshipped     float64  `json:"unshipped"`
	Toll          *Toll    `json:"toll,omitempty"` // of all runs that have not diverged; nil without faults
}

// NewReport sums up the runs of s.
func NewReport(s Study, all []Runs) Report {
	r := Report{
		Schema: ReportSchema, Terms: s.terms(), Preset: s.Job.Name, Tokens: s.Job.Tokens, Seed: s.Job.Seed, Seeds: s.Seeds,
		InFlight: string(s.Job.InFlight), Target: s.Until,
	}
	if r.Target == 0 {
		r.Target = CommonLoss(all)
	}
	for _, runs := range all {
		r.Algorithms = append(r.Algorithms, newMethod(string(runs.Algo), runs, r.Target))
	}
	r.rate()
	return r
}

// Compare joins the methods of reports, which must be on the same terms and from the
// same seeds. Their runs are compared at the loss target, or if that is 0 at the lowest
// that all have reached.
func Compare(reports []Report, target float64) (Report, error) {
	if len(reports) == 0 {
		return Report{}, errors.New("no report")
	}
	joint := reports[0]
	joint.Target, joint.Algorithms = target, nil
	var all []Runs
	var names []string
	for _, r := range reports {
		if r.Study() != joint.Study() {
			return Report{}, fmt.Errorf("a report of %s and one of %s cannot be compared", joint.Study(), r.Study())
		}
		if r.Terms != joint.Terms {
			return Report{}, fmt.Errorf("reports of %s that cannot be compared: their models, texts, held-out samples, environments or costs differ", joint.Study())
		}
		if r.InFlight != joint.InFlight {
			joint.InFlight = ""
		}
		for _, m := range r.Algorithms {
			all, names = append(all, m.Runs), append(names, m.Name)
		}
	}
	if target == 0 {
		joint.Target = CommonLoss(all)
	}
	for i, runs := range all {
		joint.Algorithms = append(joint.Algorithms, newMethod(names[i], runs, joint.Target))
	}
	joint.rate()
	return joint, nil
}

// Validate joins all faults of a report that others may have changed.
func (r Report) Validate() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(r.Schema != ReportSchema, "schema: %q, want %q", r.Schema, ReportSchema)
	fault(len(r.Algorithms) == 0, "algorithms: none")
	for i, m := range r.Algorithms {
		fault(!slices.Contains(Algos(), m.Algo), "algorithms[%d].algo: %q is not known", i, m.Algo)
		fault(len(m.Runs.Runs) != r.Seeds, "algorithms[%d].runs: %d, want %d, one for each seed", i, len(m.Runs.Runs), r.Seeds)
		for k, run := range m.Runs.Runs {
			fault(len(run.Curve) == 0 && !run.Diverged, "algorithms[%d].runs[%d].curve: empty", i, k)
			last := Point{Seconds: -1}
			for j, p := range run.Curve {
				bad := p.Seconds < 0 || p.Seconds < last.Seconds || p.Seconds > maxFigure || p.Tokens > maxFigure || !(p.Loss > 0 && p.Loss < maxFigure)
				fault(bad && len(faults) < 8, "algorithms[%d].runs[%d].curve[%d]: %+v after %+v, want seconds that do not fall and a loss above 0", i, k, j, p, last)
				last = p
			}
		}
	}
	return errors.Join(faults...)
}

// maxFigure is beyond the seconds, tokens and losses of any run.
const maxFigure = 1e18

// Study says what was studied, for people.
func (r Report) Study() string {
	return fmt.Sprintf("%s in %s, %d tokens, seeds %d to %d", r.Preset, r.Env, r.Tokens, r.Seed, r.Seed+uint64(r.Seeds)-1)
}

// rate sets the ratios to the first method that is HALoS.
func (r *Report) rate() {
	ours := slices.IndexFunc(r.Algorithms, func(m Method) bool { return m.Algo == HALoS })
	if ours < 0 || r.Algorithms[ours].ToTarget == nil || *r.Algorithms[ours].ToTarget == 0 {
		return
	}
	for i := range r.Algorithms {
		if m := &r.Algorithms[i]; m.ToTarget != nil {
			ratio := *m.ToTarget / *r.Algorithms[ours].ToTarget
			m.RatioToHALoS = &ratio
		}
	}
}

func newMethod(name string, runs Runs, target float64) Method {
	m := Method{Name: name, Runs: runs}
	n, toTarget, reached := 0.0, 0.0, 0
	loss, least, most := 0.0, math.Inf(1), math.Inf(-1)
	for _, r := range runs.Runs {
		if r.Diverged {
			m.Diverged++
			continue
		}
		n++
		m.Seconds += r.Seconds
		m.Tokens += float64(r.Tokens)
		loss += r.Loss
		least, most = min(least, r.Loss), max(most, r.Loss)
		m.Utilisation += r.Utilisation
		m.WANGB += r.WANGB
		m.StalenessMean += r.StalenessMean
		m.StalenessMax = max(m.StalenessMax, r.StalenessMax)
		m.Unshipped += r.Unshipped
		if r.Toll != nil {
			if m.Toll == nil {
				m.Toll = &Toll{}
			}
			m.Toll.Add(*r.Toll)
		}
		if seconds, ok := r.TimeTo(target); ok {
			toTarget += seconds
			reached++
		}
	}
	if n == 0 {
		return m
	}
	m.Loss, m.LossLeast, m.LossMost = &loss, &least, &most
	for _, sum := range []*float64{&m.Seconds, &m.Tokens, &loss, &m.Utilisation, &m.WANGB, &m.StalenessMean, &m.Unshipped} {
		*sum /= n
	}
	if toTarget /= n; reached == len(runs.Runs) {
		m.ToTarget = &toTarget
	}
	return m
}
