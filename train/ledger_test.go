package train

import (
	"context"
	"slices"
	"testing"

	"halos/data"
)

func TestLedgerMarksItsSteps(t *testing.T) {
	l := Ledger{Batch: 2, Context: 8}
	params := make([]float32, 6)
	for _, c := range []struct {
		first, steps uint64
		want         []float32
	}{
		{2, 2, []float32{0, 1, 1, 0, 0, 0}},
		{8, 2, []float32{0, 1, 1, 0, 1, 1}},
		{2, 1, []float32{0, 2, 1, 0, 1, 1}}, // twice shows
	} {
		task := data.Task{Samples: data.Interval{Start: c.first, End: c.first + 2*c.steps}, Steps: int(c.steps)}
		r, err := l.Run(t.Context(), params, task)
		if err != nil {
			t.Fatal(err)
		}
		if want := (Result{Steps: int(c.steps), Samples: task.Samples, Tokens: 16 * c.steps}); r != want {
			t.Errorf("got %+v, want %+v", r, want)
		}
		if !slices.Equal(params, c.want) {
			t.Errorf("after steps from sample %d: %v, want %v", c.first, params, c.want)
		}
	}
}

func TestLedgerRefusesTasksItCannotCount(t *testing.T) {
	l := Ledger{Batch: 2, Context: 8}
	params := make([]float32, 6)
	for _, c := range []struct {
		name string
		task data.Task
	}{
		{"beyond the model", data.Task{Samples: data.Interval{Start: 10, End: 14}, Steps: 2}},
		{"half a batch", data.Task{Samples: data.Interval{Start: 0, End: 3}, Steps: 1}},
		{"other steps", data.Task{Samples: data.Interval{Start: 0, End: 4}, Steps: 3}},
		{"fewer than none", data.Task{Samples: data.Interval{Start: 0, End: 4}, Steps: -2}},
	} {
		if r, err := l.Run(t.Context(), params, c.task); err == nil || r.Steps != 0 {
			t.Errorf("%s: %+v, %v, want an error", c.name, r, err)
		}
	}
	if !slices.Equal(params, make([]float32, 6)) {
		t.Errorf("refused tasks changed the model: %v", params)
	}
}

func TestLedgerEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := (&Ledger{Batch: 1}).Run(ctx, make([]float32, 3), data.Task{Samples: data.Interval{End: 3}, Steps: 3})
	if err != nil || r.Steps != 0 {
		t.Errorf("%+v, %v, want no step and no error", r, err)
	}
}
