package roles

import (
	"container/heap"
	"fmt"
	"maps"
	"math"
	"slices"

	"halos/data"
)

// depot runs a GPS, two regions and their workers in virtual time, to see who has to
// wait for samples. A model is one number, and every worker trains at its own speed.
type depot struct {
	now   moment
	queue agenda
	added uint64
	gps   *GPS
	sites []*site
	cut   bool // the GPS is out of reach
	over  bool

	handed, committed uint64   // samples
	stray             [2]int64 // least and most that tasks were put on the schedule beside what had been handed out
}

type site struct {
	d     *depot
	name  string
	lps   *LPS
	hands map[string]*hand
	asks  int
}

// hand is a worker.
type hand struct {
	site  *site
	name  string
	speed float64 // local steps per second
	tasks []data.Task
	seq   uint64
	free  moment // since when it has nothing to do
	busy  bool
	idle  moment // all in all, since its first task
}

// second and wan are spans of a depot: a message needs the latter to or from the GPS.
const (
	second = TicksPerSecond * tick
	wan    = second / 10
)

var supplyCfg = Config{H: 4, K: 8, Alpha: 0.5, InFlight: Carry, Batch: 2, GlobalBatch: 2, LPS: plain, GPS: plain}

// newDepot makes a job that takes all workers so long, in seconds; each region's are
// as fast as said.
func newDepot(seconds float64, speeds ...[]float64) *depot {
	d := &depot{}
	total := 0.0
	for i, region := range speeds {
		name := fmt.Sprintf("r%d", i)
		s := &site{d: d, name: name, lps: NewLPS(supplyCfg, name, name, lpsTerm, 1, 8), hands: map[string]*hand{}}
		for j, speed := range region {
			h := &hand{site: s, name: fmt.Sprintf("%s.w%d", name, j), speed: speed}
			s.hands[h.name] = h
			total += speed
		}
		d.sites = append(d.sites, s)
	}
	d.gps = NewGPS(supplyCfg, gpsTerm, []float32{100}, uint64(seconds*total)*uint64(supplyCfg.Batch), 8)
	for _, s := range d.sites {
		s.toLPS(Connected{})
		for _, name := range slices.Sorted(maps.Keys(s.hands)) {
			d.after(wan*4, s.hands[name].hello)
		}
	}
	d.tick()
	return d
}

func (d *depot) after(by moment, do func()) {
	d.added++
	heap.Push(&d.queue, appointment{at: d.now + by, order: d.added, do: do})
}

// run lets time pass until then, or until the job is complete.
func (d *depot) run(until moment) {
	for !d.over && len(d.queue) > 0 && d.queue[0].at <= until {
		next := heap.Pop(&d.queue).(appointment)
		d.now = next.at
		next.do()
	}
}

func (d *depot) tick() {
	d.toGPS(Tick{})
	for _, s := range d.sites {
		s.toLPS(Tick{})
	}
	d.after(tick, d.tick)
}

// outage cuts the GPS off, or brings it back.
func (d *depot) outage(begins bool) {
	d.cut = begins
	for _, s := range d.sites {
		if begins {
			s.toLPS(ServerGone{})
			d.toGPS(ClientGone{Client: s.name, Peer: s.name})
		} else {
			s.toLPS(Connected{})
		}
	}
}

func (d *depot) toGPS(ev Event) {
	for _, a := range d.gps.Step(ev) {
		switch a := a.(type) {
		case Snapshot:
			d.after(tick, func() { d.toGPS(SnapshotDone{ID: a.ID}) })
		case Welcome:
			d.send(a.Client, a)
		case Marks:
			d.send(a.Client, a)
		case Grant:
			d.send(a.Client, a)
		case Model:
			a.Params = slices.Clone(a.Params)
			d.send(a.Client, a)
		case Applied:
			d.committed += a.Steps * uint64(supplyCfg.Batch)
		case Ended:
			d.over = true
		}
	}
}

// send brings what the GPS says to a region, if they are connected.
func (d *depot) send(region string, ev Event) {
	i := slices.IndexFunc(d.sites, func(s *site) bool { return s.name == region })
	d.afar(func() { d.sites[i].toLPS(ev) })
}

// afar does something a WAN's delay from now.
func (d *depot) afar(do func()) {
	d.after(wan, func() {
		if !d.cut {
			do()
		}
	})
}

func (s *site) toLPS(ev Event) {
	for _, a := range s.lps.Step(ev) {
		switch a := a.(type) {
		case Snapshot:
			s.d.after(tick, func() { s.toLPS(SnapshotDone{ID: a.ID}) })
		case Ask:
			s.asks++
			s.d.afar(func() { s.d.toGPS(a) })
		case Delta:
			s.d.afar(func() { s.d.toGPS(a) })
		case Hello:
			s.d.afar(func() { s.d.toGPS(a) })
		case Follow:
			s.d.afar(func() { s.d.toGPS(a) })
		case Grant:
			h := s.hands[a.Client]
			h.tasks = append(h.tasks, a.Tasks...)
			s.d.after(0, h.begin)
		}
	}
}

func (h *hand) hello() {
	h.free = -1
	h.site.toLPS(hi(h.name, 1, 1, 1))
	for range workerTasks {
		h.site.toLPS(Ask{Client: h.name})
	}
}

// begin trains the next task, if there is one.
func (h *hand) begin() {
	if h.busy || len(h.tasks) == 0 {
		return
	}
	d := h.site.d
	if h.free >= 0 {
		h.idle += d.now - h.free
	}
	h.busy = true
	t := h.tasks[0]
	h.tasks = h.tasks[1:]
	off := int64(t.First)*int64(supplyCfg.GlobalBatch) - int64(d.handed)
	d.stray[0], d.stray[1] = min(d.stray[0], off), max(d.stray[1], off)
	d.handed += t.Samples.Len()
	d.after(moment(float64(t.Steps)/h.speed*float64(second)), func() { h.end(t) })
}

func (h *hand) end(t data.Task) {
	h.busy, h.free = false, h.site.d.now
	h.seq++
	h.begin()
	h.site.toLPS(Delta{
		Name: Name{h.name, 1, h.seq}, Steps: uint64(t.Steps), Samples: data.Intervals{t.Samples}, Values: []float32{1},
	})
	h.site.toLPS(Ask{Client: h.name, Speed: h.speed})
}

// waited is the longest that a worker has been without a task, the end not counted.
func (d *depot) waited() moment {
	var longest moment
	for _, s := range d.sites {
		for _, h := range s.hands {
			longest = max(longest, h.idle)
		}
	}
	return longest
}

// last is when the last worker finished, and spread how much earlier the first had
// nothing to do any more.
func (d *depot) last() (last, spread moment) {
	first := moment(math.MaxInt64)
	for _, s := range d.sites {
		for _, h := range s.hands {
			first, last = min(first, h.free), max(last, h.free)
		}
	}
	return last, last - first
}
