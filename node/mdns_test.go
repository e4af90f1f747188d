package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

// newJob returns a job id that no other test or node on this LAN has.
func newJob(t *testing.T) string {
	t.Helper()
	id, err := newKey(t).GetPublic().Raw()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", id)
}

// needMulticast skips the test where no interface carries multicast, as in some
// containers: nobody could be found there.
func needMulticast(t *testing.T) {
	t.Helper()
	if _, err := multicastFamilies(); err != nil {
		t.Skipf("this machine cannot find others on a LAN: %v", err)
	}
}

// announceHost announces h until the test ends.
func announceHost(t *testing.T, h host.Host, job string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done, err := announce(ctx, h, job)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); <-done })
}

func TestMDNSService(t *testing.T) {
	tests := []struct{ name, job, want, wantErr string }{
		{"short id", "0123456789abcdef", "_halos-0123456789abcdef._udp", ""},
		{"whole id", "0123456789abcdef" + strings.Repeat("7", 48), "_halos-0123456789abcdef._udp", ""},
		{"pasted", " 0123456789ABCDEF\n", "_halos-0123456789abcdef._udp", ""},
		{"too short", "0123456789abcde", "", "16 or more hex digits"},
		{"no id", "tiny-job-of-mine", "", "16 or more hex digits"},
		{"empty", "", "", "16 or more hex digits"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := mdnsService(tt.job)
			checkErr(t, err, tt.wantErr)
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNodesFindEachOtherByMDNS(t *testing.T) {
	needMulticast(t)
	job, other := newJob(t), newJob(t)
	a, _ := loopbackHost(t, hostOptions{})
	b, _ := loopbackHost(t, hostOptions{})
	stranger, _ := loopbackHost(t, hostOptions{})
	announceHost(t, a, job)
	announceHost(t, b, job)
	announceHost(t, stranger, other)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	found := make(chan peer.AddrInfo, 16)
	ended := make(chan error, 1)
	go func() {
		ended <- browse(ctx, a.ID(), job, func(p peer.AddrInfo) { found <- p })
	}()
	select {
	case p := <-found:
		if p.ID != b.ID() {
			t.Errorf("found %s, want %s", p.ID, b.ID())
		}
		if err := dialPeer(ctx, a, p); err != nil {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Error("nothing found")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestFindJob(t *testing.T) {
	needMulticast(t)
	job := newJob(t)
	there, _ := loopbackHost(t, hostOptions{})
	announceHost(t, there, job)
	self, err := peer.IDFromPrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	tries := 0
	err = findJob(t.Context(), self, job, 20*time.Second, func(_ context.Context, p peer.AddrInfo) error {
		if p.ID != there.ID() {
			t.Errorf("found %s, want %s", p.ID, there.ID())
		}
		if tries++; tries == 1 {
			return errors.New("not ready")
		}
		return nil
	})
	if err != nil || tries != 2 {
		t.Errorf("%d tries, %v", tries, err)
	}
	fails := func(context.Context, peer.AddrInfo) error { return errors.New("not a chance") }
	const briefly = 300 * time.Millisecond
	checkErr(t, findJob(t.Context(), self, newJob(t), briefly, fails), "answered by mDNS within 300ms")
	checkErr(t, findJob(t.Context(), self, job, briefly, fails), "none could be joined: not a chance")
	checkErr(t, findJob(t.Context(), self, "eu", briefly, fails), "16 or more hex digits")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := findJob(over, self, job, briefly, fails); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v", err)
	}
}

func TestAnnounced(t *testing.T) {
	const id = "12D3KooWEPqtw9tyBSQoFmx3HcWrUnKvqkLPQYhPW3qp44TA3WuH"
	good := dnsaddr + "/ip4/192.168.1.5/tcp/4001/p2p/" + id
	tests := []struct {
		name string
		text []string
		want int // addresses
	}{
		{"one", []string{good}, 1},
		{"among others", []string{"", "x=y", dnsaddr, dnsaddr + "junk", good}, 1},
		{"a name to be looked up", []string{dnsaddr + "/dns4/example.org/tcp/1/p2p/" + id}, 0},
		{"no peer id", []string{dnsaddr + "/ip4/192.168.1.5/tcp/4001"}, 0},
		{"too many", append(make([]string, maxAnnounced), good), 0},
		{"nothing", nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addrs := 0
			for _, p := range announced(tt.text) {
				if p.ID.String() != id {
					t.Errorf("peer %s", p.ID)
				}
				addrs += len(p.Addrs)
			}
			if addrs != tt.want {
				t.Errorf("%d addresses, want %d", addrs, tt.want)
			}
		})
	}
}
