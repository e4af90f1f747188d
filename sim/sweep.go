package sim

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"halos/roles"
)

// Sweep is a Forecast for each of many settings.
type Sweep struct {
	Env      Env
	Params   float64 // of the model
	StepMS   float64 // a local step of the fastest worker
	Steps    uint64  // local steps in all
	H, K     []int
	Codecs   []Codec
	InFlight roles.InFlight
}

// Codec is how deltas and models are encoded on their way.
type Codec struct {
	Name  string
	Bytes float64 // per parameter
}

// Codecs lists those that a sweep knows. Jobs have the first; the others say what one
// would be worth.
func Codecs() []Codec { return []Codec{{"f32", 4}, {"bf16", 2}, {"int8", 1}, {"int4", 0.5}} }

// Row is one setting of a sweep and what it comes to.
type Row struct {
	Algo          Algo    `json:"algo"`
	H             int     `json:"H"`
	K             int     `json:"K"` // 0 where there is none
	Codec         string  `json:"codec"`
	Seconds       float64 `json:"seconds"`
	WANGB         float64 `json:"wan_gb"` // 1e9 bytes between regions, both ways
	StalenessMean float64 `json:"staleness_mean"`
	StalenessMax  uint64  `json:"staleness_max"`
	Utilisation   float64 `json:"utilisation"`
	Unshipped     float64 `json:"unshipped"`
	Link          float64 `json:"link"` // HALoS: how long the busiest region's push and its answer take, as a share of the time in which K updates come; above 1 pushes wait
}

// Advice is the setting of HALoS to begin with.
type Advice struct {
	H      int    `json:"H"`
	K      int    `json:"K"`
	Codec  string `json:"codec"`
	Reason string `json:"reason"`
}

// Rows forecasts every setting, those of a method together. It fails only when ctx ends.
func (s Sweep) Rows(ctx context.Context) ([]Row, error) {
	var rows []Row
	for _, codec := range s.Codecs {
		for _, h := range s.H {
			for _, k := range s.K {
				rows = append(rows, Row{Algo: HALoS, H: h, K: k, Codec: codec.Name})
			}
		}
	}
	for _, a := range []Algo{Async, DiLoCoDyn, DiLoCo} {
		for _, codec := range s.Codecs {
			for _, h := range s.H {
				rows = append(rows, Row{Algo: a, H: h, Codec: codec.Name})
			}
		}
	}
	for _, codec := range s.Codecs {
		rows = append(rows, Row{Algo: DDP, H: 1, Codec: codec.Name})
	}
	rows = append(rows, Row{Algo: Ideal, H: 1, Codec: s.Codecs[0].Name})
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range rows {
		group.Go(func() error { return s.fill(ctx, &rows[i]) })
	}
	return rows, group.Wait()
}

// fill forecasts a row.
func (s Sweep) fill(ctx context.Context, row *Row) error {
	p := s.plan(row)
	r, err := Forecast(ctx, p)
	row.Seconds, row.WANGB, row.Utilisation, row.Unshipped = r.Seconds, r.WANGB, r.Utilisation, r.Unshipped
	row.StalenessMean, row.StalenessMax = r.StalenessMean, r.StalenessMax
	if row.Algo == HALoS {
		row.Link, _ = p.link()
	}
	return err
}

func (s Sweep) plan(row *Row) Plan {
	bytes := 0.0
	for _, c := range s.Codecs {
		if c.Name == row.Codec {
			bytes = c.Bytes * s.Params
		}
	}
	return Plan{
		Algo: row.Algo, Env: s.Env, Cost: Cost{Up: bytes, Down: bytes, StepMS: s.StepMS},
		H: row.H, K: row.K, Rescale: true, InFlight: s.InFlight, Steps: s.Steps,
	}
}

// link returns how long a region's push and its answer take, as a share of the time in
// which K updates come, where that is the most, and in which region.
func (p Plan) link() (share float64, region int) {
	rates := make([]float64, len(p.Env.Speeds)) // updates per ms
	regions, speeds := p.Env.workers()
	for i, r := range regions {
		local := p.Env.transfer(r, r, p.Cost.Up) + p.Env.transfer(r, r, p.Cost.Down)
		steps := float64(p.Algo.localSteps(p.H, speeds[i], p.Rescale))
		rates[r] += 1 / (local + steps*p.Cost.StepMS/speeds[i])
	}
	for r, rate := range rates {
		ms := p.Env.transfer(r, 0, p.Cost.Up) + p.Env.transfer(0, r, p.Cost.Down)
		if s := ms * rate / float64(p.K); s > share {
			share, region = s, r
		}
	}
	return share, region
}

const (
	busyEnough = 0.95 // utilisation beyond which fewer local steps are the better ones
	linkFull   = 2    // Row.Link beyond which a smaller K costs bytes and taught no better (docs/results.md)
)

// Advise chooses among the rows of HALoS in the first codec of s: local steps as
// few as leave the workers busy, since every exchange is one to learn from, and
// pushes as often as the busiest link takes them, for what waits in a region reaches
// the others late.
func (s Sweep) Advise(rows []Row) Advice {
	var best *Row
	better := func(row *Row) bool {
		if best == nil {
			return true
		}
		if row.H != best.H {
			busy, was := row.Utilisation >= busyEnough, best.Utilisation >= busyEnough
			return busy && (!was || row.H < best.H) || !busy && !was && row.Utilisation > best.Utilisation
		}
		full, was := row.Link >= linkFull, best.Link >= linkFull
		return full && (!was || row.K > best.K) || !full && !was && row.K < best.K
	}
	for i := range rows {
		if row := &rows[i]; row.Algo == HALoS && row.Codec == s.Codecs[0].Name && better(row) {
			best = row
		}
	}
	if best == nil {
		return Advice{}
	}
	_, region := s.plan(best).link()
	reason := fmt.Sprintf("with H=%d workers compute %.0f %% of the time; the link of region %d, the busiest, needs %.2g times as long for a push and its answer as K=%d updates take",
		best.H, 100*best.Utilisation, region, best.Link, best.K)
	if best.Link > 1 {
		reason += ", so one push follows the other there: a codec with fewer bytes would let it push more often"
	}
	return Advice{H: best.H, K: best.K, Codec: best.Codec, Reason: reason}
}
