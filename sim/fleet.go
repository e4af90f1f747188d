package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"halos/roles"
)

// fleet is HALoS under faults: every worker, LPS and GPS of package roles is a process
// with a clock, a disk and a connection to its server, all of which end when it is
// killed. As in a run without faults only models and deltas take time on their way;
// besides, snapshots take time on theirs to the disk. The job has no more samples than
// the run has steps, so the run ends once every one is in the global model.
type fleet struct {
	*run
	rng    *rand.Rand
	first  []float32  // [n] the model of a job that begins
	procs  []*process // the GPS, the LPSs, the workers
	byName map[string]*process
	window int // deltas of a client that may not be durable
}

// process is one process and its connection to its server.
type process struct {
	id     int
	name   string // what its server calls it, and who speaks for it
	region int
	worker *worker  // nil: a server
	server *process // nil: the GPS

	role     role   // nil while it is away
	starts   uint64 // so far; appointments of an earlier life are void
	training bool
	flying   bool         // a push has been made and its answer is not merged
	sent     uint64       // the newest seq that has left
	disk     *roles.State // the newest snapshot, nil if there is none
	writing  *roles.State // that on its way to the disk, nil if there is none

	up    bool       // connected to the server
	links uint64     // connections so far; what is on its way on an earlier one never arrives
	busy  [2]float64 // ms, when the newest transfer to and from the server is over
}

// role is a worker, an LPS or a GPS.
type role interface {
	Step(ev roles.Event) []roles.Action
}

// server is an LPS or a GPS.
type server interface {
	State() roles.State
	Restore(s roles.State) error
}

// What a node does around the roles, as package node has it.
const (
	tickMS      = 1e3 / roles.TicksPerSecond
	redialMS    = 1e3       // between attempts to reach a server
	outboxBytes = 256 << 20 // of deltas that are not durable
	windowLow   = 4         // deltas that an outbox holds at least
	windowHigh  = 32        // and at most
	diskGBs     = 1.0       // what snapshots are written with, 1e9 bytes per second
)

func newFleet(r *run) *fleet {
	r.Roles.Guard = roles.Guard{} // every worker is honest
	r.toll = &Toll{}
	f := &fleet{
		run: r, rng: rand.New(rand.NewPCG(r.Seed, 0)), first: slices.Clone(r.global), byName: map[string]*process{},
		window: int(min(max(windowLow, outboxBytes/r.Cost.Up), windowHigh)),
	}
	gps := f.add("gps", 0, nil, nil)
	for region := range r.Env.Speeds {
		f.add(strconv.Itoa(region), region, nil, gps)
	}
	for _, w := range r.workers {
		f.add(w.name(), w.region, w, f.procs[1+w.region])
	}
	return f
}

func (f *fleet) add(name string, region int, w *worker, server *process) *process {
	p := &process{id: len(f.procs), name: name, region: region, worker: w, server: server}
	f.procs = append(f.procs, p)
	f.byName[name] = p
	return p
}

func (f *fleet) start() error {
	f.appoint()
	for _, p := range f.procs {
		if err := f.begin(p); err != nil {
			return err
		}
	}
	return nil
}

// begin starts p, from its snapshot if it has one. Terms and sessions grow.
func (f *fleet) begin(p *process) error {
	p.starts++
	term := roles.Term{Counter: p.starts, Leader: p.name}
	switch {
	case p.worker != nil:
		p.role = roles.NewWorker(p.name, p.starts, len(f.global), f.window)
	case p.server != nil:
		p.role = roles.NewLPS(f.Roles, p.name, p.name, term, len(f.global), f.window)
	default:
		copy(f.global, f.first)
		p.role = roles.NewGPS(f.Roles, term, f.global, f.Steps*uint64(f.Roles.Batch), f.window)
	}
	if p.disk == nil {
		p.sent, p.flying = 0, false
	} else {
		if err := p.role.(server).Restore(*p.disk); err != nil {
			return fmt.Errorf("sim: %s: restore: %w", p.name, err)
		}
		p.flying = p.disk.Region != nil && p.disk.Region.Flight != 0
	}
	f.after(tickMS, event{Kind: ticked, Who: p.id, Life: p.starts})
	if p.server != nil {
		f.dialAfter(p, 0)
	}
	return nil
}

func (f *fleet) handle(e event) error {
	p := f.procs[e.Who]
	switch e.Kind {
	case killed:
		f.appoint()
		return f.kill()
	case started:
		return f.begin(p)
	case upward, downward:
		return f.receive(p, e)
	}
	if p.role == nil || e.Life != p.starts {
		return nil
	}
	switch e.Kind {
	case ticked:
		f.after(tickMS, e)
		return f.step(p, roles.Tick{})
	case dialled:
		return f.connect(p)
	case written:
		p.disk, p.writing = p.writing, nil
		return f.step(p, e.Message)
	case finished:
		return f.trainedBy(p)
	}
	return fmt.Errorf("sim: event %d in a run of halos under faults", e.Kind)
}

// step folds an event into the role of p and does what it wants done.
func (f *fleet) step(p *process, ev roles.Event) error {
	for _, a := range p.role.Step(ev) {
		if err := f.perform(p, a); err != nil {
			return err
		}
	}
	return nil
}
