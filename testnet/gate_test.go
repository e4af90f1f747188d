package testnet

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"halos/wan"
)

func TestACutLinkHoldsWhatIsSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		shared := newLanes(linkOf(20*ms, 0), 1)
		near, far := tunnel(shared)
		start := time.Now()
		shared.gate.shut()
		shared.gate.shut() // twice is once
		go func() { sleep(5 * time.Second); shared.gate.lift() }()
		go func() { _, _ = near.Write([]byte("there")) }()
		go func() { _, _ = far.Write([]byte("back")) }()
		for _, end := range []net.Conn{near, far} {
			if _, err := end.Read(make([]byte, 8)); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < 5*time.Second || took > 5*time.Second+20*ms {
				t.Errorf("arrived after %v, want 5s and at most a round trip", took)
			}
		}
		_ = near.Close()
		_ = far.Close()
	})
}

func TestAConnectionOverACutLinkCloses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		shared := newLanes(linkOf(20*ms, 0), 1)
		near, far := tunnel(shared)
		shared.gate.shut()
		if _, err := near.Write([]byte("lost")); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = far.Write([]byte("lost too")) }()
		sleep(time.Second)
		_ = near.Close()
		if b, err := io.ReadAll(far); err != nil || len(b) > 0 {
			t.Errorf("the far end got %q, %v, want nothing and the end", b, err)
		}
		_ = far.Close()
	})
}

func TestNoConnectionOverACutLink(t *testing.T) {
	regions(t, 2)
	address := serve(t, "127.0.2.1", func(c net.Conn) { _, _ = io.Copy(c, c) })
	d, err := NewDialer("/ip4/127.0.1.1/tcp/0", linksOf(ms, 0), nil)
	if err != nil {
		t.Fatal(err)
	}
	d.Cut(2)
	ctx, cancel := context.WithTimeout(t.Context(), 50*ms)
	defer cancel()
	if _, err := d.DialContext(ctx, "tcp4", address); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dial over a cut link: %v, want the context's end", err)
	}
	Obey(strings.NewReader("mend 2\n"), d, nil)
	c, err := d.DialContext(t.Context(), "tcp4", address)
	if err != nil {
		t.Fatalf("dial over a mended link: %v", err)
	}
	_ = c.Close()
}

func TestObey(t *testing.T) {
	d, err := NewDialer("/ip4/127.0.1.1/tcp/0", wan.Links{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	close(closed)
	for _, c := range []struct {
		orders string
		drains int
		open   bool // the link to region 2, afterwards
	}{
		{"", 0, true},
		{"cut 2\n", 0, false},
		{"cut 2\ncut 2\nmend 2\n", 0, true},
		{"cut 3\n", 0, true},
		{"cut\ncut two\ncut 2 3\nCUT 2\ndig 2\n\n", 0, true},
		{"drain\ncut 2\n drain \n", 2, false},
	} {
		drains := 0
		Obey(strings.NewReader(c.orders), d, func() { drains++ })
		if open := d.to(2).gate.wait(closed); drains != c.drains || open != c.open {
			t.Errorf("%q: %d drains, the link is open: %t, want %d and %t", c.orders, drains, open, c.drains, c.open)
		}
		d.Mend(2)
	}
}
