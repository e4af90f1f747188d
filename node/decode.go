package node

import (
	"fmt"

	"halos/bulk"
	"halos/codec"
	"halos/data"
	"halos/roles"
	"halos/tensor"
	"halos/wire"
)

// decode turns a frame into the role's event and measures the norm. A frame that
// cannot be decoded becomes a delta without values: its seq must get a verdict, or
// the client's later deltas would wait for it for ever. buffer is the values' memory,
// to be reused after the Step.
func (d *downlink) decode(c *clientConn, ev bulk.Event) (delta roles.Delta, buffer []float32) {
	if c == nil {
		return roles.Delta{}, nil
	}
	delta.Name = roles.Name{Client: c.client, Session: ev.Session, Seq: ev.Seq}
	w, err := wire.ParseDelta(ev.Frame, d.n.params)
	id := codec.ID(w.Codec)
	if err == nil && (id != d.n.codec[d.tier] || w.Elements != uint64(d.n.params)) {
		err = fmt.Errorf("%d elements in %s, the job has %d in %s", w.Elements, id, d.n.params, d.n.codec[d.tier])
	}
	if err == nil {
		buffer = d.vector()
		err = id.Decode(buffer, w.Payload)
	}
	if err != nil {
		d.n.offences.note(c.peer, fmt.Errorf("delta %d: %w", ev.Seq, err))
		return delta, buffer
	}
	for _, r := range w.Ranges {
		delta.Samples = append(delta.Samples, data.Interval{Start: r.Start, End: r.End})
	}
	delta.Base = roles.ModelID{Term: roles.Term{Counter: w.BaseTerm, Leader: d.n.self}, Version: w.BaseVersion}
	delta.Steps, delta.Loss = uint64(w.Steps), w.Loss
	delta.Values, delta.Norm = buffer, tensor.Norm(buffer)
	return delta, buffer
}

func (d *downlink) vector() []float32 {
	select {
	case v := <-d.vectors:
		return v
	default:
		return make([]float32, d.n.params)
	}
}

// encode is the frame of a delta. The loss of a delta that diverged is not finite,
// which no frame may say; its values tell.
func (n *Node) encode(t tier, d roles.Delta) ([]byte, error) {
	c := n.codec[t]
	loss := d.Loss
	if loss != loss || loss > maxLoss {
		loss = maxLoss
	}
	w := wire.Delta{
		Codec: uint8(c), Steps: uint32(d.Steps), Tokens: d.Samples.Len() * uint64(n.job.Context()),
		BaseTerm: d.Base.Term.Counter, BaseVersion: d.Base.Version, Elements: uint64(len(d.Values)), Loss: loss,
	}
	for _, iv := range d.Samples {
		w.Ranges = append(w.Ranges, wire.Interval{Start: iv.Start, End: iv.End})
	}
	w.Payload = c.Append(make([]byte, 0, c.EncodedLen(len(d.Values))), d.Values)
	return w.AppendBinary(make([]byte, 0, wire.DeltaLen(len(w.Ranges), len(w.Payload))))
}
