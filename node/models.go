package node

import (
	"errors"

	"halos/roles"
	"halos/wire"
)

// modelFrame is one version of a server's model, encoded once for all clients.
type modelFrame struct {
	*frame
	version roles.ModelID
	header  wire.ModelHeader
}

// encoded is the frame of model m. Of a new version it takes a copy; the encoding
// is left to another goroutine.
func (d *downlink) encoded(m roles.Model) *modelFrame {
	if d.newest != nil && d.newest.version == m.ID && !d.newest.failed.Load() {
		return d.newest
	}
	size := modelCodec.EncodedLen(len(m.Params))
	f := &modelFrame{frame: d.n.newFrame(size), version: m.ID, header: wire.ModelHeader{
		Codec: uint8(modelCodec), Term: m.ID.Term.Counter, Version: m.ID.Version,
		Elements: uint64(len(m.Params)), Length: uint64(size),
	}}
	f.header.ID = f.id
	values := d.copyOf(m.Params)
	f.hold()
	d.n.group.Go(func() error {
		err := f.fill(nil, modelCodec, values)
		d.putCopy(values)
		if err = errors.Join(err, f.Close()); err != nil {
			d.n.log.Warn("a model was not spooled: who follows it gets the next", "version", m.ID.Version, "err", err)
		}
		return nil
	})
	d.setNewest(f)
	return f
}

// setNewest replaces the newest frame, nil for none.
func (d *downlink) setNewest(f *modelFrame) {
	if d.newest != nil {
		d.newest.close()
	}
	d.newest = f
}

// copyOf is a copy of a model, in kept memory if there is some.
func (d *downlink) copyOf(params []float32) []float32 {
	var values []float32
	select {
	case values = <-d.spare:
	default:
		values = make([]float32, len(params))
	}
	copyBlocks(blocksOf(values, params))
	return values
}

func (d *downlink) putCopy(values []float32) {
	select {
	case d.spare <- values:
	default:
	}
}
