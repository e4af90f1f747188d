package train

import (
	"slices"
	"testing"

	"halos/model"
	"halos/tensor"
)

// broad is wide enough that its work is done in parts.
var broad = func() Config {
	c := tiny
	c.Model.HiddenSize, c.Model.IntermediateSize, c.Model.NumHiddenLayers = 96, 384, 2
	c.Batch, c.Context = 8, 32
	return c
}()

func TestAStepAllocatesNothing(t *testing.T) {
	pool := tensor.NewPool(2)
	defer pool.Close()
	for _, o := range []model.Options{{}, {Pool: pool}, {Pool: pool, Recompute: true}} {
		tr, params := startWith(t, broad, o)
		ctx, one := t.Context(), task(broad, 0, 1)
		if n := testing.AllocsPerRun(5, func() { _, _ = tr.Run(ctx, params, one) }); n != 0 {
			t.Errorf("%+v: a step allocates %v times, want 0", o, n)
		}
	}
}

func TestOptionsKeepTheBits(t *testing.T) {
	corpus, err := austen()
	if err != nil {
		t.Fatal(err)
	}
	pool := tensor.NewPool(3)
	defer pool.Close()
	var params []float32
	var result Result
	var loss float64
	for _, o := range []model.Options{{}, {Pool: pool}, {Pool: pool, Recompute: true}} {
		tr, got := startWith(t, broad, o)
		r := run(t, tr, got, task(broad, 0, 3))
		l, err := NewEvaluator(broad.Model, corpus, broad.Context, 5, o).Loss(t.Context(), got)
		if err != nil {
			t.Fatal(err)
		}
		if params == nil {
			params, result, loss = got, r, l
		}
		if !slices.Equal(got, params) || r != result || l != loss {
			t.Errorf("%+v: %+v and held-out loss %v, want %+v and %v, or parameters differ", o, r, l, result, loss)
		}
	}
}
