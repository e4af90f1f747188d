package optim

import (
	"math"
	"testing"
)

func TestScheduleAt(t *testing.T) {
	paper := Schedule{Max: 1e-3, Warmup: 300, Total: 6144}
	for _, c := range []struct {
		name     string
		schedule Schedule
		t        uint64
		want     float64
	}{
		{"first step", paper, 1, 1e-3 / 300},
		{"half way up", paper, 150, 5e-4},
		{"end of the warm-up", paper, 300, 1e-3},
		{"a quarter down", paper, 300 + 5844/4, 1e-4 + 9e-4*(1+math.Sqrt2/2)/2},
		{"half way down", paper, 300 + 5844/2, 5.5e-4},
		{"last step", paper, 6144, 1e-4},
		{"beyond the end", paper, 1 << 40, 1e-4},
		{"no warm-up, first", Schedule{Max: 1, Total: 3}, 1, 0.1 + 0.9*0.75},
		{"no warm-up, last", Schedule{Max: 1, Total: 3}, 3, 0.1},
		{"all warm-up, last", Schedule{Max: 1, Warmup: 4, Total: 4}, 4, 1},
		{"all warm-up, beyond", Schedule{Max: 1, Warmup: 4, Total: 4}, 5, 0.1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.schedule.At(c.t); math.Abs(got-c.want) > 1e-12*c.want {
				t.Errorf("lr(%d) = %v, want %v", c.t, got, c.want)
			}
		})
	}
}

func TestScheduleValidate(t *testing.T) {
	for _, c := range []struct {
		name     string
		schedule Schedule
		want     string
	}{
		{"the paper's", Schedule{1e-3, 300, 6144}, ""},
		{"no warm-up", Schedule{1e-3, 0, 1}, ""},
		{"no rate", Schedule{0, 0, 1}, "max is 0, want more than 0"},
		{"no steps", Schedule{1, 0, 0}, "total is 0, want at least 1 and at least warmup, which is 0"},
		{"a warm-up beyond the end", Schedule{math.NaN(), 2, 1}, "max is NaN, want more than 0\ntotal is 1, want at least 1 and at least warmup, which is 2"},
	} {
		t.Run(c.name, func(t *testing.T) { checkError(t, c.schedule.Validate(), c.want) })
	}
}
