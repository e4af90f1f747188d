package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"halos/checkpoint"
	"halos/data"
	"halos/job"
	"halos/model"
	"halos/roles"
	"halos/train"
	"halos/wire"
)

const placeFile = "node.json"

// place is what a node remembers of its last start, so that it continues without
// flags.
type place struct {
	Region string   `json:"region"`
	Roles  []string `json:"roles"`
	Auto   bool     `json:"auto"`
	Seeds  []string `json:"seeds"`
	Data   string   `json:"data,omitempty"`
}

// remember fills in settings from the last start where none are given.
func (n *Node) remember() error {
	raw, err := readSmall(filepath.Join(n.dir.path, placeFile))
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = []byte("{}"), nil
	}
	if err != nil {
		return err
	}
	var last place
	if err := json.Unmarshal(raw, &last); err != nil {
		return fmt.Errorf("%s of %s: %w: remove the file and name --region and --role again", placeFile, n.dir.path, err)
	}
	c := &n.cfg
	if c.Region == "" {
		c.Region = last.Region
	}
	if last.Region != "" && c.Region != last.Region {
		return fmt.Errorf("%w: directory %s belongs to region %s, not to %s: use another --dir for that region",
			ErrMismatch, n.dir.path, last.Region, c.Region)
	}
	if len(c.Roles) == 0 {
		c.Roles = last.Roles
		n.auto = last.Auto || len(last.Roles) == 0
	}
	if len(c.Seeds) == 0 {
		c.Seeds = last.Seeds
	}
	if c.Data == "" {
		c.Data = last.Data
	}
	if c.Region == "" {
		return fmt.Errorf("%w: no region: name one with --region", ErrUsage)
	}
	if err := wire.CheckRegion(c.Region); err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	for _, r := range c.Roles {
		if !slices.Contains([]string{worker.String(), lps.String(), gps.String()}, r) {
			return fmt.Errorf("%w: role %q: there are gps, lps and worker", ErrUsage, r)
		}
	}
	return nil
}

// store keeps the settings for the next start.
func (n *Node) store() error {
	raw, err := json.Marshal(place{n.cfg.Region, n.cfg.Roles, n.auto, n.cfg.Seeds, n.cfg.Data})
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(n.dir.path, placeFile), raw)
}

// findJob learns the job from the settings, the directory or another node, in this
// order, and makes the directory its own.
func (n *Node) findJob(ctx context.Context) error {
	known, err := n.dir.job()
	if err != nil {
		return err
	}
	switch {
	case n.cfg.Job != nil:
		n.job = n.cfg.Job
		if err := n.job.Validate(); err != nil {
			return fmt.Errorf("%w: manifest: %w", ErrUsage, err)
		}
	case known != nil && len(n.cfg.Seeds) == 0 && n.cfg.JobID == "":
		if n.job, err = job.Parse(known); err != nil {
			return fmt.Errorf("%w: the job of %s: %w", ErrMismatch, n.dir.path, err)
		}
	default:
		if err := n.fetchJob(ctx, known); err != nil {
			return err
		}
	}
	n.id = n.job.ID()
	if known != nil && !bytes.Equal(known, n.job.Canonical()) {
		return n.dir.claim(n.job.Canonical()) // says what is wrong
	}
	return nil
}

// takeRoles settles which roles this node holds.
func (n *Node) takeRoles() {
	if len(n.cfg.Roles) == 0 {
		_, hasGPS := n.roster.server(globalTier, n.cfg.Region)
		_, hasLPS := n.roster.server(regionTier, n.cfg.Region)
		n.cfg.Roles = []string{worker.String()}
		if !hasLPS {
			n.cfg.Roles = append(n.cfg.Roles, lps.String())
		}
		if !hasGPS && len(n.cfg.Seeds) == 0 && n.cfg.JobID == "" {
			n.cfg.Roles = append(n.cfg.Roles, gps.String())
		}
	}
}

func (n *Node) has(r role) bool { return slices.Contains(n.cfg.Roles, r.String()) }

func (n *Node) roleNames() []string { return slices.Clone(n.cfg.Roles) }

// makeRoles makes the roles of this node, from their snapshots where there are any.
func (n *Node) makeRoles() (ms [roleCount]machine, err error) {
	trains := n.job.Workload == job.Train
	if trains && (n.has(worker) || n.has(gps)) {
		if n.corpus, err = data.Open(n.job.Source, n.cfg.Data); err != nil {
			return ms, fmt.Errorf("%w: corpus: %w", ErrUsage, err)
		}
		if err := n.corpus.Check(n.job.Context(), n.job.Batch); err != nil {
			return ms, fmt.Errorf("%w: corpus: %w", ErrUsage, err)
		}
	}
	term := roles.Term{Counter: n.start, Leader: n.self}
	if n.has(gps) {
		params := make([]float32, n.params)
		if trains {
			model.Init(params, n.job.Model, n.job.Seed)
		}
		g := roles.NewGPS(n.job.Config, term, params, n.job.Samples(), n.window)
		if err := n.restore(gps, g.Restore); err != nil {
			return ms, err
		}
		var measure *train.Evaluator
		if trains {
			measure = train.NewEvaluator(n.job.Model, n.corpus, n.job.Context(), evalWindows, model.Options{Pool: n.pool})
		}
		n.eval = &evaluation{with: measure}
		ms[gps] = g
	}
	if n.has(lps) {
		l := roles.NewLPS(n.job.Config, n.cfg.Region, n.self, term, n.params, n.window)
		if err := n.restore(lps, l.Restore); err != nil {
			return ms, err
		}
		ms[lps] = l
	}
	if n.has(worker) {
		ms[worker] = roles.NewWorker(n.self, n.start, n.params, n.window)
		n.trainer = newTrainer(n, n.localSteps())
	}
	for _, m := range ms {
		if m != nil {
			n.left++
		}
	}
	return ms, nil
}

