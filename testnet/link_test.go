package testnet

import (
	"math"
	"strings"
	"testing"
	"time"
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
		{"101gbit", 0, "", "at most"},
	} {
		got, err := ParseRate(c.in)
		if c.fault != "" {
			if err == nil || !strings.Contains(err.Error(), c.in) {
				t.Errorf("%q: error %v, want one that names it", c.in, err)
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
		{"80ms", 80 * time.Millisecond, ""},
		{"0", 0, ""},
		{"1s", time.Second, ""},
		{"80", 0, "such as 80ms"},
		{"fast", 0, "such as 80ms"},
		{"-1ms", -time.Millisecond, "must be between"},
		{"1m", time.Minute, "must be between"},
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

func TestLinkValidate(t *testing.T) {
	for _, c := range []struct {
		link  Link
		fault string
	}{
		{Link{}, ""},
		{Link{80 * time.Millisecond, 100e6}, ""},
		{Link{-1, -1}, "rtt -1ns: must be between 0s and 10s\nrate -1: must be between 0 and 100gbit"},
		{Link{10 * time.Second, 10e9}, "lower rtt or rate"},
		{Link{0, math.MaxInt64}, "must be between 0 and 100gbit"},
	} {
		err := c.link.Validate()
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%v: got %v, want %q", c.link, err, c.fault)
		}
	}
}
