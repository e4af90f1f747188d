package roles

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"halos/data"
	"halos/optim"
)

// reference is a run of the HALoS authors' own simulator: its setting, some of its
// events and its end.
type reference struct {
	Environment struct {
		Bandwidths [][]float64 `json:"network_bandwidths"` // Gbit/s between regions
		Speeds     [][]float64 `json:"worker_speeds"`      // by region
	} `json:"environment"`
	Hyper struct {
		ModelBytes  float64 `json:"model_bytes"`
		StepMS      float64 `json:"local_step_time_ms"`
		GlobalBatch int     `json:"global_batch_size"`
		MicroBatch  int     `json:"micro_batch_size"`
		Accum       int     `json:"grad_accum"`
		TotalSteps  uint64  `json:"total_steps"`
		Worker      struct {
			Type  string     `json:"opt_type"`
			Betas [2]float64 `json:"betas"`
			Eps   float64    `json:"eps"`
			Decay float64    `json:"weight_decay"`
		} `json:"worker_opt"`
		LR struct {
			Max    float64 `json:"max_lr"`
			Warmup uint64  `json:"t_warmup"`
			Total  uint64  `json:"t_max"`
		} `json:"worker_lr"`
		Clip  float64           `json:"grad_clip"`
		H     int               `json:"num_local_steps"`
		GPS   referenceNesterov `json:"gps_opt"`
		LPS   referenceNesterov `json:"lps_opt"`
		Alpha float64           `json:"merge_weight"`
		K     int               `json:"local_updates_accumulation"`
	} `json:"hyperparameters"`
	Problem struct {
		Initial []float32   `json:"initial_params"`
		Centres [][]float32 `json:"worker_centres"`
	} `json:"problem"`
	LocalSteps []int            `json:"local_steps"`
	Events     int              `json:"events"`
	FinishMS   float64          `json:"finish_time_ms"`
	Trace      []referenceEvent `json:"trace"`
	Final      []float64        `json:"final_params"`
}

type referenceNesterov struct {
	LR   float64 `json:"lr"`
	Beta float64 `json:"beta"`
	N    int     `json:"buffer_size"`
}

// referenceEvent is one event: a server has applied a delta, or an LPS has merged.
type referenceEvent struct {
	Index   int       `json:"index"`
	MS      float64   `json:"t"`
	At      string    `json:"at"` // lps, gps or merge
	LPS     int       `json:"lps"`
	Worker  int       `json:"worker"`        // of lps
	Trained uint64    `json:"trained_steps"` // of gps
	Params  []float64 `json:"params"`
}

// TestReference drives the roles, in paper mode and with snapshots done at once, by
// the clock of the authors' simulator. Every event of their traces must come out.
func TestReference(t *testing.T) {
	files, err := filepath.Glob("testdata/halos*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no traces in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var ref reference
			if err := json.Unmarshal(raw, &ref); err != nil {
				t.Fatal(err)
			}
			newPaperClock(t, &ref).run()
		})
	}
}

// paperClock is the cost model of the paper's experiment around the roles.
type paperClock struct {
	t       *testing.T
	ref     *reference
	ms      float64
	queue   paperAgenda
	added   int
	index   int    // events so far
	trained uint64 // local steps the GPS has counted

	gps     *GPS
	lps     []*LPS
	workers []*paperWorker
}

type paperWorker struct {
	id, region int
	speed      float64 // of the fastest
	seq        uint64
	base       []float32
	params     []float32
	opt        *optim.AdamW
	task       data.Task
}

type paperAppointment struct {
	ms    float64
	order int
	do    func() referenceEvent
}

type paperAgenda []paperAppointment

func (a paperAgenda) Len() int { return len(a) }
func (a paperAgenda) Less(i, j int) bool {
	return a[i].ms < a[j].ms || a[i].ms == a[j].ms && a[i].order < a[j].order
}
func (a paperAgenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *paperAgenda) Push(x any)   { *a = append(*a, x.(paperAppointment)) }
func (a *paperAgenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}
