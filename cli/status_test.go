package cli

import (
	"bytes"
	"strings"
	"testing"

	"halos/node"
)

func TestPrintStatus(t *testing.T) {
	s := node.Status{
		Job: strings.Repeat("ab", 32), Peer: "12D3KooWa", Region: "eu", Roles: []string{"gps", "lps", "worker"}, Uptime: 125.3,
		Addrs: []string{"/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWa"},
		Peers: []node.PeerStatus{{ID: "12D3KooWb", Region: "us", Roles: []string{"lps"}, Connected: true}, {ID: "12D3KooWc", Region: "us", Roles: []string{"worker"}},
			{ID: "12D3KooWd", Region: "us", Roles: []string{"worker"}, Connected: true, Refused: 3}, {ID: "12D3KooWe", Region: "us", Roles: []string{"worker"}, Refused: 40, ShutOut: true}},
		Worker: &node.WorkerStatus{State: "training", Loss: 2.5, TokensPerSecond: 1234, Blocked: 0.05, Seq: 9, Decided: 8, Durable: 4, Outbox: 5},
		LPS:    &node.LPSStatus{Version: 40, MergedVersion: 36, GlobalVersion: 7, Workers: 2, Pushes: 9},
		GPS:    &node.GPSStatus{Version: 18, Regions: 2, Committed: 250, Total: 1000},
		Bytes:  node.ByteStatus{WAN: 1_500_000, LAN: 999},
	}
	var b bytes.Buffer
	if err := printStatus(&b, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"region eu, gps lps worker, up 2m5s", "training, loss 2.500, 1234 tokens/s, blocked 5 %", "deltas 9, decided 8, durable 4, in outbox 5",
		"model 40, merged at 36 with global 7, workers 2", "validation loss not measured yet", "samples 250 of 1000 (25.0 %)",
		"wan 1.5 MB, lan 999 B", "12D3KooWb, region us, lps\n", "12D3KooWc, region us, worker, not connected\n",
		"12D3KooWd, region us, worker, 3 messages refused\n", "12D3KooWe, region us, worker, not connected, shut out for a while after 40 refused messages\n", "/ip4/192.0.2.1/",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	for _, unwanted := range []string{"dropped", "ALARM"} {
		if strings.Contains(b.String(), unwanted) {
			t.Errorf("speaks of %s though there is none:\n%s", unwanted, b.String())
		}
	}
	s.LPS.Alarm = &node.AlarmStatus{Reason: "no space in lps, 7 bytes are free", Since: 125.3, Failed: 21, Durable: 40}
	b.Reset()
	if err := printStatus(&b, s); err != nil {
		t.Fatal(err)
	}
	at := strings.Index(b.String(), "lps: snapshots fail since 2m5s, 21 attempts: no space in lps, 7 bytes are free\n")
	if at < 0 || at > strings.Index(b.String(), "\nworker") || !strings.Contains(b.String(), "model 40 stays durable") {
		t.Errorf("the alarm does not stand before the rest:\n%s", b.String())
	}
}

func TestSize(t *testing.T) {
	for _, c := range []struct {
		n    uint64
		want string
	}{
		{0, "0 B"}, {999, "999 B"}, {1000, "1.0 kB"}, {1_234_567, "1.2 MB"}, {5e12, "5.0 TB"}, {5e15, "5000.0 TB"},
	} {
		if got := size(c.n); got != c.want {
			t.Errorf("%d: %s, want %s", c.n, got, c.want)
		}
	}
}
