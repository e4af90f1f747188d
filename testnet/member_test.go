package testnet

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPlanAndArguments(t *testing.T) {
	e := environment{dir: "/net", link: Link{80 * time.Millisecond, 100_000_000}, threads: 3}
	want := []string{
		"gps: run --job /net/job.yaml --role gps --region eu --dir /net/gps --listen /ip4/127.0.1.1/tcp/0 --supervised --link-rtt 80ms --link-rate 100mbit",
		"eu-lps: join --role lps --region eu --dir /net/eu-lps --listen /ip4/127.0.1.1/tcp/0 --supervised --link-rtt 80ms --link-rate 100mbit ADDR",
		"us-lps: join --role lps --region us --dir /net/us-lps --listen /ip4/127.0.2.1/tcp/0 --supervised --link-rtt 80ms --link-rate 100mbit ADDR",
		"eu-w1: join --role worker --region eu --dir /net/eu-w1 --listen /ip4/127.0.1.1/tcp/0 --supervised --link-rtt 80ms --link-rate 100mbit --threads 3 ADDR",
		"eu-w2: join --role worker --region eu --dir /net/eu-w2 --listen /ip4/127.0.1.1/tcp/0 --supervised --link-rtt 80ms --link-rate 100mbit --threads 3 ADDR",
		"us-w1: join --role worker --region us --dir /net/us-w1 --listen /ip4/127.0.2.1/tcp/0 --supervised --link-rtt 80ms --link-rate 100mbit --threads 3 ADDR",
		"us-w2: join --role worker --region us --dir /net/us-w2 --listen /ip4/127.0.2.1/tcp/0 --supervised --link-rtt 80ms --link-rate 100mbit --threads 3 ADDR",
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
		" --link-rtt 0s --link-rate 0 --link-ports /net/ports --threads 1 --log-level debug ADDR"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(table) != 3 || table[4003] != 1 {
		t.Errorf("table %v", table)
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
