package node

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"halos/wire"
)

const testTopic = "/halos/0123456789abcdef/region/eu/control"

func seal(t *testing.T, key crypto.PrivKey, c *wire.Control) []byte {
	t.Helper()
	sealed, err := sealControl(key, testTopic, c)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestControlOpens(t *testing.T) {
	key := newKey(t)
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	want := &wire.Control{Session: 3, Count: 9, Self: &wire.Member{Peer: []byte(id), Region: "eu", Roles: []string{"lps"}}, Loss: 2.5}
	from, got, err := openControl(testTopic, seal(t, key, want))
	if err != nil || from != id || !proto.Equal(got, want) {
		t.Errorf("got %v from %s, %v\nwant %v from %s", got, from, err, want, id)
	}
}

func TestControlRefused(t *testing.T) {
	key, other := newKey(t), newKey(t)
	otherID, err := peer.IDFromPrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	rsa, _, err := crypto.GenerateRSAKeyPair(2048, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sealed := seal(t, key, &wire.Control{Session: 1, Count: 1})
	change := func(f func(s *wire.Signed)) []byte {
		var s wire.Signed
		if err := proto.Unmarshal(sealed, &s); err != nil {
			t.Fatal(err)
		}
		f(&s)
		changed, err := proto.Marshal(&s)
		if err != nil {
			t.Fatal(err)
		}
		return changed
	}
	tests := []struct {
		name, topic string
		data        []byte
		want        string
	}{
		{"as it was", testTopic, sealed, ""},
		{"other topic", testTopic + "2", sealed, "not signed by"},
		{"changed", testTopic, change(func(s *wire.Signed) { s.Payload[1]++ }), "not signed by"},
		{"other author", testTopic, change(func(s *wire.Signed) { s.Peer = []byte(otherID) }), "not signed by"},
		{"no author", testTopic, change(func(s *wire.Signed) { s.Peer = nil }), "peer id"},
		{"no signature", testTopic, change(func(s *wire.Signed) { s.Signature = nil }), "not signed by"},
		{"cut", testTopic, sealed[:len(sealed)-1], "invalid control message"},
		{"nothing", testTopic, nil, "peer id"},
		{"garbage", testTopic, bytes.Repeat([]byte{0xff}, 100), "invalid control message"},
		{"too long", testTopic, make([]byte, maxControlBytes+1), "at most 65536"},
		{"speaks for another", testTopic, seal(t, key, &wire.Control{Self: &wire.Member{Peer: []byte(otherID)}}), "speaks for another peer"},
		{"speaks for nobody", testTopic, seal(t, key, &wire.Control{Self: &wire.Member{}}), "speaks for another peer"},
		{"an id without its key", testTopic, seal(t, rsa, &wire.Control{}), "key of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := openControl(tt.topic, tt.data)
			checkErr(t, err, tt.want)
			if err != nil && !errors.Is(err, errControl) {
				t.Errorf("not errControl: %v", err)
			}
		})
	}
	_, err = sealControl(key, testTopic, &wire.Control{Self: &wire.Member{Region: string(make([]byte, maxControlBytes))}})
	checkErr(t, err, "at most 65536")
}

func TestReplays(t *testing.T) {
	var r replays
	tests := []struct {
		name           string
		from           peer.ID
		session, count uint64
		want           bool
	}{
		{"first heard of", "a", 2, 5, true},
		{"again", "a", 2, 5, false},
		{"earlier", "a", 2, 4, false},
		{"later", "a", 2, 7, true},
		{"another peer", "b", 1, 1, true},
		{"next session", "a", 3, 0, true},
		{"session before", "a", 2, 8, false},
	}
	for _, tt := range tests {
		if got := r.fresh(tt.from, &wire.Control{Session: tt.session, Count: tt.count}); got != tt.want {
			t.Errorf("%s: fresh is %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestReplaysAreBounded(t *testing.T) {
	var r replays
	first := &wire.Control{Session: 1, Count: 1}
	r.fresh("talks", first)
	r.fresh("is silent", first)
	for i := range maxReplayPeers - 2 {
		r.fresh(peer.ID(fmt.Sprint(i)), first)
	}
	r.fresh("talks", &wire.Control{Session: 1, Count: 2})
	r.fresh("one too many", first)
	if len(r.newest) != maxReplayPeers {
		t.Errorf("%d peers remembered, want %d", len(r.newest), maxReplayPeers)
	}
	if r.fresh("talks", first) {
		t.Error("forgot a peer that talks")
	}
	if !r.fresh("is silent", first) {
		t.Error("remembers the peer silent for longest, so forgot another")
	}
}

func FuzzOpenControl(f *testing.F) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := sealControl(key, testTopic, &wire.Control{Session: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		from, c, err := openControl(testTopic, data)
		if err != nil && (c != nil || from != "" || !errors.Is(err, errControl)) {
			t.Errorf("%v from %s with error %v", c, from, err)
		}
	})
}
