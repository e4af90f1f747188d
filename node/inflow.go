package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"halos/bulk"
	"halos/codec"
	"halos/roles"
	"halos/tensor"
	"halos/wire"
)

// inflow takes in the models of a tier's server, over all connections to it.
type inflow struct {
	rx     *bulk.Receiver
	params func() []float32 // [n] decoded into, one model at a time

	mu    sync.Mutex
	heads [2]wire.ModelHeader // the latest announced: one on its way, one not yet taken
}

func newInflow(n *Node) *inflow {
	return &inflow{
		rx:     bulk.NewReceiver(n.intake(modelCodec.EncodedLen(n.params))),
		params: sync.OnceValue(func() []float32 { return touched(n.params) }),
	}
}

// announced remembers what a header says of its model.
func (f *inflow) announced(h wire.ModelHeader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.heads[0].ID != h.ID {
		f.heads[1] = f.heads[0]
	}
	f.heads[0] = h
}

// head is the header of a model that has arrived.
func (f *inflow) head(a bulk.Arrival) (wire.ModelHeader, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.heads {
		if h.ID == a.ID {
			return h, true
		}
	}
	return wire.ModelHeader{}, false
}

// receive reads the model stream until it ends.
func (c *serverConn) receive() error {
	in := bufio.NewReaderSize(c.models, wire.ChunkBytes)
	size, from := modelCodec.EncodedLen(c.n.params), c.peer.String()
	for {
		p, err := wire.ReadPiece(in, c.n.params, size)
		switch {
		case err != nil:
		case p.Header != nil:
			err = c.expect(*p.Header)
		case p.Seal != nil:
			err = c.inflow.rx.Seal(from, p.Seal, time.Now())
		default:
			err = c.inflow.rx.Chunk(from, p.Chunk, time.Now())
			switch {
			case err == nil:
				c.n.alive(c.peer)
			case errors.Is(err, bulk.ErrDuplicate), errors.Is(err, bulk.ErrUnannounced): // of a transfer that was given up
				err = nil
			case errors.Is(err, bulk.ErrCredit):
				c.n.offences.note(c.peer, err)
				err = nil
			}
		}
		if errors.Is(err, wire.ErrFrame) || errors.Is(err, wire.ErrTooLarge) || errors.Is(err, bulk.ErrCorrupt) || errors.Is(err, bulk.ErrMismatch) {
			c.n.offences.note(c.peer, err)
		}
		if err == io.EOF {
			return errors.New("the server closed the model stream")
		}
		if err != nil {
			return fmt.Errorf("model stream: %w", err)
		}
	}
}

// expect begins to take a model in.
func (c *serverConn) expect(h wire.ModelHeader) error {
	if id := codec.ID(h.Codec); id != modelCodec || h.Elements != uint64(c.n.params) || h.Length != uint64(id.EncodedLen(c.n.params)) {
		return fmt.Errorf("%w: model of %d elements in %s, the job has %d in %s", wire.ErrFrame, h.Elements, id, c.n.params, modelCodec)
	}
	c.inflow.announced(h)
	return c.inflow.rx.Announce(c.peer.String(), h.Announce(), time.Now())
}

// follow tells the server what this client wants of models, and how their chunks
// arrive.
func (c *serverConn) follow(ctx context.Context) error {
	rx := c.inflow.rx
	tick := time.NewTicker(pumpEvery)
	defer tick.Stop()
	for {
		select {
		case f := <-c.follows:
			m := &wire.Follow{
				Tier: c.tier.wire(), Region: c.n.cfg.Region, Contains: f.Contains,
				Term: termMessage(f.Have.Term), Version: f.Have.Version, Partial: rx.Partial(c.peer.String()),
			}
			if err := c.tell(&wire.FromFollower{Body: &wire.FromFollower_Follow{Follow: m}}); err != nil {
				return err
			}
		case <-rx.Ready():
		case now := <-tick.C:
			rx.Tick(now)
		case <-ctx.Done():
			return nil
		}
		for _, ev := range rx.Events() {
			if err := c.pass(ev); err != nil {
				return err
			}
		}
	}
}

// pass acts on what the receiver of models says.
func (c *serverConn) pass(ev bulk.Event) error {
	switch {
	case ev.Peer != c.peer.String(): // of an earlier server
	case ev.Err != nil:
		c.n.gaveUp(c.peer, ev)
		return fmt.Errorf("model %d: %w", ev.Seq, ev.Err)
	case ev.Wait != nil:
		c.n.log.Warn("no room for a model", "err", ev.Wait)
	case ev.Send.GetCredit() != nil:
		return c.tell(&wire.FromFollower{Body: &wire.FromFollower_Credit{Credit: ev.Send.GetCredit()}})
	case ev.Send.GetMissing() != nil:
		return c.tell(&wire.FromFollower{Body: &wire.FromFollower_Missing{Missing: ev.Send.GetMissing()}})
	}
	return nil
}

func (c *serverConn) tell(m *wire.FromFollower) error {
	if err := c.models.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
		return err
	}
	if err := wire.WriteMessage(c.models, m); err != nil {
		return fmt.Errorf("model stream: %w", err)
	}
	return nil
}

// adopt decodes the models that have arrived and hands them to the loop, which copies
// them.
func (c *serverConn) adopt(ctx context.Context) error {
	rx := c.inflow.rx
	params := c.inflow.params()
	taken := make(chan struct{}, 1)
	for {
		a, ok := rx.Take()
		if !ok {
			select {
			case <-rx.Complete():
			case <-ctx.Done():
				return nil
			}
			continue
		}
		if a.Peer != c.peer.String() { // an earlier server's
			c.n.release(rx, a)
			continue
		}
		h, ok := c.inflow.head(a)
		err := errors.New("its header is not known any more")
		if ok {
			err = readVector(params, modelCodec, a.Reader())
		}
		c.n.release(rx, a)
		if norm := tensor.Norm(params); err == nil && (math.IsNaN(norm) || math.IsInf(norm, 0)) {
			err = errors.New("it has values that are not finite")
			c.n.offences.note(c.peer, fmt.Errorf("model version %d: %w", a.Seq, err))
		}
		if err != nil {
			return fmt.Errorf("model version %d of %s is not taken: %w", a.Seq, a.Peer, err)
		}
		m := roles.Model{
			Client: c.n.clientName(c.tier), Contains: h.Contains, Committed: h.Committed, Params: params,
			ID: roles.ModelID{Term: roles.Term{Counter: h.Term, Leader: a.Peer}, Version: h.Version},
		}
		if !c.n.post(event{to: c.tier.client(), ev: m, up: c, done: func() { taken <- struct{}{} }}) {
			return nil
		}
		select {
		case <-taken:
		case <-ctx.Done():
			return nil
		}
	}
}