// localSteps are what the job's workload asks of a worker.
func (n *Node) localSteps() localSteps {
	if n.job.Workload == job.Ledger {
		return &train.Ledger{Batch: n.job.Batch, Context: n.job.Context(), Pace: train.LedgerPace}
	}
	return train.New(n.job.TrainConfig(), n.corpus, model.Options{Pool: n.pool, Recompute: n.cfg.Recompute})
}

// snapshotDir is where a server of this node keeps its snapshots.
func (n *Node) snapshotDir(r role) string { return filepath.Join(n.dir.path, r.String()) }

// restore continues a server from its newest good snapshot, if there is one.
func (n *Node) restore(r role, into func(roles.State) error) error {
	s, path, err := checkpoint.Load(n.snapshotDir(r))
	if errors.Is(err, checkpoint.ErrNone) || errors.Is(err, os.ErrNotExist) {
		n.restored[r] = new(uint64)
		return nil
	}
	if err != nil {
		return fmt.Errorf("snapshots of the %s in %s: %w: move the folder away to begin without them", r, n.snapshotDir(r), err)
	}
	if s.Skipped != nil {
		n.log.Warn("a newer snapshot is damaged", "using", path, "err", s.Skipped)
	}
	state, err := n.stateOf(s)
	if err == nil {
		err = into(state)
	}
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", path, err)
	}
	n.log.Info("continuing", "role", r, "version", state.Server.Version, "from", path)
	n.restored[r] = &state.Server.Version
	return nil
}

// meetOthers joins topics, opens streams and connects the roles.
func (n *Node) meetOthers(ctx context.Context) (err error) {
	topics := []string{
		n.deltaTopic(regionTier), n.deltaTopic(globalTier),
		wire.RegionControl(n.id.Short(), n.cfg.Region), wire.GlobalControl(n.id.Short()),
	}
	if n.pubsub, n.drops, err = newPubsub(ctx, n.host, topics, chunkBudget); err != nil {
		return err
	}
	n.table = newTable(n)
	for t := range tiers {
		if n.machines[t.server()] == nil {
			continue
		}
		if n.down[t], err = n.serve(ctx, t); err != nil {
			return err
		}
		n.open[t].Store(n.down[t])
	}
	handle := func(p string, f func(context.Context, network.Stream)) {
		n.host.SetStreamHandler(protocolID(p), func(s network.Stream) {
			n.group.Go(func() error { f(ctx, s); return nil })
		})
	}
	handle(wire.AckProtocol, n.handleAck)
	handle(wire.ModelProtocol, n.handleModel)
	handle(wire.JobProtocol, n.handleJob)
	if err := n.joinControl(ctx); err != nil {
		return err
	}
	if n.trainer != nil {
		n.group.Go(func() error { n.trainer.run(ctx); return nil })
	}
	if n.cfg.simulated == nil {
		n.group.Go(func() error { return n.serveStatus(ctx) })
	}
	n.announceJob(ctx)
	n.linkUp = func(t tier) { n.join(ctx, t) }
	for t := range tiers {
		if n.machines[t.client()] != nil {
			n.linkUp(t)
		}
	}
	n.report.started(n)
	return nil
}

// join connects the client of tier t to its server, here or on the network.
func (n *Node) join(ctx context.Context, t tier) {
	if n.serves(t) {
		n.local = append(n.local, func() { n.step(t.client(), roles.Connected{}, nil) })
		return
	}
	ctx, stop := context.WithCancel(ctx)
	n.stopUp[t] = stop
	n.uplinks.Go(func() { n.connect(ctx, t) })
}

// resign gives up being the LPS: another node of the region is. The worker here goes
// on with that one.
func (n *Node) resign() {
	n.log.Info("the region has a server already, working for it", "region", n.cfg.Region)
	n.stopUp[globalTier]()
	n.machines[lps] = nil
	n.left--
	n.closeDown(regionTier)
	n.down[regionTier] = nil
	n.cfg.Roles = slices.DeleteFunc(n.cfg.Roles, func(r string) bool { return r == lps.String() })
	n.step(worker, roles.ServerGone{}, nil)
	n.linkUp(regionTier)
}

func (n *Node) deltaTopic(t tier) string {
	if t == regionTier {
		return wire.RegionDelta(n.id.Short(), n.cfg.Region)
	}
	return wire.GlobalDelta(n.id.Short())
}

func protocolID(p string) protocol.ID { return protocol.ID(p) }
