package testnet

import (
	"slices"
	"strings"
	"testing"

	"halos/wan"
)

func TestPlanAndArguments(t *testing.T) {
	e := environment{dir: "/net", links: wan.Links{Default: linkOf(80*ms, 100*mbit)}, threads: 3}
	want := []string{
		"gps: run --job /net/job.yaml --role gps --region eu --dir /net/gps --listen /ip4/127.0.1.1/tcp/0 --supervised --link-default 100mbit/80ms",
		"eu-lps: join --role lps --region eu --dir /net/eu-lps --listen /ip4/127.0.1.1/tcp/0 --supervised --link-default 100mbit/80ms ADDR",
		"us-lps: join --role lps --region us --dir /net/us-lps --listen /ip4/127.0.2.1/tcp/0 --supervised --link-default 100mbit/80ms ADDR",
		"eu-w1: join --role worker --region eu --dir /net/eu-w1 --listen /ip4/127.0.1.1/tcp/0 --supervised --link-default 100mbit/80ms --threads 3 ADDR",
		"eu-w2: join --role worker --region eu --dir /net/eu-w2 --listen /ip4/127.0.1.1/tcp/0 --supervised --link-default 100mbit/80ms --threads 3 ADDR",
		"us-w1: join --role worker --region us --dir /net/us-w1 --listen /ip4/127.0.2.1/tcp/0 --supervised --link-default 100mbit/80ms --threads 3 ADDR",
		"us-w2: join --role worker --region us --dir /net/us-w2 --listen /ip4/127.0.2.1/tcp/0 --supervised --link-default 100mbit/80ms --threads 3 ADDR",
	}
	var got []string
	for _, m := range plan(2, 2) {
		got = append(got, m.name+": "+strings.Join(e.args(m, "ADDR"), " "))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestArgumentsByPort(t *testing.T) {
	members := plan(1, 1)
	for i := range members {
		members[i].listen = addrPort("127.0.0.1", uint16(4001+i))
	}
	table := portTable(members)
	e := environment{dir: "/net", ports: "/net/ports", threads: 1, further: []string{"--log-level", "debug"}}
	got := strings.Join(e.args(members[2], "ADDR"), " ")
	want := "join --role worker --region eu --dir /net/eu-w1 --listen /ip4/127.0.0.1/tcp/4003 --supervised" +
		" --link-default 0/0s --link-ports /net/ports --threads 1 --log-level debug ADDR"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(table) != 3 || table[4003] != 1 {
		t.Errorf("table %v", table)
	}
}

func TestArgumentsOfLinks(t *testing.T) {
	links, err := wan.ParseLinks(linkOf(80*ms, 0), []string{"eu-us=50mbit/120ms/1%", "ap-eu=1gbit/9ms"}, RegionNames(3))
	if err != nil {
		t.Fatal(err)
	}
	m := member{role: roleWorker, region: 2, listen: addrPort("10.77.2.1", 4005)}
	for _, c := range []struct {
		name string
		e    environment
		want string
	}{
		{"shaped", environment{links: links}, "--link-default 0/80ms --link-pair ap-eu=1gbit/9ms --link-pair eu-us=50mbit/120ms/1%"},
		{"of the kernel", environment{links: links, netns: true}, "--listen /ip4/10.77.2.1/udp/4005/quic-v1 --no-mdns"},
	} {
		if got := strings.Join(c.e.args(m, "ADDR"), " "); !strings.Contains(got, "--listen /ip4/10.77.2.1/tcp/4005 --supervised "+c.want+" --threads") {
			t.Errorf("%s: got %s, want %s in it", c.name, got, c.want)
		}
	}
}

func TestRegionNamesAreUnique(t *testing.T) {
	seen := make(map[string]int)
	for i := 1; i <= MaxRegions; i++ {
		name := regionName(i)
		if before, ok := seen[name]; ok {
			t.Errorf("regions %d and %d are both called %s", before, i, name)
		}
		seen[name] = i
	}
	if seen["eu"] != 1 || seen["af"] != 5 || seen["r6"] != 6 || seen["r200"] != 200 {
		t.Errorf("names %v", seen)
	}
}
