package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"halos/bulk"
)

// feed waits for the chunks that a Sender has for one peer.
type feed struct {
	n      *Node
	sender *bulk.Sender
	to     peer.ID
	look   *time.Ticker // whether the peer still takes part
}

func (n *Node) newFeed(s *bulk.Sender, to peer.ID) *feed {
	return &feed{n: n, sender: s, to: to, look: time.NewTicker(giveUpAfter / 8)}
}

func (f *feed) stop() { f.look.Stop() }

// next returns the next chunk to go out. While there is none it asks over, whenever
// something has changed, whether to wait for more; nil is the end, by over or of ctx. A
// peer that asks for too much, or says nothing for too long, is an error and marked.
func (f *feed) next(ctx context.Context, over func() (bool, error)) ([]byte, error) {
	for {
		chunk, err := f.sender.Next(time.Now())
		if errors.Is(err, bulk.ErrGreedy) {
			f.n.offences.note(f.to, err)
		}
		if chunk != nil || err != nil {
			return chunk, err
		}
		if done, err := over(); done || err != nil {
			return nil, err
		}
		select {
		case <-f.sender.Ready():
		case now := <-f.look.C:
			if f.sender.Silent(now) > giveUpAfter {
				err := fmt.Errorf("neither credit nor an acknowledgement for %v", giveUpAfter)
				f.n.offences.note(f.to, err)
				return nil, err
			}
		case <-ctx.Done():
			return nil, nil
		}
	}
}
