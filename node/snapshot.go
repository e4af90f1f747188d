package node

import (
	"encoding/json"
	"errors"
	"fmt"

	"halos/checkpoint"
	"halos/model"
	"halos/roles"
)

// stateful is a role whose state survives the process.
type stateful interface{ State() roles.State }

// snapshot copies a server's state, and makes the copy durable beside the loop.
func (n *Node) snapshot(r role, id uint64) {
	s, err := n.snapshotOf(n.machines[r].(stateful).State())
	if err != nil {
		n.fail(err)
		return
	}
	n.group.Go(func() error {
		path, err := checkpoint.Save(n.snapshotDir(r), s)
		if err != nil {
			n.log.Error("snapshot failed: nothing more becomes durable until one succeeds", "role", r, "err", err)
		} else {
			n.report.append(Record{Event: EventCheckpoint, Tier: tierAbove(r).String(), Version: s.Version, Path: path})
		}
		n.post(event{to: r, ev: roles.SnapshotDone{ID: id, Failed: err != nil}})
		return nil
	})
}

// snapshotOf copies a state into the form it has on disk.
func (n *Node) snapshotOf(state roles.State) (checkpoint.Snapshot, error) {
	counters, err := json.Marshal(state)
	if err != nil {
		return checkpoint.Snapshot{}, fmt.Errorf("encode state: %w", err)
	}
	config, err := n.job.Model.HF()
	if err != nil {
		return checkpoint.Snapshot{}, err
	}
	s := checkpoint.Snapshot{
		Version: state.Server.Version, Config: config, Job: n.job.Canonical(), State: counters,
		Model: modelTensors(n.job.Model, append([]float32(nil), state.Params...)),
	}
	for _, v := range state.Vectors {
		s.Vectors = append(s.Vectors, checkpoint.Tensor{
			Name: v.Name, Shape: []int{len(v.Values)}, Data: append([]float32(nil), v.Values...),
		})
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
