package node

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestRemedyFitsTheRefusal(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"no module", errNoControl, "sudo modprobe tcp_bbr && echo tcp_bbr | sudo tee /etc/modules-load.d/halos.conf"},
		{"kept for root", errNotAllowed, "net.ipv4.tcp_allowed_congestion_control = " + allowedCongestion() + " bbr"},
		{"another system", errNoChoice, "let a Linux machine be the server"},
		{"wrapped", fmt.Errorf("%w (%w)", errNoChoice, errors.ErrUnsupported), "let a Linux machine be the server"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := remedy("bbr", tt.err); !strings.Contains(got, tt.want) {
				t.Errorf("to type: %q, want %q", got, tt.want)
			}
		})
	}
}

// A node without the control it wants goes on, and says once what to type.
func TestSettlesForLess(t *testing.T) {
	var log strings.Builder
	if got := settleFor("nonesuch", slog.New(slog.NewTextHandler(&log, nil))); got != "" {
		t.Errorf("settles for %q", got)
	}
	for _, want := range []string{"level=INFO msg=\"congestion control\" tcp=" + systemCongestion() + " sockets=16\n", "level=WARN", "try="} {
		if strings.Count(log.String(), want) != 1 {
			t.Errorf("log %q, want %q once", log.String(), want)
		}
	}
}

func TestUnknownCongestionControl(t *testing.T) {
	_, _, err := newHost(hostOptions{Key: newKey(t), Congestion: "nonesuch", Log: quiet})
	checkErr(t, err, "congestion control nonesuch: ")
}

func TestTooManyStripes(t *testing.T) {
	_, _, err := newHost(hostOptions{Key: newKey(t), Stripes: 1000, Log: quiet})
	checkErr(t, err, "connection over 1000 sockets: it can have 1 to 32")
}
