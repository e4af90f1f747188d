package wan

import (
	"math"
	"strings"
	"testing"
	"time"
)

const (
	ms   = time.Millisecond
	mbit = 1_000_000
)

func TestParseRate(t *testing.T) {
	for _, c := range []struct {
		in      string
		want    int64
		printed string
		fault   string
	}{
		{"100mbit", 100_000_000, "100mbit", ""},
		{"1gbit", 1_000_000_000, "1gbit", ""},
		{"500kbit", 500_000, "500kbit", ""},
		{"1.5Mbit", 1_500_000, "1500kbit", ""},
		{"0.1gbit", 100_000_000, "100mbit", ""},
		{"12345bit", 12345, "12345bit", ""},
		{"0", 0, "0", ""},
		{"0mbit", 0, "0", ""},
		{"100", 0, "", "want a number with kbit, mbit or gbit"},
		{"100mb", 0, "", "want a number with kbit, mbit or gbit"},
		{"", 0, "", "want a number with kbit, mbit or gbit"},
		{"mbit", 0, "", "must be between"},
		{"-1mbit", 0, "", "must be between"},
		{"nanmbit", 0, "", "must be between"},
		{"1e300gbit", 0, "", "must be between"},
		{"0.01bit", 0, "", "must be between"},
		{"101gbit", 0, "", "must be between"},
	} {
		got, err := ParseRate(c.in)
		if c.fault != "" {
			if err == nil || !strings.Contains(err.Error(), c.in) || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%q: error %v, want %q and its name", c.in, err, c.fault)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%q: got %d, %v, want %d", c.in, got, err, c.want)
		}
		if s := FormatRate(got); s != c.printed {
			t.Errorf("%q: printed as %q, want %q", c.in, s, c.printed)
		}
		if again, err := ParseRate(FormatRate(got)); err != nil || again != got {
			t.Errorf("%q: read back as %d, %v", c.in, again, err)
		}
	}
}

func TestParseRTT(t *testing.T) {
	for _, c := range []struct {
		in    string
		want  time.Duration
		fault string
	}{
		{"80ms", 80 * ms, ""},
		{"0", 0, ""},
		{"1s", time.Second, ""},
		{"80", 0, "such as 80ms"},
		{"fast", 0, "such as 80ms"},
		{"-1ms", 0, "must be between"},
		{"1m", 0, "must be between"},
	} {
		got, err := ParseRTT(c.in)
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%q: error %v, want %q", c.in, err, c.fault)
		}
		if err == nil && got != c.want {
			t.Errorf("%q: got %v, want %v", c.in, got, c.want)
		}
	}
}

func TestParseLink(t *testing.T) {
	for _, c := range []struct {
		in      string
		want    Link
		printed string // "" = as in
		fault   string
	}{
		{"50mbit/120ms/1%", Link{50 * mbit, 120 * ms, 0.01, 0}, "", ""},
		{"50mbit/120ms", Link{50 * mbit, 120 * ms, 0, 0}, "", ""},
		{"50mbit/120ms/1%/512KiB", Link{50 * mbit, 120 * ms, 0.01, 512 << 10}, "", ""},
		{"50mbit/120ms/0%/1024KiB", Link{50 * mbit, 120 * ms, 0, 1 << 20}, "50mbit/120ms/0%/1MiB", ""},
		{"1gbit/0/0.0001%/100000B", Link{1000 * mbit, 0, 0.000001, 100_000}, "1gbit/0s/0.0001%/100000B", ""},
		{"0/80ms", Link{0, 80 * ms, 0, 0}, "", ""},
		{"0/0/7%", Link{0, 0, 0.07, 0}, "0/0s/7%", ""},
		{"1gbit/30ms/0%", Link{1000 * mbit, 30 * ms, 0, 0}, "1gbit/30ms", ""},
		{"10mbit/1s/90%", Link{10 * mbit, time.Second, 0.9, 0}, "", ""},

		{"50mbit", Link{}, "", "want RATE/RTT[/LOSS[/QUEUE]], such as 50mbit/120ms"},
		{"", Link{}, "", "want RATE/RTT"},
		{"50mbit/120ms/1%/1MiB/x", Link{}, "", "want RATE/RTT"},
		{"120ms/50mbit", Link{}, "", `rate "120ms": want a number`},
		{"50mbit/120", Link{}, "", `rtt "120": want a time`},
		{"50mbit/120ms/0.01", Link{}, "", `loss "0.01": want a percentage, such as 1%`},
		{"50mbit/120ms/", Link{}, "", `loss "": want a percentage`},
		{"50mbit/120ms/91%", Link{}, "", "loss 91%: must be between 0% and 90%"},
		{"50mbit/120ms/-1%", Link{}, "", "must be between 0% and 90%"},
		{"50mbit/120ms/nan%", Link{}, "", "loss"},
		{"50mbit/120ms/0.00001%", Link{}, "", "the least is 0.0001%"},
		{"50mbit/120ms/1%/512", Link{}, "", `queue "512": want a whole number of KiB or MiB`},
		{"50mbit/120ms/1%/0KiB", Link{}, "", "or leave it out"},
		{"50mbit/120ms/1%/-1KiB", Link{}, "", "want a whole number"},
		{"50mbit/120ms/1%/1KiB", Link{}, "", "queue 1KiB: must be between 64KiB and 256MiB"},
		{"50mbit/120ms/1%/257MiB", Link{}, "", "must be between 64KiB and 256MiB"},
		{"50mbit/120ms/1%/4294967295MiB", Link{}, "", "must be between 64KiB and 256MiB"},
		{"10gbit/10s", Link{}, "", "lower rtt or rate"},
		{"1gbit/1s/0%/250MiB", Link{}, "", "lower rtt or rate"},
	} {
		got, err := ParseLink(c.in)
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%q: error %v, want %q", c.in, err, c.fault)
		}
		if got != c.want {
			t.Errorf("%q: got %+v, want %+v", c.in, got, c.want)
		}
		want := c.printed
		if want == "" {
			want = c.in
		}
		if err == nil && got.String() != want {
			t.Errorf("%q: printed as %q, want %q", c.in, got, want)
		}
	}
}

func TestLinkValidate(t *testing.T) {
	for _, c := range []struct {
		link  Link
		fault string
	}{
		{Link{}, ""},
		{Link{Rate: 100e6, RTT: 80 * ms, Loss: 0.5}, ""},
		{Link{Rate: -1, RTT: -1, Loss: math.NaN(), Queue: -1}, "rtt -1ns: must be between 0s and 10s\nrate -1: must be between 0 and 100gbit\nloss NaN%: must be"},
		{Link{Rate: 10e9, RTT: 10 * time.Second}, "lower rtt or rate"},
		{Link{Rate: math.MaxInt64}, "must be between 0 and 100gbit"},
	} {
		err := c.link.Validate()
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%v: got %v, want %q", c.link, err, c.fault)
		}
	}
}

func TestQueueThatNobodyChose(t *testing.T) {
	for _, c := range []struct {
		link string
		want int
	}{
		{"100mbit/100ms", 1_250_000},
		{"1mbit/10ms", 64 << 10},
		{"100mbit/100ms/0%/128KiB", 128 << 10},
		{"0/100ms", 32 << 20},
	} {
		l, err := ParseLink(c.link)
		if err != nil || l.room() != c.want {
			t.Errorf("%s: room for %d bytes, %v, want %d", c.link, l.room(), err, c.want)
		}
	}
}
