package roles

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
)

// world runs a whole job in virtual time: the roles as they are, and around them what
// a node does, with links that delay, lose, double and break, networks that part,
// disks that are slow, fail or tear what they write, and processes that crash.
// Everything follows from the seed.
type world struct {
	plan
	rng   *rand.Rand
	now   moment
	queue agenda
	added uint64

	gps      *proc
	procs    []*proc
	parted   int // partitions so far
	checks   checks
	happened map[string]int     // mishaps by kind
	watch    func(*proc, Event) // sees every event before it is folded in, nil if nobody does
}

// plan is what makes one world unlike another.
type plan struct {
	cfg              Config
	regions, workers int // workers of each region
	tasks            int // rounds in the whole job
	window           int
	n                int // parameters
	exact            bool

	link     moment  // a message travels up to so long
	late     float64 // share of messages that take much longer
	lossy    float64 // share of deltas that vanish on a link that stands
	twice    float64 // share of deltas that arrive twice
	poison   float64 // share of deltas that arrive as none that a server takes
	disk     moment  // a snapshot takes up to so long
	badDisk  float64 // share of snapshots that fail
	rot      float64 // share of starts at which the newest snapshot does not verify, if nothing is built on it yet
	badRound float64 // share of rounds that diverge
	chaos    moment  // mean time between mishaps, 0 = none
	calm     moment  // no mishap after
	mild     bool    // nobody is away for long, and nothing is lost but what is in memory
	off      mechanism
}

// moment is a point of virtual time or a span of it, in sixteenths of a tick.
type moment int64

const tick moment = 16

// appointment is something to be done at a moment; order breaks ties.
type appointment struct {
	at    moment
	order uint64
	do    func()
}

type agenda []appointment

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(appointment)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// newWorld lays out the processes of a plan and starts them.
func newWorld(seed uint64, p plan) *world {
	w := &world{plan: p, rng: rand.New(rand.NewPCG(seed, 1)), happened: map[string]int{}}
	w.checks.init(w)
	w.gps = w.add("gps", "", nil)
	for r := range p.regions {
		lps := w.add(fmt.Sprintf("r%d", r), "", w.gps)
		for i := range p.workers {
			w.add(fmt.Sprintf("r%d.w%d", r, i), lps.id, lps)
		}
	}
	for _, p := range w.procs {
		p.start()
	}
	if p.chaos > 0 {
		w.mishaps()
	}
	return w
}

func (w *world) add(id, region string, server *proc) *proc {
	p := &proc{w: w, id: id, peer: "peer-" + id, server: server, links: map[string]*link{}}
	p.pace = tick/2 + moment(w.rng.Int64N(int64(3*tick)))
	w.procs = append(w.procs, p)
	return p
}

// after does f a span from now.
func (w *world) after(d moment, f func()) {
	w.added++
	heap.Push(&w.queue, appointment{w.now + d, w.added, f})
}

// upTo draws a span of at most d.
func (w *world) upTo(d moment) moment { return moment(w.rng.Int64N(int64(d) + 1)) }

func (w *world) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

// run lets the world live until every process has finished, and says what went
// wrong, nil if nothing did.
func (w *world) run(limit moment) []string {
	for w.queue.Len() > 0 && len(w.checks.faults) == 0 {
		next := heap.Pop(&w.queue).(appointment)
		w.now = next.at
		if w.now > limit {
			w.checks.fault("the job has not ended after %d ticks: %s", limit/tick, w.still())
			break
		}
		next.do()
		if w.over() {
			w.checks.final()
			break
		}
	}
	return w.checks.faults
}

func (w *world) over() bool {
	for _, p := range w.procs {
		if !p.finished && !p.dead {
			return false
		}
	}
	return true
}

// still lists who has not finished, and what the servers have in hand.
func (w *world) still() string {
	s := ""
	for _, p := range w.procs {
		if !p.finished && !p.dead {
			s += p.id + " "
		}
	}
	for _, p := range w.procs {
		if half := serverHalf(p.role); half != nil {
			s += fmt.Sprintf("\n\t%s: free %v, leased %v", p.id, half.ledger.free, half.ledger.leased)
		}
		if l, ok := p.role.(*LPS); ok {
			s += fmt.Sprintf(", for the next push %v, in flight %d", l.done.samples, l.flight.seq)
		}
	}
	return s
}
