package node

import (
	"bufio"
	"context"
	"errors"
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
// to be recycled after the Step. An error is no verdict: this node's disk is to blame,
// or ctx has ended.
func (d *downlink) decode(ctx context.Context, c *clientConn, a bulk.Arrival) (delta roles.Delta, buffer []float32, err error) {
	delta.Name = roles.Name{Client: c.client, Session: a.Session, Seq: a.Seq}
	from := bufio.NewReaderSize(a.Reader(), wire.DeltaLen(wire.MaxRanges, 0))
	head, err := from.Peek(min(a.Bytes, wire.DeltaLen(wire.MaxRanges, 0)))
	if err != nil {
		return delta, nil, err
	}
	w, err := wire.ParseDelta(head, d.n.params)
	id, payload := codec.ID(w.Codec), wire.DeltaLen(len(w.Ranges), 0)
	switch {
	case err != nil:
	case id != d.n.codec[d.tier] || w.Elements != uint64(d.n.params):
		err = fmt.Errorf("%d elements in %s, the job has %d in %s", w.Elements, id, d.n.params, d.n.codec[d.tier])
	case a.Bytes-payload != id.EncodedLen(d.n.params):
		err = fmt.Errorf("%d bytes for %d elements in %s", a.Bytes-payload, w.Elements, id)
	default:
		if buffer = d.vector(ctx); buffer == nil {
			return delta, nil, ctx.Err()
		}
		_, _ = from.Discard(payload) // which was peeked at
		err = readVector(buffer, id, from)
	}
	if errors.Is(err, bulk.ErrSlot) {
		return delta, buffer, err
	}
	if err != nil {
		d.n.offences.note(c.peer, fmt.Errorf("delta %d: %w", a.Seq, err))
		return delta, buffer, nil
	}
	for _, r := range w.Ranges {
		delta.Samples = append(delta.Samples, data.Interval{Start: r.Start, End: r.End})
	}
	delta.Base = roles.ModelID{Term: roles.Term{Counter: w.BaseTerm, Leader: d.n.self}, Version: w.BaseVersion}
	delta.Steps, delta.Loss = uint64(w.Steps), w.Loss
	delta.Values, delta.Norm = buffer, tensor.Norm(buffer)
	return delta, buffer, nil
}

// vector is memory for a delta's values, of which there is so much and no more: it
// waits until the loop is through with another delta. nil means that ctx has ended.
func (d *downlink) vector(ctx context.Context) []float32 {
	select {
	case v := <-d.vectors:
		if v == nil {
			v = touched(d.n.params)
		}
		return v
	case <-ctx.Done():
		return nil
	}
}

// recycle takes the memory of a delta back, nil if it had none.
func (d *downlink) recycle(v []float32) {
	if v != nil {
		d.vectors <- v
	}
}

// decodeBuffers are the vectors of a downlink, to be made when they are needed: where
// frames are small, some, so that decoding goes on while deltas are applied.
func decodeBuffers(maxFrame int) chan []float32 {
	n := decodeAhead
	if maxFrame > spoolAbove {
		n = 1
	}
	buffers := make(chan []float32, n)
	for range n {
		buffers <- nil
	}
	return buffers
}
