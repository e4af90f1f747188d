package bulk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// post is a message on the topic.
type post struct {
	from  string
	chunk []byte
}

// Several goroutines bring the chunks of every client, as validators do, while
// others publish, tick, and act on events. Run it with -race.
func TestManyGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients, frames, validators = 6, 30, 4
		ctx, cancel := context.WithCancel(t.Context())
		r := newReceiver(testConfig, testChunk)
		topic := make(chan post, 2*testConfig.ChunkBudget)
		var all sync.WaitGroup
		for i := range validators {
			rng := rand.New(rand.NewPCG(uint64(i), 0))
			all.Go(func() { validate(ctx, t, r, rng, topic) })
		}
		all.Go(func() { tick(ctx, r) })
		senders := make(map[string]*Sender)
		for i := range clients {
			name, s := fmt.Sprint("client", i), newSender(testChunk)
			senders[name] = s
			all.Go(func() { publish(ctx, name, s, topic) })
			for seq := range frames {
				s.Offer(1, uint64(seq), frame(name, seq, 1+seq*80))
			}
			reconnect(t, r, name, s)
		}

		arrived := make(map[string]bool)
		for rng := rand.New(rand.NewPCG(9, 9)); len(arrived) < clients*frames; {
			<-r.Ready()
			for _, e := range r.Events() {
				s := senders[e.Peer]
				switch {
				case e.Err != nil:
					t.Fatalf("transfer %d of %s: %v", e.Seq, e.Peer, e.Err)
				case e.Frame != nil:
					if want := frame(e.Peer, int(e.Seq), 1+int(e.Seq)*80); !bytes.Equal(e.Frame, want) {
						t.Errorf("frame %d of %s differs", e.Seq, e.Peer)
					}
					arrived[fmt.Sprint(e.Peer, e.Seq)] = true
					s.Forget(e.Seq)
					r.Release(e.Frame)
				default:
					s.Credit(e.Send.GetCredit())
					s.Missing(e.Send.GetMissing())
				}
			}
			if rng.IntN(10) == 0 {
				name := fmt.Sprint("client", rng.IntN(clients))
				reconnect(t, r, name, senders[name])
			}
		}
		cancel()
		all.Wait()
		if err := r.audit(); err != nil {
			t.Error(err)
		}
	})
}

// publish is the goroutine of a client that feeds its topic.
func publish(ctx context.Context, name string, s *Sender, topic chan<- post) {
	for {
		if chunk, ok := s.Next(); ok {
			select {
			case topic <- post{name, chunk}:
			case <-ctx.Done():
				return
			}
			continue
		}
		select {
		case <-s.Ready():
		case <-ctx.Done():
			return
		}
	}
}

// validate loses one chunk in twenty and hands in the others.
func validate(ctx context.Context, t *testing.T, r *Receiver, rng *rand.Rand, topic <-chan post) {
	for {
		select {
		case p := <-topic:
			if rng.IntN(20) == 0 {
				continue
			}
			if err := r.Chunk(p.from, p.chunk, time.Now()); errors.Is(err, ErrGarbage) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrMismatch) {
				t.Error(err)
			}
		case <-ctx.Done():
			return
		}
	}
}

func tick(ctx context.Context, r *Receiver) {
	ticker := time.NewTicker(testConfig.RepairAfter / 5)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			r.Tick(now)
		case <-ctx.Done():
			return
		}
	}
}

func reconnect(t *testing.T, r *Receiver, name string, s *Sender) {
	r.Drop(name)
	for _, a := range s.Reset(0) {
		if err := r.Announce(name, a, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}
