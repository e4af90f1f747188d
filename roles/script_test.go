package roles

import (
	"fmt"
	"strings"
	"testing"

	"halos/data"
)

// line is one event of a script and the whole trace of actions that must follow.
type line struct {
	ev   Event
	want string
}

// script is a named exchange with a role that make returns.
type script struct {
	name  string
	make  func() actor
	lines []line
}

type actor interface{ Step(Event) []Action }

// ticks are that many Ticks.
type ticks int

// ends is TrainDone of a trainer that left the model's only parameter at to.
type ends struct {
	TrainDone
	to float32
}

func (ticks) event() {}

// play runs scripts and compares the trace of every line.
func play(t *testing.T, scripts []script) {
	t.Helper()
	for _, s := range scripts {
		t.Run(s.name, func(t *testing.T) {
			role := s.make()
			var trainer []float32
			for i, l := range s.lines {
				acts := perform(role, l.ev, trainer)
				for _, a := range acts {
					if a, ok := a.(Train); ok {
						trainer = a.Params
					}
				}
				if got := trace(acts); got != l.want {
					t.Errorf("line %d, %T%+v:\n got  %s\n want %s", i+1, l.ev, l.ev, got, l.want)
				}
			}
		})
	}
}

func perform(role actor, ev Event, trainer []float32) []Action {
	switch ev := ev.(type) {
	case ticks:
		var acts []Action
		for range ev {
			acts = append(acts, role.Step(Tick{})...)
		}
		return acts
	case ends:
		if trainer == nil { // the prelude's round
			trainer = role.(*Worker).params
		}
		trainer[0] = ev.to
		return role.Step(ev.TrainDone)
	}
	return role.Step(ev)
}

func trace(acts []Action) string {
	var words []string
	for _, a := range acts {
		words = append(words, word(a))
	}
	return strings.Join(words, " ")
}

// word writes an action as its name and what distinguishes it: a delta is
// client:seq, a model's name term.version, marks decided/durable, a task its samples
// and @ its place on the schedule. What is zero or empty is left out.
func word(a Action) string {
	switch a := a.(type) {
	case Hello:
		return list("hello", a.Client, a.Session, a.Next, a.Oldest, a.Leases, a.Base)
	case Welcome:
		return list("welcome", a.Client, fmt.Sprintf("s%d", a.Session), fmt.Sprintf("%d/%d", a.Decided, a.Durable), a.Leases)
	case Reject:
		return list("reject", a.Client, a.Reason)
	case Delta:
		return list("delta", a.Name, a.Samples, fmt.Sprintf("%+g", a.Values[0]))
	case Follow:
		return list("follow", a.Client, fmt.Sprintf("c%d", a.Contains), a.Have)
	case Model:
		return list("model", a.Client, a.ID, fmt.Sprintf("c%d", a.Contains), a.Params[0])
	case Marks:
		w := []any{a.Client, fmt.Sprintf("%d/%d", a.Decided, a.Durable)}
		for _, r := range a.Refused {
			w = append(w, fmt.Sprintf("refused %d", r.Seq))
		}
		if a.Want > 0 {
			w = append(w, fmt.Sprintf("want %d", a.Want))
		}
		return list("marks", w...)
	case Grant:
		w := []any{a.Client, a.Ranges}
		for _, t := range a.Tasks {
			w = append(w, fmt.Sprintf("%v@%d", t.Samples, t.First))
		}
		if a.Exhausted {
			w = append(w, "exhausted")
		}
		return list("grant", w...)
	case Ask:
		if a.Samples > 0 {
			return list("ask", a.Client, a.Samples)
		}
		return list("ask", a.Client)
	case Return:
		return list("return", a.Client, a.Samples)
	case Leaving:
		return list("leaving", a.Client)
	case Ended:
		return list("ended", a.Client)
	case Train:
		return list("train", fmt.Sprintf("%v@%d", a.Task.Samples, a.Task.First), a.Base, a.Params[0])
	case StopTraining:
		return "stop"
	case Snapshot:
		return list("snapshot", a.ID)
	case Named:
		return list("named", a.Name, a.Samples)
	case Released:
		return list("released", a.Name)
	case Applied:
		return list("applied", a.Name, a.Version)
	case Refused:
		return list("refused", a.Name)
	case Lost:
		return list("lost", a.Client, fmt.Sprintf("%d-%d", a.From, a.To))
	case Merged:
		return list("merged", a.Version, a.Global)
	case Finished:
		switch {
		case a.Diverged:
			return "finished(diverged)"
		case a.Ended:
			return "finished(ended)"
		}
		return "finished"
	}
	return fmt.Sprintf("%T", a)
}

func list(name string, fields ...any) string {
	var w []string
	for _, f := range fields {
		switch f := f.(type) {
		case data.Intervals:
			for _, iv := range f {
				w = append(w, iv.String())
			}
		case Name:
			w = append(w, fmt.Sprintf("%s:%d", f.Client, f.Seq))
		case ModelID:
			if f != (ModelID{}) {
				w = append(w, fmt.Sprintf("%d.%d", f.Term.Counter, f.Version))
			}
		default:
			w = append(w, fmt.Sprint(f))
		}
	}
	return name + "(" + strings.Join(w, ",") + ")"
}
