package testnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"halos/wan"
)

// namespaces makes c a testnet in network namespaces, or skips the test.
func namespaces(t *testing.T, c *Config) {
	t.Helper()
	c.Netns, c.oneHost = true, false
	n, err := wan.New([]string{"eu"}, wan.Links{}, 1)
	if errors.Is(err, wan.ErrUnavailable) {
		t.Skip(err)
	}
	if err == nil {
		err = n.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestRunInNamespaces(t *testing.T) {
	c, shown := fakeConfig(t, fakeWell)
	namespaces(t, &c)
	var err error
	if c.Links, err = wan.ParseLinks(linkOf(80*ms, 100*mbit), []string{"eu-us=50mbit/120ms/1%/1MiB"}, RegionNames(2)); err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), c)
	if err != nil || r.Deltas.Sent < 10 {
		t.Fatalf("got %+v, %v", r, err)
	}
	has(t, shown, "links in network namespaces 100mbit/80ms eu-us=50mbit/120ms/1%/1MiB", "kernel tcp ", "tcp_rmem ")
	ports := map[string]string{}
	for _, m := range plan(c.Regions, c.Workers) {
		args := strings.Join(arguments(t, c, m.name), " ")
		at := flag(strings.Fields(args), "listen")
		if other := ports[at]; other != "" || !strings.HasPrefix(at, fmt.Sprintf("/ip4/10.77.%d.1/tcp/40", m.region)) {
			t.Errorf("%s listens on %s, as %q does", m.name, at, other)
		}
		ports[at] = m.name
		if strings.Contains(args, "--link") || !strings.Contains(args, "--listen "+strings.Replace(at, "/tcp/", "/udp/", 1)+"/quic-v1 --no-mdns") {
			t.Errorf("%s was started with %s, want tcp and quic of the kernel", m.name, args)
		}
	}
}

// In namespaces a cut befalls the link itself: no process is told.
func TestChaosCutsInNamespaces(t *testing.T) {
	c, _ := fakeConfig(t, fakeWell)
	namespaces(t, &c)
	n, err := newNetwork(c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.close(); err != nil {
			t.Error(err)
		}
	}()
	h := chaos{network: n}
	var from net.Conn
	if err := n.wan.Do("eu", func() (err error) {
		from, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(n.wan.Addr("us"), 9)))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	send := func(what string, counted func(wan.Count) uint64) {
		if _, err := from.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		eventually(t, what, func() bool { return counted(n.wan.Count("eu", "us")) == 1 })
	}
	h.setLink([2]int{1, 2}, orderCut)
	send("a packet that met a cut link", func(c wan.Count) uint64 { return c.Cut })
	h.setLink([2]int{1, 2}, orderMend)
	send("a packet after it was mended", func(c wan.Count) uint64 { return c.Packets })
}
