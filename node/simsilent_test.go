package node

import (
	"testing"
	"testing/synctest"
	"time"
)

// halfLink is the way between a client, by its name in the exchange, and its server.
type halfLink struct {
	client, server       *simNode
	name                 string
	clientLog, serverLog int // marks
}

// silence lets no packet through in one direction, or lifts that.
func (l *halfLink) silence(n *simNet, fromClient, on bool) {
	if fromClient {
		n.silence(l.client.ip, l.server.ip, on)
	} else {
		n.silence(l.server.ip, l.client.ip, on)
	}
}

// givenUp reports that neither end counts on the other any more.
func (l *halfLink) givenUp() bool { return !l.client.linked(l.server) && !l.server.linked(l.client) }

// checkLogs fails unless each end says in its log since the marks that it lost the other one.
func (l *halfLink) checkLogs(t *testing.T) {
	t.Helper()
	if len(l.client.log.since(l.clientLog, "server out of reach", l.server.self)) == 0 {
		t.Errorf("%s does not log that its server is out of reach", l.name)
	}
	if len(l.server.log.since(l.serverLog, "client gone", "client="+l.name)) == 0 {
		t.Errorf("the server of %s does not log that it has gone", l.name)
	}
}

// A link that carries nothing one way, while the other way is as ever, is given up at both its ends, and they say so.
// Others' deltas go on meanwhile, and in the end every local step counts once.
func TestHalfOpenLinksAreGivenUp(t *testing.T) {
	t.Parallel()
	const (
		calm   = 8 * time.Second
		silent = 75 * time.Second
		// The end that hears nothing waits for QUIC's 30 s and a beat, and then the other one, which hears it no longer.
		giveUp = 70 * time.Second
	)
	for _, c := range []struct {
		name       string
		fromClient bool // nothing gets through; else from its server
	}{
		{"clients are not heard", true},
		{"servers are not heard", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newSimNet(t, simWeather{delay: 25 * time.Millisecond, loss: 0.01, rate: fastLink}, 4)
				j := simLedger(t, 3, 2*calm+silent)
				j.H, j.K = 40, 2
				s := newSimJob(t, n, j)
				eu, works := s.region("eu", 2)
				us, _ := s.region("us", 1)
				s.wait(calm)

				began := time.Now()
				links := []*halfLink{
					{client: us, server: s.gps, name: "us"},
					{client: works[0], server: eu, name: works[0].self},
				}
				for _, l := range links {
					l.clientLog, l.serverLog = l.client.log.mark(), l.server.log.mark()
					l.silence(n, c.fromClient, true)
				}
				for _, l := range links {
					for !l.givenUp() {
						if s.wait(time.Second); time.Since(began) > giveUp {
							t.Fatalf("%s and its server keep the link after %v", l.name, giveUp)
						}
					}
					t.Logf("%s and its server have given up after %v", l.name, time.Since(began))
					l.checkLogs(t)
				}
				s.wait(silent - time.Since(began))
				ended := time.Now()
				for _, l := range links {
					l.silence(n, c.fromClient, false)
				}
				s.finish()

				for _, other := range []struct {
					server *simNode
					client string
					want   int // deltas applied in the silence
				}{
					{s.gps, "eu", 10},
					{eu, works[1].self, 25},
				} {
					applied := func(r Record) bool { return r.Event == EventApplied && r.Client == other.client }
					if got := len(s.records(other.server, began, ended, applied)); got < other.want {
						t.Errorf("%d deltas of %s were applied in the silence, want %d and more", got, other.client, other.want)
					}
				}
				for delta, times := range s.tally().applied {
					if times != 1 {
						t.Errorf("delta %v applied %d times", delta, times)
					}
				}
			})
		})
	}
}
