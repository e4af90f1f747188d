package train

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"halos/data"
	"halos/model"
	"halos/tensor"
)

// short returns a corpus with 20 held-out windows of 16+1 tokens.
func short(t *testing.T) *data.Corpus {
	t.Helper()
	file := filepath.Join(t.TempDir(), "text")
	text := strings.Repeat("It is a truth universally acknowledged, 0123456789. ", 140)[:20*20*17]
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := data.Describe("short", file)
	if err != nil {
		t.Fatal(err)
	}
	corpus, err := data.Open(source, file)
	if err != nil {
		t.Fatal(err)
	}
	return corpus
}

func TestEvaluatorAgreesWithSingleWindows(t *testing.T) {
	corpus := short(t)
	params := make([]float32, tiny.Model.NumParams())
	model.Init(params, tiny.Model, 3)
	for i := range params {
		params[i] *= 3 // so that windows differ in their loss
	}
	net := model.NewNet(tiny.Model, 1, 16, model.Options{})
	for _, c := range []struct {
		name    string
		windows int
		want    []int // held-out windows
	}{
		{"one", 1, []int{0}},
		{"less than a batch", 3, []int{0, 6, 13}},
		{"a batch and a rest", 10, []int{0, 2, 4, 6, 8, 10, 12, 14, 16, 18}},
		{"all", 20, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}},
		{"more than there are", math.MaxInt, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := NewEvaluator(tiny.Model, corpus, 16, c.windows, model.Options{}).Loss(t.Context(), params)
			if err != nil {
				t.Fatal(err)
			}
			want, window := 0.0, make([]int32, 17)
			for _, i := range c.want {
				corpus.Validation(window, i)
				want += net.Loss(params, window, 1, 16) / float64(len(c.want))
			}
			if math.Abs(got-want) > 1e-5 {
				t.Errorf("loss %v, want %v", got, want)
			}
		})
	}
}

func TestEvaluatorEndsWithItsContext(t *testing.T) {
	e := NewEvaluator(tiny.Model, short(t), 16, 20, model.Options{})
	params := make([]float32, tiny.Model.NumParams())
	left := 2 // of three batches
	if _, err := e.Loss(endsAfter{t.Context(), &left}, params); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestEvaluatorAllocatesNothing(t *testing.T) {
	pool := tensor.NewPool(2)
	defer pool.Close()
	e := NewEvaluator(broad.Model, short(t), 16, 11, model.Options{Pool: pool})
	params := make([]float32, broad.Model.NumParams())
	ctx := t.Context()
	if n := testing.AllocsPerRun(5, func() { _, _ = e.Loss(ctx, params) }); n != 0 {
		t.Errorf("Loss allocates %v times, want 0", n)
	}
}
