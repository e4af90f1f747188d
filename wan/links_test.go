package wan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestParsePair(t *testing.T) {
	five := []string{"eu", "us", "us-east", "us-west", "east-us"}
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf("r%d", i))
	}
	for _, c := range []struct {
		in      string
		regions []string
		want    string // the pair
		fault   string
	}{
		{"eu-us=50mbit/120ms/1%", five, "eu-us", ""},
		{"us-eu=50mbit/120ms", five, "eu-us", ""},
		{"us-east-eu=50mbit/120ms", five, "eu-us-east", ""},
		{"us-east-us-west=50mbit/120ms", five, "us-east-us-west", ""},
		{"us-east-us=50mbit/120ms", five, "", `may be between "east-us" and "us" or between "us" and "us-east"`},
		{"eu-ap=50mbit/120ms", five, "", "there are eu, us, us-east, us-west, east-us"},
		{"eu-u=50mbit/120ms", five, "", "did you mean eu-us?"},
		{"EU-US=50mbit/120ms", five, "", "did you mean eu-us?"},
		{"ue-us=50mbit/120ms", five, "", "did you mean eu-us?"},
		{"us=50mbit/120ms", five, "", "two different regions with a - between them"},
		{"us-us=50mbit/120ms", five, "", "two different regions"},
		{"-=50mbit/120ms", five, "", "two different regions"},
		{"=50mbit/120ms", five, "", "two different regions"},
		{"eu-us", five, "", "want A-B=RATE/RTT[/LOSS[/QUEUE]], such as eu-us=50mbit/120ms/1%"},
		{"eu-us=", five, "", `link "": want RATE/RTT`},
		{"eu-us=fast", five, "", `link "fast": want RATE/RTT`},
		{"x-y=fast", five, "", "want RATE/RTT"},
		{"x-y=1mbit/1ms", many, "", "r6, r7 and 12 more"},
		{"eu-us=1mbit/1ms", []string{"eu"}, "", "links join two regions, and there is 1"},
	} {
		pair, link, err := ParsePair(c.in, c.regions)
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%q: error %v, want %q", c.in, err, c.fault)
		}
		if err == nil && (pair.String() != c.want || link.Rate != 50*mbit) {
			t.Errorf("%q: got %v %v, want %v", c.in, pair, link, c.want)
		}
	}
}

func TestLinksOfPairs(t *testing.T) {
	l := Links{Default: Link{RTT: 80 * ms}, Pairs: map[Pair]Link{Between("us", "eu"): {RTT: 120 * ms}, Between("ap", "us"): {RTT: 150 * ms}}}
	if a, b := l.Of("eu", "us"), l.Of("us", "eu"); a != b || a.RTT != 120*ms {
		t.Errorf("eu to us %v, us to eu %v", a, b)
	}
	if got := l.Of("eu", "ap"); got != l.Default {
		t.Errorf("eu to ap %v, want the default", got)
	}
	if got, want := l.String(), "0/80ms ap-us=0/150ms eu-us=0/120ms"; got != want {
		t.Errorf("printed as %q, want %q", got, want)
	}
	if err := l.Validate([]string{"eu", "us"}); err == nil || !strings.Contains(err.Error(), "link ap-us: there is no such pair") {
		t.Errorf("link to no region: %v", err)
	}
	l.Pairs[Between("eu", "us")] = Link{Rate: -1}
	if err := l.Validate([]string{"eu", "us", "ap"}); err == nil || !strings.Contains(err.Error(), "link eu-us: rate -1: must be between") {
		t.Errorf("bad link of a pair: %v", err)
	}
}

func TestParseLinks(t *testing.T) {
	regions, other := []string{"eu", "us", "ap"}, Link{RTT: 80 * ms}
	for _, c := range []struct {
		pairs []string
		want  string
		fault string
	}{
		{nil, "0/80ms", ""},
		{[]string{"us-eu=1mbit/9ms", "ap-eu=1mbit/8ms/1%"}, "0/80ms ap-eu=1mbit/8ms/1% eu-us=1mbit/9ms", ""},
		{[]string{"us-eu=1mbit/9ms", "eu-us=1mbit/8ms"}, "", "link eu-us is given twice"},
		{[]string{"us-eu=1mbit", "eu-sa=1mbit/8ms"}, "", "want RATE/RTT[/LOSS[/QUEUE]], such as 50mbit/120ms or 50mbit/120ms/1%\nlink of \"eu-sa\""},
	} {
		l, err := ParseLinks(other, c.pairs, regions)
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%q: error %v, want %q", c.pairs, err, c.fault)
		}
		if err == nil && l.String() != c.want {
			t.Errorf("%q: got %v, want %v", c.pairs, l, c.want)
		}
	}
}

func TestWholePackets(t *testing.T) {
	fast, slow, lossy := Link{Rate: 100 * mbit, RTT: 80 * ms}, Link{Rate: mbit, RTT: 80 * ms}, Link{Rate: 100 * mbit, RTT: 80 * ms, Loss: 0.01}
	l := Links{Default: fast, Pairs: map[Pair]Link{Between("eu", "us"): lossy, Between("sa", "af"): slow}}
	for region, want := range map[string]bool{"eu": false, "us": false, "sa": false, "af": false, "ap": true} {
		if got := l.whole(region, []string{"eu", "us", "ap", "sa", "af"}); got != want {
			t.Errorf("%s: %t, want %t", region, got, want)
		}
	}
}

func TestCheckRegions(t *testing.T) {
	for _, c := range []struct {
		name    string
		regions []string
		links   Links
		fault   string
	}{
		{"one", []string{"eu"}, Links{}, ""},
		{"none", nil, Links{}, "0 regions: an emulated network has 1 to 32"},
		{"too many", slices.Repeat([]string{"eu"}, 33), Links{}, "33 regions"},
		{"twice", []string{"eu", "us", "eu"}, Links{}, `region "eu" is there twice`},
		{"a pair of none", []string{"eu", "us"}, Links{Pairs: map[Pair]Link{Between("eu", "ap"): {}}}, "link ap-eu: there is no such pair"},
		{"a bad link", []string{"eu", "us"}, Links{Default: Link{RTT: -1}}, "rtt -1ns"},
	} {
		if err := checkRegions(c.regions, c.links); (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v, want %q", c.name, err, c.fault)
		}
	}
}

// What is accepted is sound, is printed so that it is read back as the same, and is
// about regions that there are.
func FuzzParsePair(f *testing.F) {
	for _, s := range []string{"eu-us=50mbit/120ms/1%", "us-east-eu=1.5gbit/1s/0.1%/4MiB", "eu-us-us=0/0", "=", "eu-us=1kbit/0/0%/100000B", "-=/"} {
		f.Add(s)
	}
	regions := []string{"eu", "us", "us-east", ""}
	f.Fuzz(func(t *testing.T, s string) {
		pair, link, err := ParsePair(s, regions)
		if err != nil {
			return
		}
		if err := link.Validate(); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		again, same, err := ParsePair(pair.String()+"="+link.String(), regions)
		if err != nil || again != pair || same != link {
			t.Fatalf("%q is %v %v, read back as %v %v, %v", s, pair, link, again, same, err)
		}
	})
}
