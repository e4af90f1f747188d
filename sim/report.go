package sim

import (
	"math"
	"slices"
)

// ReportSchema names the form of a report as JSON.
const ReportSchema = "halos.sim/1"

// Report sums up a study.
type Report struct {
	Schema     string   `json:"schema"`
	Env        string   `json:"env"`
	Preset     string   `json:"preset"`
	Tokens     uint64   `json:"tokens"` // of a run that does not end earlier
	Seed       uint64   `json:"seed"`   // the first
	Seeds      int      `json:"seeds"`
	InFlight   string   `json:"inflight"`
	Target     float64  `json:"target_loss"` // nats per token: that of --until-loss, or the lowest that all runs have reached
	Algorithms []Method `json:"algorithms"`
}

// Method sums up the runs of a method: means over those that have not diverged.
type Method struct {
	Runs
	Seconds       float64  `json:"seconds"`           // of virtual time, to the end
	ToTarget      *float64 `json:"seconds_to_target"` // to the first measurement at or below the target; null if a run has none
	RatioToHALoS  *float64 `json:"ratio_to_halos"`    // of seconds_to_target; null without both
	Loss          float64  `json:"loss"`              // at the end
	LossLeast     float64  `json:"loss_least"`
	LossMost      float64  `json:"loss_most"`
	Diverged      int      `json:"diverged"` // runs
	Utilisation   float64  `json:"utilisation"`
	WANGB         float64  `json:"wan_gb"`
	StalenessMean float64  `json:"staleness_mean"`
	StalenessMax  uint64   `json:"staleness_max"`
	Unshipped     float64  `json:"unshipped"`
}

// NewReport sums up the runs of s.
func NewReport(s Study, all []Runs) Report {
	r := Report{
		Schema: ReportSchema, Preset: s.Job.Name, Tokens: s.Job.Tokens, Seed: s.Job.Seed, Seeds: s.Seeds,
		InFlight: string(s.Job.InFlight), Target: s.Until,
	}
	if r.Target == 0 {
		r.Target = CommonLoss(all)
	}
	for _, runs := range all {
		r.Algorithms = append(r.Algorithms, newMethod(runs, r.Target))
	}
	ours := slices.IndexFunc(r.Algorithms, func(m Method) bool { return m.Algo == HALoS })
	if ours < 0 || r.Algorithms[ours].ToTarget == nil {
		return r
	}
	for i := range r.Algorithms {
		if m := &r.Algorithms[i]; m.ToTarget != nil {
			ratio := *m.ToTarget / *r.Algorithms[ours].ToTarget
			m.RatioToHALoS = &ratio
		}
	}
	return r
}

func newMethod(runs Runs, target float64) Method {
	m := Method{Runs: runs, LossLeast: math.MaxFloat64}
	n, toTarget, reached := 0.0, 0.0, 0
	for _, r := range runs.Runs {
		if r.Diverged {
			m.Diverged++
			continue
		}
		n++
		m.Seconds += r.Seconds
		m.Loss += r.Loss
		m.LossLeast, m.LossMost = min(m.LossLeast, r.Loss), max(m.LossMost, r.Loss)
		m.Utilisation += r.Utilisation
		m.WANGB += r.WANGB
		m.StalenessMean += r.StalenessMean
		m.StalenessMax = max(m.StalenessMax, r.StalenessMax)
		m.Unshipped += r.Unshipped
		if seconds, ok := r.TimeTo(target); ok {
			toTarget += seconds
			reached++
		}
	}
	if n == 0 {
		m.LossLeast = 0
		return m
	}
	for _, sum := range []*float64{&m.Seconds, &m.Loss, &m.Utilisation, &m.WANGB, &m.StalenessMean, &m.Unshipped} {
		*sum /= n
	}
	if toTarget /= n; reached == len(runs.Runs) {
		m.ToTarget = &toTarget
	}
	return m
}
