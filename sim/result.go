package sim

// Point is the global model at one moment.
type Point struct {
	Seconds float64 `json:"seconds"` // of virtual time
	Tokens  uint64  `json:"tokens"`
	Loss    float64 `json:"loss"` // held-out, nats per token
}

// Result is what a run reached and what it cost.
type Result struct {
	Algo          Algo    `json:"algo"`
	Seconds       float64 `json:"seconds"` // of virtual time
	Steps         uint64  `json:"steps"`   // local steps that the global model contains
	Tokens        uint64  `json:"tokens"`
	Loss          float64 `json:"loss"` // held-out at the end, nats per token; 0 without evaluations
	Diverged      bool    `json:"diverged"`
	Utilisation   float64 `json:"utilisation"`    // share of the workers' time in which they compute
	WANGB         float64 `json:"wan_gb"`         // 1e9 bytes between regions, both ways
	StalenessMean float64 `json:"staleness_mean"` // versions that a server's model moved while a worker trained
	StalenessMax  uint64  `json:"staleness_max"`
	Unshipped     float64 `json:"unshipped"` // share of the workers' updates that never reach the global model
	Events        uint64  `json:"events"`
	Toll          *Toll   `json:"toll,omitempty"` // nil without faults
	Curve         []Point `json:"curve"`
}

// tally counts over a run.
type tally struct {
	Events    uint64
	Busy      float64 // ms of computation begun
	WAN       float64 // bytes between regions
	Updates   uint64  // of workers, applied
	Unshipped uint64  // of these
	Stale     uint64  // sum over the updates
	Stalest   uint64
}

// applied counts an update that was made from a model some versions old.
func (t *tally) applied(staleness uint64) {
	t.Updates++
	t.Stale += staleness
	t.Stalest = max(t.Stalest, staleness)
}

func (r *run) result() Result {
	busy := r.tally.Busy
	for _, w := range r.workers {
		busy -= max(0, w.until-r.now) // of rounds that the end cuts short
	}
	res := r.tally.result(r.Algo, r.now, busy, len(r.workers), r.trained)
	res.Tokens = r.trained * uint64(r.TokensPerStep)
	res.Curve, res.Toll = r.curve, r.toll
	if n := len(r.curve); n > 0 {
		res.Loss = r.curve[n-1].Loss
	}
	return res
}

// result sums up a run that has ended after ms.
func (t tally) result(a Algo, ms, busy float64, workers int, trained uint64) Result {
	res := Result{Algo: a, Seconds: ms / 1e3, Steps: trained, WANGB: t.WAN / 1e9, StalenessMax: t.Stalest, Events: t.Events}
	if ms > 0 {
		res.Utilisation = busy / (ms * float64(workers))
	}
	if t.Updates > 0 {
		res.StalenessMean = float64(t.Stale) / float64(t.Updates)
		res.Unshipped = float64(t.Unshipped) / float64(t.Updates)
	}
	return res
}

// TimeTo returns the virtual seconds after which the held-out loss was first measured
// at or below target.
func (r Result) TimeTo(target float64) (seconds float64, reached bool) {
	for _, p := range r.Curve {
		if p.Loss <= target {
			return p.Seconds, true
		}
	}
	return 0, false
}
