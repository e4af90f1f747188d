package optim

import (
	"errors"
	"fmt"
	"math"
)

// minShare is the share of the maximal learning rate that a schedule ends at.
const minShare = 0.1

// Schedule is a linear warm-up followed by half a cosine down to a tenth of Max.
type Schedule struct {
	Max    float64 `json:"max" yaml:"max"`       // the learning rate at the end of the warm-up
	Warmup uint64  `json:"warmup" yaml:"warmup"` // steps
	Total  uint64  `json:"total" yaml:"total"`   // steps, the warm-up's too
}

// Validate joins all faults of s.
func (s Schedule) Validate() error {
	var length error
	if s.Total == 0 || s.Warmup > s.Total {
		length = fmt.Errorf("total is %[2]d, want at least 1 and at least warmup, which is %[1]d", s.Warmup, s.Total)
	}
	return errors.Join(positive("max", s.Max), length)
}

// At returns the learning rate of step t; the first step is t = 1. Steps beyond
// Total train at the minimum.
func (s Schedule) At(t uint64) float64 {
	least := minShare * s.Max
	switch {
	case t <= s.Warmup:
		return s.Max * float64(t) / float64(s.Warmup)
	case t >= s.Total:
		return least
	}
	done := float64(t-s.Warmup) / float64(s.Total-s.Warmup)
	return least + (s.Max-least)*(1+math.Cos(math.Pi*done))/2
}
