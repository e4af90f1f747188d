package node

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"halos/wire"
)

// maxControlBytes bounds a Signed message: a membership of 300 regions and room.
const maxControlBytes = 64 << 10

// errControl is a control message that its sender did not make, or made wrongly. Refuse it.
var errControl = errors.New("invalid control message")

// sealControl encodes c as a Signed message for one topic, signed by key.
func sealControl(key crypto.PrivKey, topic string, c *wire.Control) ([]byte, error) {
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("seal control message: %w", err)
	}
	payload, err := proto.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("seal control message: %w", err)
	}
	signature, err := key.Sign(wire.ControlBytes(topic, payload))
	if err != nil {
		return nil, fmt.Errorf("seal control message: %w", err)
	}
	sealed, err := proto.Marshal(&wire.Signed{Payload: payload, Peer: []byte(id), Signature: signature})
	if err != nil {
		return nil, fmt.Errorf("seal control message: %w", err)
	}
	if len(sealed) > maxControlBytes {
		return nil, fmt.Errorf("seal control message: %d bytes, at most %d", len(sealed), maxControlBytes)
	}
	return sealed, nil
}

// openControl decodes a Signed message that arrived on topic and returns who signed it. All its errors
// are errControl. It does not know whether the message is a replay: see replays.
func openControl(topic string, data []byte) (peer.ID, *wire.Control, error) {
	if len(data) > maxControlBytes {
		return "", nil, fmt.Errorf("%w: %d bytes, at most %d", errControl, len(data), maxControlBytes)
	}
	var signed wire.Signed
	if err := proto.Unmarshal(data, &signed); err != nil {
		return "", nil, fmt.Errorf("%w: %w", errControl, err)
	}
	id, err := peer.IDFromBytes(signed.GetPeer())
	if err != nil {
		return "", nil, fmt.Errorf("%w: peer id: %w", errControl, err)
	}
	key, err := id.ExtractPublicKey() // an Ed25519 id holds its key
	if err != nil {
		return "", nil, fmt.Errorf("%w: key of %s: %w", errControl, id, err)
	}
	if ok, err := key.Verify(wire.ControlBytes(topic, signed.GetPayload()), signed.GetSignature()); err != nil || !ok {
		return "", nil, fmt.Errorf("%w: not signed by %s for topic %s", errControl, id, topic)
	}
	var c wire.Control
	if err := proto.Unmarshal(signed.GetPayload(), &c); err != nil {
		return "", nil, fmt.Errorf("%w from %s: %w", errControl, id, err)
	}
	if c.Self != nil && !bytes.Equal(c.Self.GetPeer(), signed.GetPeer()) {
		return "", nil, fmt.Errorf("%w from %s: speaks for another peer", errControl, id)
	}
	return id, &c, nil
}

// maxReplayPeers bounds the table of replays. When it is full the peer silent for longest is forgotten,
// whose old messages could then be played back once more: presence that is out of date, never a delta.
const maxReplayPeers = 4096

// replays remembers the newest control message of each peer on one topic. The zero value is empty.
type replays struct {
	mu     sync.Mutex
	newest map[peer.ID]controlMark // at most maxReplayPeers
	tick   uint64                  // counts accepted messages
}

type controlMark struct{ session, count, tick uint64 }

// fresh says whether c is newer than all that came from p before, by (session, count), and remembers it.
// It is safe for concurrent use.
func (r *replays) fresh(p peer.ID, c *wire.Control) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, known := r.newest[p]
	if known && (c.GetSession() < last.session || c.GetSession() == last.session && c.GetCount() <= last.count) {
		return false
	}
	if !known && len(r.newest) >= maxReplayPeers {
		delete(r.newest, r.silentLongest())
	}
	if r.newest == nil {
		r.newest = make(map[peer.ID]controlMark)
	}
	r.tick++
	r.newest[p] = controlMark{session: c.GetSession(), count: c.GetCount(), tick: r.tick}
	return true
}

// silentLongest returns the peer whose newest message is the oldest.
func (r *replays) silentLongest() (oldest peer.ID) {
	first := r.tick + 1
	for p, mark := range r.newest {
		if mark.tick < first {
			oldest, first = p, mark.tick
		}
	}
	return oldest
}
