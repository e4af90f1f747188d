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
		all.Go(func() { work(ctx, r) })
		senders := make(map[string]*Sender)
		for i := range clients {
			name, s := fmt.Sprint("client", i), newSender(testChunk)
			senders[name] = s
			all.Go(func() { publish(ctx, name, s, topic) })
			for seq := range frames {
				f := frame(name, seq, 1+seq*80)
				s.Offer(1, uint64(seq), 1, len(f), solid{f}, time.Now())
			}
			reconnect(t, r, name, s)
		}

		arrived := make(map[string]bool)
		for rng := rand.New(rand.NewPCG(9, 9)); len(arrived) < clients*frames; {
			select {
			case <-r.Ready():
			case <-r.Complete():
			}
			for _, e := range r.Events() {
				if e.Err != nil {
					t.Fatalf("transfer %d of %s: %v", e.Seq, e.Peer, e.Err)
				}
				senders[e.Peer].Credit(e.Send.GetCredit(), time.Now())
				senders[e.Peer].Missing(e.Send.GetMissing(), time.Now())
			}
			for _, a := range takeAll(r) {
				if want := frame(a.Peer, int(a.Seq), 1+int(a.Seq)*80); !bytes.Equal(a.held(), want) {
					t.Errorf("frame %d of %s differs", a.Seq, a.Peer)
				}
				arrived[fmt.Sprint(a.Peer, a.Seq)] = true
				senders[a.Peer].Forget(1, a.Seq)
				if err := r.Release(a.Slot); err != nil {
					t.Error(err)
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
		chunk, err := s.Next(time.Now())
		if err != nil {
			panic(err) // the sources are in memory
		}
		if chunk != nil {
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

// work is the goroutine that stores.
func work(ctx context.Context, r *Receiver) {
	for {
		select {
		case <-r.Arrived():
			r.Work()
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
	s.Reset(time.Now())
	for seq := range uint64(30) {
		a, l, known := s.Again(1, seq, time.Now())
		if !known {
			continue
		}
		if err := r.Announce(name, a, time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := r.Seal(name, l, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}
