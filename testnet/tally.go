package testnet

import (
	"math"
	"slices"
	"time"

	"halos/node"
)

// What counts as recent in what is shown.
const (
	recentTime    = 15 * time.Second // of a worker's rounds; at least its last one
	recentApplied = 32               // deltas, for the staleness of a region
)

// tally derives everything that is shown and judged from the metrics.jsonl of all
// processes of a testnet.
type tally struct {
	journals []*journal
	ledger   ledger
	watch    func(node.Record) // sees every record too, nil if nobody does
	fault    error             // the first thing that could not be read: counts may be wrong

	job        string // 64 hex digits
	firstRound time.Time
	lastDelta  time.Time // applied by a server
	trained    float64   // seconds of all rounds
	blocked    float64   // seconds waited before them
	firstEval  eval
	lastEval   eval
	global     uint64 // version of the GPS's model
	checkpoint string // newest of the GPS
}

type eval struct {
	at   time.Time
	loss float64 // nats per token
}

// journal is the metrics.jsonl of one process and what it has said so far.
type journal struct {
	tail   node.Tail
	region string
	roles  []string
	addrs  []string
	starts int
	began  time.Time // of the last one
	ended  bool      // it said stop after its last start, or is known to be dead

	steps, tokens uint64  // of all rounds
	rounds        []round // the recent ones
	version       uint64  // of the regional model it serves
	merged        uint64  // version of the global model in it
	staleness     []uint64
	traffic       traffic // since its last start
	earlier       traffic // of the starts before
}

type round struct {
	at     time.Time
	took   time.Duration // with the wait before it
	tokens uint64
	loss   float64 // nats per token, 0 if it was not finite
}

// traffic is what a process has sent.
type traffic struct{ wan, lan, topic, local, dropped uint64 }

func (t traffic) plus(u traffic) traffic {
	return traffic{t.wan + u.wan, t.lan + u.lan, t.topic + u.topic, t.local + u.local, t.dropped + u.dropped}
}

func newTally() *tally { return &tally{ledger: newLedger()} }

// follow adds a file, which need not exist yet, and returns its journal.
func (t *tally) follow(path string) *journal {
	j := &journal{tail: node.Tail{Path: path}}
	t.journals = append(t.journals, j)
	return j
}

// read takes what the processes have written since the last time.
func (t *tally) read() {
	for i, j := range t.journals {
		records, err := j.tail.Read()
		for _, r := range records {
			t.ledger.add(i, r)
			t.add(j, r)
			if t.watch != nil {
				t.watch(r)
			}
		}
		if t.fault == nil {
			t.fault = err
		}
	}
}

func (t *tally) add(j *journal, r node.Record) {
	switch r.Event {
	case node.EventStart:
		j.start(r)
		t.job = r.Job
	case node.EventStop:
		j.ended = true
	case node.EventRound:
		j.round(r)
		t.trained += r.Seconds
		t.blocked += r.Blocked
		if t.firstRound.IsZero() || r.Time.Before(t.firstRound) {
			t.firstRound = r.Time
		}
	case node.EventApplied, node.EventRestored:
		if r.Event == node.EventApplied && r.Time.After(t.lastDelta) {
			t.lastDelta = r.Time
		}
		if r.Tier == node.TierGlobal {
			t.global = r.Version
			return
		}
		j.version = r.Version
		if r.Event == node.EventApplied {
			j.staleness = append(j.staleness, r.Staleness)
			j.staleness = j.staleness[max(0, len(j.staleness)-recentApplied):]
		}
	case node.EventMerged:
		j.merged = r.Version
	case node.EventEval:
		t.eval(j, eval{r.Time, r.Loss})
	case node.EventCheckpoint:
		if r.Tier == node.TierGlobal {
			t.checkpoint = r.Path
		}
	case node.EventBytes:
		j.traffic = traffic{r.WAN, r.LAN, r.Topic, r.Local, r.Dropped}
	}
}

// start begins the lines of another process in the same directory.
func (j *journal) start(r node.Record) {
	j.starts++
	j.began = r.Time
	j.ended = false
	j.region, j.roles, j.addrs = r.Region, r.Roles, r.Addrs
	j.earlier, j.traffic = j.earlier.plus(j.traffic), traffic{}
}

func (j *journal) has(role string) bool { return slices.Contains(j.roles, role) }

func (j *journal) sent() traffic { return j.earlier.plus(j.traffic) }

func (j *journal) round(r node.Record) {
	j.steps += r.Steps
	j.tokens += r.Tokens
	took := time.Duration((r.Seconds + r.Blocked) * float64(time.Second))
	j.rounds = append(j.rounds, round{r.Time, took, r.Tokens, r.Loss})
	for len(j.rounds) > 1 && r.Time.Sub(j.rounds[0].at) > recentTime {
		j.rounds = j.rounds[1:]
	}
}

// rate is the speed of a worker in tokens per second: that of its recent rounds,
// 0 if it has ended or has been silent for much longer than a round.
func (j *journal) rate(now time.Time) float64 {
	if j.ended || len(j.rounds) == 0 {
		return 0
	}
	last := j.rounds[len(j.rounds)-1]
	if now.Sub(last.at) > max(recentTime, 3*last.took) {
		return 0
	}
	var tokens uint64
	var took time.Duration
	for _, r := range j.rounds {
		tokens += r.tokens
		took += r.took
	}
	if took <= 0 {
		return 0
	}
	return float64(tokens) / took.Seconds()
}

// eval notes a validation of the GPS's model; those of the LPSs' are not shown.
func (t *tally) eval(j *journal, e eval) {
	if !j.has("gps") {
		return
	}
	if t.firstEval.at.IsZero() || e.at.Before(t.firstEval.at) {
		t.firstEval = e
	}
	if !e.at.Before(t.lastEval.at) {
		t.lastEval = e
	}
}

// blockedShare is the part of the workers' time that they waited for an answer or
// a task.
func (t *tally) blockedShare() float64 {
	if t.blocked+t.trained == 0 {
		return 0
	}
	return t.blocked / (t.blocked + t.trained)
}

// appliedRate is how many deltas a second the servers applied, from the end of the
// first round to the last of them.
func (t *tally) appliedRate(deltas Deltas) float64 {
	took := t.lastDelta.Sub(t.firstRound).Seconds()
	if took <= 0 {
		return 0
	}
	return rounded(float64(deltas.Applied)/took, 1e3)
}

// tokens is what all workers have trained on.
func (t *tally) tokens() (n uint64) {
	for _, j := range t.journals {
		n += j.tokens
	}
	return n
}

// sent is what all processes have sent.
func (t *tally) sent() (all traffic) {
	for _, j := range t.journals {
		all = all.plus(j.sent())
	}
	return all
}

// validation returns the first and the last loss of the global model, NaN if it was
// never validated.
func (t *tally) validation() (first, last float64) {
	if t.lastEval.at.IsZero() {
		return math.NaN(), math.NaN()
	}
	return t.firstEval.loss, t.lastEval.loss
}
