package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"halos/codec"
	"halos/data"
	"halos/job"
)

// ProbePath is a way of bytes from one process to another.
type ProbePath string

// Ways of bytes. A delta and a model take the way they take in a job, through nodes
// whose roles are played by a script; the others are one stream between two hosts.
const (
	ProbeDelta ProbePath = "delta"     // LPS to GPS: encode, topic, repair, decode, apply
	ProbeModel ProbePath = "model"     // GPS to LPS: encode, model stream, decode, merge
	ProbeBBR   ProbePath = "raw-bbr"   // TCP with that congestion control
	ProbeCubic ProbePath = "raw-cubic" // TCP with that congestion control
	ProbeQUIC  ProbePath = "raw-quic"
)

// ProbePaths are all there are.
var ProbePaths = []ProbePath{ProbeDelta, ProbeModel, ProbeBBR, ProbeCubic, ProbeQUIC}

// Raw reports that the path is a stream of libp2p and no more.
func (p ProbePath) Raw() bool { return p == ProbeBBR || p == ProbeCubic || p == ProbeQUIC }

// control is the congestion control that an end's TCP sockets need, "" for that of
// jobs: only the sender's matters.
func (p ProbePath) control(sends bool) string {
	if !sends {
		return ""
	}
	return map[ProbePath]string{ProbeBBR: "bbr", ProbeCubic: "cubic"}[p]
}

// Bounds of a measurement.
const (
	minProbe   = 64 << 10         // bytes
	maxProbe   = 2 << 30          // bytes: what the model of a probe can have
	maxFor     = 20 * time.Minute // of repetition
	askWait    = 5 * time.Second  // for a server to answer: between two measurements it is away for a moment
	busyWait   = 30 * time.Second // for one that is busy, perhaps with a client that is gone
	switchWait = 20 * time.Second // for the server to make itself ready
	fillRate   = 8 << 20          // bytes of payload per second by which it may take longer: memory is slow at first use
	maxAsk     = 16 << 10         // bytes of all that is said on a stream of askProtocol
	pings      = 5                // round trips before a measurement, of which the shortest counts
)

// Protocols of a measurement. The client opens the streams.
const (
	askProtocol = "/halos/probe/1"     // pings, then what is to be measured
	rawProtocol = "/halos/probe/raw/1" // bytes, either way
	endProtocol = "/halos/probe/end/1" // what it cost the server
)

// Probe is a measurement: transfers of so many bytes of payload, one after the other
// until For has passed and one at least; or bytes on a raw stream for that long. It
// asks a ProbeServer for the other end:
//
//	Probe                          ProbeServer
//	ask                        ->  is free: both close their hosts and begin anew, as nodes of a job or as hosts
//	source: Delta, Delta, ...  ->  sink: decides and applies
//	source: Follow, Follow ..  <-  sink: Model, Model, ...
//	raw                       <->  raw
//	end                        ->  what it cost there
type Probe struct {
	Path  ProbePath
	Bytes int
	For   time.Duration
	Down  bool // of a raw path: from the server. Deltas go up, models come down
	Limit time.Duration

	Listen []string     // multiaddrs; empty: a port of loopback, for nobody dials a client
	Dir    string       // of its own: for the directory of a node
	Usage  func() Usage // of this process
	Log    *slog.Logger
}

// Usage is what a process has used.
type Usage struct {
	CPU  time.Duration `json:"cpu"`  // user and system
	Peak uint64        `json:"peak"` // bytes resident, at most so far
}

// ProbeEnd is what a measurement took at one of its ends.
type ProbeEnd struct {
	Usage             // CPU of the measurement alone, Peak of the process so far
	Vectors    uint64 `json:"vectors"`    // bytes of the float32 vectors that a job would hold there too
	Sent       uint64 `json:"sent"`       // bytes on all streams to the other end
	Congestion string `json:"congestion"` // control of what it sends, such as "bbr" or "cubic x16"
}

// Probed is the result of a Probe.
type Probed struct {
	Payload   uint64 // bytes delivered
	Transfers int
	Took      time.Duration // from the first byte to the word that the last has been delivered
	RTT       time.Duration // of the idle link, by the shortest of some pings
	Broken    int           // connections that ended in the middle
	Client    ProbeEnd
	Server    ProbeEnd
}

// Validate joins all faults of what p asks for.
func (p Probe) Validate() error {
	var errs []error
	if !slices.Contains(ProbePaths, p.Path) {
		errs = append(errs, fmt.Errorf("path %.40q: there are %q", p.Path, ProbePaths))
	}
	if p.Bytes < minProbe || p.Bytes > maxProbe {
		errs = append(errs, fmt.Errorf("%d bytes: want %d to %d", p.Bytes, minProbe, maxProbe))
	}
	if p.For < 0 || p.For > maxFor {
		errs = append(errs, fmt.Errorf("time %v: want 0s to %v", p.For, maxFor))
	}
	if p.Down && !p.Path.Raw() {
		errs = append(errs, fmt.Errorf("path %s has one direction only", p.Path))
	}
	return errors.Join(errs...)
}

// toll counts what one end of a measurement spends.
type toll struct {
	host   host.Host
	count  *traffic
	usage  func() Usage
	before Usage
	sent   map[peer.ID]uint64
}

func startToll(h host.Host, count *traffic, usage func() Usage) *toll {
	return &toll{host: h, count: count, usage: usage, before: usage(), sent: count.sentTo()}
}

func (t *toll) stop(other peer.ID, vectors uint64) ProbeEnd {
	u := t.usage()
	end := ProbeEnd{
		Usage:   Usage{CPU: u.CPU - t.before.CPU, Peak: u.Peak},
		Vectors: vectors, Sent: t.count.sentTo()[other] - t.sent[other],
	}
	for _, c := range t.host.Network().ConnsToPeer(other) {
		end.Congestion = congestionOf(t.host, c)
	}
	return end
}

// probeJob is a job whose model takes about so many bytes as a delta. Both ends of a
// measurement make the same model of the same number.
func probeJob(bytes int) (*job.Job, error) {
	j, err := job.Preset("tiny")
	if err != nil {
		return nil, err
	}
	width := 16
	if bytes > 32<<20 {
		width = 256 // fewer rows: a vocabulary has its bounds
	}
	m := &j.Model
	m.HiddenSize, m.IntermediateSize, m.NumHiddenLayers, m.NumAttentionHeads = width, 4*width, 1, 2
	j.Name = "probe"
	m.VocabSize = data.Vocabulary
	row := 2 * width // in the embedding and in the head
	lacking := float64(bytes)/float64(codec.F32.EncodedLen(1)) - float64(m.NumParams())
	m.VocabSize += max(0, int(math.Round(lacking/float64(row))))
	return j, j.Validate()
}

// within calls f until it is done, for d at most.
func within(ctx context.Context, d time.Duration, f func(context.Context) (done bool, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for {
		done, err := f(ctx)
		if done || ctx.Err() != nil {
			return err
		}
		wait(ctx, 100*time.Millisecond)
	}
}
