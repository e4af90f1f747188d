package wire

import (
	"strings"
	"testing"
)

func TestTopics(t *testing.T) {
	job := strings.Repeat("0123456789abcdef", 4)
	for _, tc := range []struct{ got, want string }{
		{RegionDelta(job, "eu"), "/halos/0123456789abcdef/region/eu/delta"},
		{RegionControl(job, "us-1"), "/halos/0123456789abcdef/region/us-1/control"},
		{GlobalDelta(job), "/halos/0123456789abcdef/global/delta"},
		{GlobalControl(job), "/halos/0123456789abcdef/global/control"},
		{GlobalControl("beef"), "/halos/beef/global/control"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %s, want %s", tc.got, tc.want)
		}
	}
}

func TestCheckRegion(t *testing.T) {
	for _, tc := range []struct {
		name string
		ok   bool
	}{
		{"eu", true},
		{"eu-west-1", true},
		{"7", true},
		{strings.Repeat("a", 32), true},
		{"", false},
		{strings.Repeat("a", 33), false},
		{"EU", false},
		{"eu/delta", false},
		{"eu west", false},
		{"eu\x00", false},
		{"é", false},
	} {
		if err := CheckRegion(tc.name); (err == nil) != tc.ok {
			t.Errorf("%q: got %v, want ok %v", tc.name, err, tc.ok)
		}
	}
}
