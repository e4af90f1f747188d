package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"halos/wire"
)

// controlBuffer is how many control messages wait for the reader of a topic. Those dropped beyond are
// counted, and repeated by their senders with the next heartbeat.
const controlBuffer = 64

// controlTopic is a node's membership of one control topic. Everyone in it hears every message that is
// signed by its author and newer than that author's last; anything else is refused and not passed on.
type controlTopic struct {
	name  string
	key   crypto.PrivKey
	ps    *pubsub.PubSub
	topic *pubsub.Topic
	sub   *pubsub.Subscription
	seen  replays
}

// opened is a control message that the validator has checked, on its way to next.
type opened struct {
	from peer.ID
	body *wire.Control
}

// joinControl joins the control topic of that name. Refused messages are noted with the peer that passed
// them on.
func joinControl(ps *pubsub.PubSub, self peer.ID, key crypto.PrivKey, name string, refused *offences) (*controlTopic, error) {
	t := &controlTopic{name: name, key: key, ps: ps}
	validate := func(_ context.Context, via peer.ID, m *pubsub.Message) pubsub.ValidationResult {
		from, body, err := openControl(name, m.GetData())
		switch {
		case err != nil:
			refused.note(via, err)
			return pubsub.ValidationReject
		case !t.seen.fresh(from, body):
			return pubsub.ValidationIgnore
		}
		m.ValidatorData = opened{from, body}
		return pubsub.ValidationAccept
	}
	if err := ps.RegisterTopicValidator(name, validate, pubsub.WithValidatorInline(true)); err != nil {
		return nil, fmt.Errorf("join %s: %w", name, err)
	}
	if err := t.join(self); err != nil {
		return nil, errors.Join(fmt.Errorf("join %s: %w", name, err), ps.UnregisterTopicValidator(name))
	}
	return t, nil
}

// join subscribes to what others publish.
func (t *controlTopic) join(self peer.ID) (err error) {
	// A message's name is its content: by (author, number) a liar could name a message that is yet to
	// come, and the true one would be dropped as seen.
	if t.topic, err = t.ps.Join(t.name, pubsub.WithTopicMessageIdFn(contentID)); err != nil {
		return err
	}
	foreign := func(m *pubsub.Message) bool { return m.ReceivedFrom != self }
	if t.sub, err = t.topic.Subscribe(pubsub.WithBufferSize(controlBuffer), pubsub.WithMessageFilter(foreign)); err != nil {
		return errors.Join(err, t.topic.Close())
	}
	return nil
}

func contentID(m *pb.Message) string {
	sum := sha256.Sum256(m.GetData())
	return string(sum[:])
}

// publish signs c and sends it to the topic. Its session and count must grow from call to call.
func (t *controlTopic) publish(ctx context.Context, c *wire.Control) error {
	sealed, err := sealControl(t.key, t.name, c)
	if err != nil {
		return err
	}
	if err := t.topic.Publish(ctx, sealed); err != nil {
		return fmt.Errorf("publish on %s: %w", t.name, err)
	}
	return nil
}

// next waits for a message of another node and says who signed it.
func (t *controlTopic) next(ctx context.Context) (peer.ID, *wire.Control, error) {
	m, err := t.sub.Next(ctx)
	if err != nil {
		return "", nil, err
	}
	o := m.ValidatorData.(opened)
	return o.from, o.body, nil
}

// Close leaves the topic.
func (t *controlTopic) Close() error {
	t.sub.Cancel()
	return errors.Join(t.topic.Close(), t.ps.UnregisterTopicValidator(t.name))
}
