package sim

import (
	"fmt"
	"slices"
	"strconv"

	"halos/data"
	"halos/roles"
	"halos/tensor"
)

// halos drives the LPSs and the GPS of package roles. Only models and deltas take
// time; all else arrives at once, and what a role makes durable is durable at once.
type halos struct {
	*run
	gps    *roles.GPS
	lps    []*roles.LPS
	flying []bool    // [regions] a push has left and its answer is not merged
	speeds []float64 // [regions] of the fastest worker

	resuming bool // what has been sent before is not sent again
}

const (
	endless = 1 << 50 // samples that no run uses up
	window  = 2       // deltas that may not be durable: few, so that servers soon let go of them
)

func newHalos(r *run) *halos {
	c := r.Roles
	c.Guard = roles.Guard{} // every worker is honest
	regions := len(r.Env.Speeds)
	h := &halos{run: r, flying: make([]bool, regions), speeds: make([]float64, regions)}
	for _, w := range r.workers {
		h.speeds[w.region] = max(h.speeds[w.region], w.speed)
	}
	h.gps = roles.NewGPS(c, roles.Term{Counter: 1, Leader: "gps"}, r.global, endless, window)
	for region := range r.Env.Speeds {
		h.lps = append(h.lps, roles.NewLPS(c, strconv.Itoa(region), "lps", roles.Term{Counter: 1, Leader: "lps"}, len(r.global), window))
	}
	return h
}

func (h *halos) start() error {
	if err := h.introduce(); err != nil {
		return err
	}
	for _, w := range h.workers {
		if err := h.begin(w); err != nil {
			return err
		}
	}
	return nil
}

// introduce makes all known to each other. Every speed is known before the first task
// is given out.
func (h *halos) introduce() error {
	for region, l := range h.lps {
		if err := h.fromLPS(region, l.Step(roles.Connected{})); err != nil {
			return err
		}
	}
	for _, w := range h.workers {
		hello := roles.Hello{Client: w.name(), Peer: w.name(), Session: 1, Next: w.seq + 1, Oldest: w.seq + 1}
		hello.Leases.Add(w.task.Samples)
		if err := h.fromLPS(w.region, h.lps[w.region].Step(hello)); err != nil {
			return err
		}
	}
	for region, speed := range h.speeds {
		if err := h.fromGPS(h.gps.Step(roles.Ask{Client: strconv.Itoa(region), Speed: speed})); err != nil {
			return err
		}
	}
	return nil
}

func (h *halos) handle(e event) error {
	switch e.Kind {
	case finished:
		return h.deliver(h.workers[e.Who])
	case arrived:
		return h.push(*e.Delta)
	case answered:
		h.flying[e.Who] = false
		return h.fromLPS(e.Who, h.lps[e.Who].Step(*e.Model))
	}
	return fmt.Errorf("sim: event %d in a run of halos", e.Kind)
}

// begin gives w the next samples of the job and its region's newest model.
func (h *halos) begin(w *worker) error {
	l, region := h.lps[w.region], strconv.Itoa(w.region)
	if err := h.fromLPS(w.region, l.Step(roles.Ask{Client: w.name(), Speed: w.speed})); err != nil {
		return err
	}
	samples := uint64(w.steps * h.Roles.Batch)
	if err := h.fromGPS(h.gps.Step(roles.Ask{Client: region, Samples: samples, Speed: h.speeds[w.region]})); err != nil {
		return err
	}
	if err := h.fromLPS(w.region, l.Step(roles.Follow{Client: w.name(), Contains: w.seq})); err != nil {
		return err
	}
	local := h.Env.transfer(w.region, w.region, h.Cost.Up) + h.Env.transfer(w.region, w.region, h.Cost.Down)
	h.train(w, local)
	return nil
}

// deliver brings w's delta to its LPS and lets w begin again.
func (h *halos) deliver(w *worker) error {
	loss, err := w.training.wait()
	if err != nil {
		return err
	}
	w.seq++
	tensor.Sub(w.params, w.start, w.params)
	err = h.fromLPS(w.region, h.lps[w.region].Step(roles.Delta{
		Name: roles.Name{Client: w.name(), Session: 1, Seq: w.seq}, Base: w.base, Steps: uint64(w.task.Steps),
		Samples: data.Intervals{w.task.Samples}, Loss: float32(loss), Norm: tensor.Norm(w.params), Values: w.params,
	}))
	if err != nil {
		return err
	}
	return h.begin(w)
}

// push brings a region's push to the GPS.
func (h *halos) push(d roles.Delta) error {
	if err := h.fromGPS(h.gps.Step(d)); err != nil {
		return err
	}
	return h.steps(d.Steps)
}

// fromLPS does what the LPS of a region wants done.
func (h *halos) fromLPS(region int, acts []roles.Action) error {
	for _, a := range acts {
		var err error
		switch a := a.(type) {
		case roles.Hello:
			err = h.fromGPS(h.gps.Step(a))
		case roles.Follow:
			err = h.fromGPS(h.gps.Step(a))
		case roles.Snapshot:
			err = h.fromLPS(region, h.lps[region].Step(roles.SnapshotDone{ID: a.ID}))
		case roles.Delta:
			if h.resuming {
				continue
			}
			h.flying[region] = true
			h.after(h.between(region, 0, h.Cost.Up), event{Kind: arrived, Who: region, Delta: &a})
		case roles.Applied:
			h.tally.applied(a.Staleness)
			if h.flying[region] && h.Roles.InFlight == roles.Paper {
				h.tally.Unshipped++
			}
		case roles.Grant:
			h.worker(a.Client).task = a.Tasks[0]
		case roles.Model:
			w := h.worker(a.Client)
			w.base = a.ID
			copy(w.start, a.Params)
		case roles.Refused:
			err = fmt.Errorf("sim: the LPS of region %d refuses delta %v: %s", region, a.Name, a.Reason)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fromGPS does what the GPS wants done.
func (h *halos) fromGPS(acts []roles.Action) error {
	for _, a := range acts {
		var err error
		switch a := a.(type) {
		case roles.Snapshot:
			err = h.fromGPS(h.gps.Step(roles.SnapshotDone{ID: a.ID}))
		case roles.Welcome:
			err = h.toLPS(a.Client, a)
		case roles.Marks:
			err = h.toLPS(a.Client, a)
		case roles.Grant:
			err = h.toLPS(a.Client, a)
		case roles.Model:
			err = h.answer(a)
		case roles.Refused:
			err = fmt.Errorf("sim: the GPS refuses push %v: %s", a.Name, a.Reason)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *halos) toLPS(name string, ev roles.Event) error {
	region := regionOf(name)
	return h.fromLPS(region, h.lps[region].Step(ev))
}

// answer sends the global model to a region; the first one is there from the start.
func (h *halos) answer(m roles.Model) error {
	if h.resuming {
		return nil
	}
	if m.Contains == 0 {
		return h.toLPS(m.Client, m)
	}
	m.Params = slices.Clone(m.Params)
	region := regionOf(m.Client)
	h.after(h.between(0, region, h.Cost.Down), event{Kind: answered, Who: region, Model: &m})
	return nil
}

// regionOf and worker undo the names that newHalos and worker.name make.
func regionOf(name string) int {
	region, _ := strconv.Atoi(name)
	return region
}

func (h *halos) worker(name string) *worker {
	id, _ := strconv.Atoi(name[1:])
	return h.workers[id]
}
