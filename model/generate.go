package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Sampler says how the next token is chosen.
type Sampler struct {
	Temperature float64 // divides the logits; 0 takes the likeliest token always
	TopK        int     // draws among the k likeliest tokens only; 0 among all
	Seed        uint64  // the same seed, parameters and prompt give the same text
}

// Validate joins all faults of s.
func (s Sampler) Validate() error {
	var faults []error
	if !(s.Temperature >= 0 && s.Temperature <= math.MaxFloat32) {
		faults = append(faults, fmt.Errorf("temperature is %v, want 0 or more", s.Temperature))
	}
	if s.TopK < 0 {
		faults = append(faults, fmt.Errorf("top-k is %d, want 0 (all tokens) or more", s.TopK))
	}
	return errors.Join(faults...)
}

// Generate continues prompt by count tokens and hands each to emit as it is made. It
// ends early with the error of emit, or of ctx.
//
// The model sees as many tokens as n has context. When they are all used it forgets
// the older half and goes on, so that a token costs one pass over a single row
// except then, unless n recomputes. Of a longer prompt it sees the last tokens only.
func Generate(ctx context.Context, n *Net, params []float32, prompt []int32, count int, s Sampler, emit func(token int32) error) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if len(prompt) == 0 {
		return errors.New("the prompt is empty: give at least one token to continue")
	}
	V := n.cfg.VocabSize
	for i, id := range prompt {
		if id < 0 || int(id) >= V {
			return fmt.Errorf("token %d of the prompt is %d, the model's vocabulary ends at %d", i, id, V-1)
		}
	}
	window := append(make([]int32, 0, n.context), prompt[max(0, len(prompt)-n.context):]...)
	draw, known := newDrawing(s, V), 0 // known tokens have their keys and values in place
	for range count {
		if err := ctx.Err(); err != nil {
			return err
		}
		logits := n.next(params, window, known)
		if !n.shared {
			known = len(window)
		}
		id, err := draw.token(logits)
		if err != nil {
			return err
		}
		if err := emit(id); err != nil {
			return err
		}
		if len(window) == n.context {
			window, known = append(window[:0], window[(n.context+1)/2:]...), 0
		}
		window = append(window, id)
	}
	return nil
}

// drawing is a Sampler at work.
type drawing struct {
	Sampler
	rng     *rand.Rand
	order   []int32   // [V] tokens, the likeliest first as far as they are needed
	weights []float64 // [V] by place in order
}

func newDrawing(s Sampler, vocab int) *drawing {
	return &drawing{
		Sampler: s,
		rng:     rand.New(rand.NewPCG(s.Seed, 0x73616d706c65)), // "sample"
		order:   make([]int32, vocab), weights: make([]float64, vocab),
	}
}

// token chooses by logits, [V]. Of equal logits the lower token comes first.
func (d *drawing) token(logits []float32) (int32, error) {
	best := 0
	for id, v := range logits {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return 0, fmt.Errorf("the model's logit for token %d is %v: its parameters have diverged or are damaged", id, v)
		}
		if v > logits[best] {
			best = id
		}
	}
	if d.Temperature == 0 {
		return int32(best), nil
	}
	for id := range d.order {
		d.order[id] = int32(id)
	}
	among := len(d.order)
	if 0 < d.TopK && d.TopK < among {
		among = d.TopK
		slices.SortFunc(d.order, func(a, b int32) int {
			return cmp.Or(cmp.Compare(logits[b], logits[a]), cmp.Compare(a, b))
		})
	}
	var total float64
	for i, id := range d.order[:among] {
		d.weights[i] = math.Exp(float64(logits[id]-logits[best]) / d.Temperature)
		total += d.weights[i]
	}
	at := d.rng.Float64() * total
	for i, w := range d.weights[:among] {
		if at -= w; at < 0 {
			return d.order[i], nil
		}
	}
	return int32(best), nil // at was total to the last bit
}
