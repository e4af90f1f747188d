package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"halos/checkpoint"
	"halos/model"
	"halos/roles"
)

// stateful is a role whose state survives the process.
type stateful interface{ State() roles.State }

// saver makes the states of one server durable, one at a time.
type saver struct {
	copies copies // the loop's until a snapshot begins, the writer's until it is done
	alarm  alarm  // under the report's lock
}

// snapshot copies a server's state, and makes the copy durable beside the loop.
func (n *Node) snapshot(r role, id uint64) {
	began := time.Now()
	s, err := n.snapshotOf(n.machines[r].(stateful).State(), &n.savers[r].copies)
	if err != nil {
		n.fail(err)
		return
	}
	n.group.Go(func() error {
		// A kill must not leave a state on disk that holds deltas of which no record tells. Records that
		// cannot be written hold no state up, though.
		if !n.report.journal.flush(journalPatience) {
			n.log.Debug("a snapshot goes ahead of the records of what it holds", "role", r, "version", s.Version)
		}
		path, err := checkpoint.Save(n.snapshotDir(r), s)
		if err != nil {
			n.unsaved(r, err)
		} else {
			n.saved(r, s.Version, path)
		}
		n.post(event{to: r, ev: roles.SnapshotDone{ID: id, Failed: err != nil, Ticks: ticksIn(time.Since(began))}})
		return nil
	})
}

// ticksIn counts the ticks that d fills or begins.
func ticksIn(d time.Duration) int {
	const tick = time.Second / roles.TicksPerSecond
	return int((d + tick - 1) / tick)
}

// saved records a snapshot, and the end of the alarm that it ends.
func (n *Node) saved(r role, version uint64, path string) {
	n.report.append(Record{Event: EventCheckpoint, Tier: tierAbove(r).String(), Version: version, Path: path})
	n.report.mu.Lock()
	over := n.savers[r].alarm.clear(version)
	n.report.mu.Unlock()
	if over.failed > 0 {
		n.log.Info("snapshots succeed again", "role", r, "version", version, "after", time.Since(over.since).Round(time.Second), "failed", over.failed)
	}
}

// unsaved raises the alarm: at once, and from time to time while it lasts.
func (n *Node) unsaved(r role, err error) {
	dir := n.snapshotDir(r)
	reason, remedy := snapshotFault(dir, err)
	n.report.mu.Lock()
	tell := n.savers[r].alarm.raise(time.Now(), reason)
	a := n.savers[r].alarm
	n.report.mu.Unlock()
	if !tell {
		return
	}
	n.report.append(Record{Event: EventAlarm, Tier: tierAbove(r).String(), Version: a.durable, Reason: reason})
	n.log.Error("snapshot failed: training goes on, deltas stay with their senders until one succeeds",
		"role", r, "err", reason, "do", remedy, "durable_version", a.durable, "failed", a.failed, "since", a.since.Format(time.TimeOnly))
}

// snapshotOf copies a state into the form it has on disk. The copy is in memory of c.
func (n *Node) snapshotOf(state roles.State, c *copies) (checkpoint.Snapshot, error) {
	counters, err := json.Marshal(state)
	if err != nil {
		return checkpoint.Snapshot{}, fmt.Errorf("encode state: %w", err)
	}
	config, err := n.job.Model.HF()
	if err != nil {
		return checkpoint.Snapshot{}, err
	}
	vectors := [][]float32{state.Params}
	for _, v := range state.Vectors {
		vectors = append(vectors, v.Values)
	}
	vectors = c.take(vectors)
	s := checkpoint.Snapshot{
		Version: state.Server.Version, Config: config, Job: n.job.Canonical(), State: counters,
		Model: modelTensors(n.job.Model, vectors[0]),
	}
	for i, v := range state.Vectors {
		s.Vectors = append(s.Vectors, checkpoint.Tensor{Name: v.Name, Shape: []int{len(v.Values)}, Data: vectors[i+1]})
	}
	return s, nil
}

// modelTensors names the parts of a model's parameters.
func modelTensors(c model.Config, params []float32) []checkpoint.Tensor {
	var out []checkpoint.Tensor
	for _, p := range c.Params() {
		out = append(out, checkpoint.Tensor{Name: p.Name, Shape: p.Shape, Data: params[p.Offset : p.Offset+p.Len()]})
	}
	return out
}

// stateOf turns a snapshot of this job back into a state.
func (n *Node) stateOf(s checkpoint.Snapshot) (roles.State, error) {
	if string(s.Job) != string(n.job.Canonical()) {
		return roles.State{}, errors.New("it is of another job")
	}
	var state roles.State
	if err := json.Unmarshal(s.State, &state); err != nil {
		return roles.State{}, fmt.Errorf("counters: %w", err)
	}
	state.Params = make([]float32, n.params)
	if err := checkpoint.Assign(modelTensors(n.job.Model, state.Params), s.Model); err != nil {
		return roles.State{}, err
	}
	for _, v := range s.Vectors {
		state.Vectors = append(state.Vectors, roles.Vector{Name: v.Name, Values: v.Data})
	}
	return state, nil
}
