// Package node runs roles on a network: one libp2p host per process, the discovery
// of others, the delta topics, the ack and model streams, the disk, and the one loop
// that owns the roles. What is decided, roles decide; here it is carried out.
//
//	trainer, streams, topics, disk, clock --events--> loop: role.Step --actions--> the same
//
// Files follow a delta: trainer.go makes it, uplink.go and serverconn.go send it,
// downlink.go, clientconn.go and decode.go take it in, models.go sends the model back.
package node

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"halos/codec"
	"halos/data"
	"halos/job"
	"halos/roles"
	"halos/spool"
	"halos/tensor"
	"halos/wire"
)

// Bounds of the exchange.
const (
	chunkBudget   = 64               // chunks of credit, 16 MiB, that clients share beside the four of each
	slotBudget    = 1 << 30          // bytes of frames being received, where they are kept in memory
	diskSlots     = 64               // frames being received, where they are kept on disk: others wait
	repairAfter   = 2 * time.Second  // without progress until missing chunks are asked for
	giveUpAfter   = 90 * time.Second // without progress until a transfer fails
	decodeAhead   = 4                // deltas that may be decoded and not applied yet; of those on disk one
	outboxBytes   = 256 << 20        // of deltas that are not durable, per client half
	drainPatience = 20 * time.Second // without progress of a transfer, for everything to become durable
	drainLimit    = 10 * time.Minute // with it
	maxLoss       = 1e6              // nats per token that a frame can name
)

// Faults that end a node. The command line maps them to exit codes.
var (
	ErrUsage       = errors.New("usage")         // a setting makes no sense: mend it
	ErrUnreachable = errors.New("not reachable") // no node of the job answers: check address and network
	ErrMismatch    = errors.New("mismatch")      // manifest, job or protocol differ: use those of the job
	ErrDiverged    = errors.New("training diverged: lower the learning rate or look at the data")
)

// Config is what one machine decides for itself. What the machines of a job must
// agree on is in its manifest.
type Config struct {
	Dir       string   // the node's directory; made if missing
	Job       *job.Job // start this job, or continue it in Dir; nil: join one, or continue the one in Dir
	Seeds     []string // multiaddrs with /p2p/ID of nodes to join by
	JobID     string   // join this job on the LAN: its id or 16 digits of it
	Region    string
	Roles     []string                                                          // "gps", "lps", "worker"; empty: what the job needs
	Listen    []string                                                          // multiaddrs; empty: TCP and QUIC on all interfaces
	Data      string                                                            // corpus file, where it is not the embedded one
	Threads   int                                                               // that compute; 0: all that the process may use
	Recompute bool                                                              // see model.Options
	MDNS      bool                                                              // announce the node on the LAN, and find others there
	Dial      func(ctx context.Context, network, addr string) (net.Conn, error) // emulated links: TCP only
	Log       *slog.Logger

	cast      func(*Node) (role, machine) // plays in the place of the roles, in a measurement
	simulated []libp2p.Option             // see hostOptions; virtual time stands still beside a status socket, so there is none
}

// machine is a role.
type machine interface {
	Step(roles.Event) []roles.Action
}

// Node is one process of a job.
type Node struct {
	cfg   Config
	log   *slog.Logger
	dir   *directory
	key   crypto.PrivKey
	host  host.Host
	self  string // peer id
	start uint64 // how often this identity has started
	boot  uint64 // drawn at random at this start
	auto  bool   // the roles were left to the node

	job    *job.Job
	id     job.ID
	params int // of the model
	window int // deltas in an outbox
	codec  [tiers]codec.ID
	corpus *data.Corpus
	spool  *spool.Dir                // for frames on their way
	parts  parts                     // of models that clients have begun to take
	moved  atomic.Pointer[time.Time] // when a server last took a part of a delta

	traffic  *traffic
	pubsub   *pubsub.PubSub
	drops    *drops
	offences *offences
	boots    boots
	roster   *roster
	report   *report
	trainer  *trainer
	eval     *evaluation
	savers   [roleCount]saver
	pool     *tensor.Pool // of trainer and eval; nil where there are none

	events  chan event
	calls   chan func()
	faults  chan error
	drain   chan struct{}
	told    chan struct{} // wakes the heart beat
	stopped chan struct{} // closed when the loop has ended
	group   *errgroup.Group
	uplinks sync.WaitGroup
	open    [tiers]atomic.Pointer[downlink] // for streams; nil where this node does not serve

	// What follows is the loop's.
	machines  [roleCount]machine
	left      int // roles that have not finished
	down      [tiers]*downlink
	up        [tiers]*serverConn
	stopUp    [tiers]context.CancelFunc
	local     []func()
	fault     error
	draining  bool
	drained   time.Time // since when the node drains
	table     table
	final     roles.State // of the GPS at its end
	restored  [roleCount]*uint64
	contested time.Time  // since when another node speaks for the region of this LPS, as its GPS says
	linkUp    func(tier) // connects this node's client of a tier
}

