package testnet

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"halos/wan"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func addrPort(host string, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(host), port)
}

func addrPortOf(t *testing.T, address string) netip.AddrPort {
	t.Helper()
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPortsTellTheRegion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ports")
	want := Ports{4001: 1, 4002: 1, 65535: 200}
	if err := want.write(path); err != nil {
		t.Fatal(err)
	}
	got, err := ReadPorts(path)
	if err != nil || len(got) != len(want) {
		t.Fatalf("read %v, %v, want %v", got, err, want)
	}
	for port, region := range want {
		if got[port] != region {
			t.Errorf("port %d is in region %d, want %d", port, got[port], region)
		}
	}

	members := plan(1, 1)
	for i := range members {
		members[i].listen = addrPort("127.0.0.1", 0)
	}
	if err := fixPorts(members); err != nil {
		t.Fatal(err)
	}
	free := []uint16{members[0].listen.Port(), members[1].listen.Port()}
	if free[0] == free[1] || min(free[0], free[1]) < firstPort || max(free[0], free[1]) >= behindPorts {
		t.Errorf("ports %v, want two of %d to %d", free, firstPort, behindPorts-1)
	}
	address := serve(t, "127.0.0.1", func(c net.Conn) {})
	_, port, _ := net.SplitHostPort(address)
	table := Ports{free[0]: 1, free[1]: 2}
	d, err := NewDialer(listenAddr(addrPort("127.0.0.1", free[0])), wan.Links{}, table)
	if err != nil || d.region != 1 {
		t.Fatalf("dialler %+v, %v, want region 1", d, err)
	}
	if _, err := d.DialContext(t.Context(), "tcp", address); err == nil {
		t.Errorf("dialled port %s, which is not in the table", port)
	}
	table[addrPortOf(t, address).Port()] = 2
	c, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil || isTCP(c) {
		t.Fatalf("dial into region 2: %T, %v, want a shaped connection", c, err)
	}
	_ = c.Close()
}

func TestReadPortsRefuses(t *testing.T) {
	for _, text := range []string{"", "4001", "4001 0", "4001 201", "70000 1", "4001 1\n\n4002 1", "x 1"} {
		path := filepath.Join(t.TempDir(), "ports")
		writeFile(t, path, text)
		if p, err := ReadPorts(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: got %v, %v, want an error that names the file", text, p, err)
		}
	}
}