// New opens the directory, starts the host and learns which job to work on: from
// cfg, from the directory, or from the network. It is not part of the job before Run.
func New(ctx context.Context, cfg Config) (_ *Node, err error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	n := &Node{
		cfg: cfg, log: cfg.Log, auto: len(cfg.Roles) == 0,
		events: make(chan event, eventQueue), calls: make(chan func()), faults: make(chan error, 1),
		drain: make(chan struct{}, 1), told: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
	if n.dir, err = openDir(cfg.Dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	if err := n.remember(); err != nil {
		return nil, err
	}
	if err := n.listen(); err != nil {
		return nil, err
	}
	if err := n.findJob(ctx); err != nil {
		return nil, err
	}
	n.takeRoles()
	if err := n.prepare(); err != nil {
		return nil, err
	}
	// Only a start that can succeed leaves its settings behind.
	if err := n.dir.claim(n.job.Canonical()); err != nil {
		return nil, err
	}
	return n, n.store()
}

// listen makes the node's identity and host.
func (n *Node) listen() (err error) {
	if n.key, err = n.dir.identity(); err != nil {
		return err
	}
	if n.start, err = n.dir.nextSession(); err != nil {
		return err
	}
	var boot [8]byte
	if _, err := rand.Read(boot[:]); err != nil {
		return err
	}
	n.boot = binary.LittleEndian.Uint64(boot[:])
	before, err := n.dir.listened()
	if err != nil {
		return err
	}
	n.offences = newOffences(n.log)
	n.host, n.traffic, err = newHost(hostOptions{
		Key: n.key, Gater: n.offences, Listen: n.cfg.Listen, Before: before, DialTCP: n.cfg.Dial, simulated: n.cfg.simulated,
		UserAgent: fmt.Sprintf("halos/%d", wire.ProtocolVersion), Log: n.log,
	})
	if err != nil {
		return err
	}
	n.self = n.host.ID().String()
	n.roster = newRoster(n.host.ID())
	return n.dir.rememberListen(n.host.Network().ListenAddresses())
}

// prepare makes what the roles need: the corpus, their state, the records.
func (n *Node) prepare() (err error) {
	n.params = n.job.Model.NumParams()
	n.spool = &spool.Dir{Path: n.dir.path, Above: spoolAbove}
	if err := n.spool.Clean(); err != nil {
		return fmt.Errorf("remove what an earlier run left: %w", err)
	}
	n.window = min(max(4, outboxBytes/(4*n.params)), 32)
	for t, name := range []string{n.job.Codec.Region, n.job.Codec.Global} {
		if n.codec[t], err = codec.Parse(name); err != nil {
			return err
		}
	}
	threads := n.cfg.Threads
	if threads > 0 {
		runtime.GOMAXPROCS(threads + 1) // one more for the network
	} else {
		threads = runtime.GOMAXPROCS(0)
	}
	if n.has(worker) || n.has(gps) {
		n.pool = tensor.NewPool(threads)
	}
	if n.cfg.cast != nil {
		r, m := n.cfg.cast(n)
		n.machines[r], n.left = m, 1
	} else if n.machines, err = n.makeRoles(); err != nil {
		return err
	}
	n.report, err = newReport(n)
	return err
}

// close releases what New has opened.
func (n *Node) close() error {
	n.pool.Close()
	var errs []error
	if n.report != nil {
		errs = append(errs, n.report.close())
	}
	if n.host != nil {
		errs = append(errs, n.host.Close())
	}
	return errors.Join(append(errs, n.dir.Close())...)
}

// JobID is the job's id, 64 hex digits.
func (n *Node) JobID() string { return n.id.String() }

// JoinAddrs are the multiaddrs by which other machines can join, best first.
func (n *Node) JoinAddrs() []string { return dialableAddrs(n.host) }

// Drain asks the node to deliver what it holds and stop.
func (n *Node) Drain() {
	select {
	case n.drain <- struct{}{}:
	default:
	}
}

// fail ends the node with err.
func (n *Node) fail(err error) {
	select {
	case n.faults <- err:
	default: // it is ending already
	}
}

// Run takes part in the job until it is complete, the node has drained, ctx ends or
// going on is pointless. It ends the node: New makes another.
func (n *Node) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, n.close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n.group, _ = errgroup.WithContext(ctx)
	n.group.Go(func() error { boundHeap(ctx); return nil })
	n.offences.enforce(func(p peer.ID) {
		n.group.Go(func() error {
			if err := n.host.Network().ClosePeer(p); err != nil {
				n.log.Debug("connection not closed well", "peer", p, "err", err)
			}
			return nil
		})
	})
	if err := n.meetOthers(ctx); err != nil {
		cancel()
		return errors.Join(err, n.group.Wait())
	}
	err = n.loop(ctx)
	n.report.stopped(n, err)
	for _, stop := range n.stopUp {
		if stop != nil {
			stop()
		}
	}
	n.uplinks.Wait() // servers hear the last words
	cancel()
	for _, p := range []string{wire.AckProtocol, wire.ModelProtocol, wire.JobProtocol} {
		n.host.RemoveStreamHandler(protocolID(p))
	}
	closed := n.host.Network().Close() // ends the streams that handlers read
	err = errors.Join(err, closed, n.group.Wait())
	n.parts.drop()
	return errors.Join(err, n.spool.Close())
}
