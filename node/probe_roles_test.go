package node

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"halos/optim"
	"halos/roles"
)

// wrote puts actions into a few words.
func wrote(acts []roles.Action) string {
	var words []string
	for _, a := range acts {
		switch a := a.(type) {
		case roles.Hello:
			words = append(words, fmt.Sprintf("hello(session %d, next %d, oldest %d)", a.Session, a.Next, a.Oldest))
		case roles.Delta:
			words = append(words, fmt.Sprintf("delta(%d)", a.Seq))
		case roles.Follow:
			words = append(words, fmt.Sprintf("follow(have %d)", a.Have.Version))
		case roles.Welcome:
			words = append(words, fmt.Sprintf("welcome(session %d, decided %d)", a.Session, a.Decided))
		case roles.Reject:
			words = append(words, fmt.Sprintf("reject(%s)", a.Reason))
		case roles.Marks:
			words = append(words, fmt.Sprintf("marks(decided %d, want %d, refused %d)", a.Decided, a.Want, len(a.Refused)))
		case roles.Model:
			words = append(words, fmt.Sprintf("model(%d)", a.ID.Version))
		default:
			words = append(words, fmt.Sprintf("%T", a))
		}
	}
	return strings.Join(words, " ")
}

// stage is one event for a machine and what it must answer.
type stage struct {
	ev   roles.Event
	want string
}

func play(t *testing.T, m machine, script []stage) {
	t.Helper()
	for i, s := range script {
		if got := wrote(m.Step(s.ev)); got != s.want {
			t.Errorf("event %d, %T: got %q, want %q", i+1, s.ev, got, s.want)
		}
	}
}

func TestProbeSource(t *testing.T) {
	const long = time.Hour
	model := func(v uint64) roles.Model { return roles.Model{ID: roles.ModelID{Version: v}, Params: []float32{2}} }
	for _, c := range []struct {
		name   string
		path   ProbePath
		during time.Duration
		script []stage
		over   string
	}{
		{"one delta where there is no time for another", ProbeDelta, 0, []stage{
			{roles.Connected{}, "hello(session 0, next 1, oldest 1)"},
			{roles.Tick{}, ""},
			{roles.Welcome{Session: 1}, ""},
			{roles.Tick{}, "delta(1)"},
			{roles.Marks{Session: 1, Decided: 1, Durable: 1}, ""},
		}, "1 transfers, 0 broken, <nil>"},
		{"the second when the first is half sent, then always two", ProbeDelta, long, []stage{
			{roles.Connected{}, "hello(session 0, next 1, oldest 1)"},
			{roles.Welcome{Session: 1}, ""},
			{roles.Tick{}, "delta(1)"},
			{roles.Tick{}, ""},
			{roles.ServerGone{}, ""}, // which the test takes for chunks that were sent
			{roles.Tick{}, ""},
			{roles.Connected{}, "hello(session 1, next 2, oldest 1)"},
			{roles.Welcome{Session: 1}, "delta(1) delta(2)"},
			{roles.Marks{Session: 1, Decided: 1}, "delta(3)"},
			{roles.Marks{Session: 1, Decided: 1, Want: 2}, "delta(2) delta(3)"},
			{roles.Marks{Session: 1, Decided: 3}, "delta(4) delta(5)"},
			{roles.Marks{Session: 2, Decided: 9}, ""},
			{roles.Marks{Session: 1, Decided: 4, Refused: []roles.Refusal{{Seq: 4, Reason: "why"}}}, ""},
		}, "3 transfers, 1 broken, delta 4: refused by the server: why"},
		{"models one by one", ProbeModel, long, []stage{
			{roles.Connected{}, "hello(session 0, next 1, oldest 1)"},
			{roles.Welcome{Session: 1}, ""},
			{roles.Tick{}, "follow(have 0)"},
			{roles.Tick{}, ""},
			{model(1), "follow(have 1)"},
			{roles.ServerGone{}, ""},
			{roles.Welcome{Session: 1}, "follow(have 1)"},
		}, ""},
		{"one model", ProbeModel, 0, []stage{
			{roles.Connected{}, "hello(session 0, next 1, oldest 1)"},
			{roles.Welcome{Session: 1}, ""},
			{roles.Tick{}, "follow(have 0)"},
			{model(1), ""},
		}, "1 transfers, 0 broken, <nil>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &probeSource{ask: probeAsk{Path: c.path, For: c.during}, values: []float32{1}, frame: 4, over: make(chan delivery, 1)}
			s.known = func() bool { return true }
			s.sent = func() uint64 { return uint64(3 * s.broken) }
			s.ready = func() {}
			play(t, s, c.script)
			over := ""
			select {
			case d := <-s.over:
				over = fmt.Sprintf("%d transfers, %d broken, %v", d.transfers, d.broken, d.err)
			default:
			}
			if over != c.over {
				t.Errorf("ended with %q, want %q", over, c.over)
			}
		})
	}
}

func TestProbeSourceWaitsForTheTopic(t *testing.T) {
	known := false
	s := &probeSource{ask: probeAsk{Path: ProbeDelta}, known: func() bool { return known }, ready: func() {}}
	s.Step(roles.Welcome{Session: 1})
	play(t, s, []stage{{roles.Tick{}, ""}})
	known = true
	play(t, s, []stage{{roles.Tick{}, "delta(1)"}})
}

func TestProbeSourceGivesUpAServerThatHasGone(t *testing.T) {
	s := &probeSource{ask: probeAsk{Path: ProbeDelta}, over: make(chan delivery, 1), away: time.Now().Add(-maxAway - time.Second)}
	play(t, s, []stage{{roles.Tick{}, ""}, {roles.Tick{}, ""}})
	if d := <-s.over; !errors.Is(d.err, ErrUnreachable) {
		t.Errorf("ended with %v", d.err)
	}
}

func TestProbeSink(t *testing.T) {
	delta := func(seq uint64, norm float64, values ...float32) roles.Delta {
		return roles.Delta{Name: roles.Name{Client: "eu", Session: 1, Seq: seq}, Norm: norm, Values: values}
	}
	s := &probeSink{client: "me", params: []float32{10}, opt: optim.NewDelayedNesterov(optim.NesterovConfig{LR: 1, N: 1}, 1)}
	play(t, s, []stage{
		{roles.Hello{Client: "eu", Peer: "stranger"}, "reject(taken)"},
		{roles.Hello{Client: "eu", Peer: "me"}, "welcome(session 1, decided 0)"},
		{delta(1, 2, 2), "marks(decided 1, want 0, refused 0)"},
		{delta(1, 2, 2), "marks(decided 1, want 0, refused 0)"},
		{delta(3, 2, 2), "marks(decided 1, want 2, refused 0)"},
		{delta(2, math.NaN(), 2), "marks(decided 2, want 0, refused 1)"},
		{delta(3, 2), "marks(decided 3, want 0, refused 1)"},
		{roles.Hello{Client: "eu", Peer: "me", Session: 1}, "welcome(session 1, decided 3)"},
		{delta(4, 3, 3), "marks(decided 4, want 0, refused 0)"},
		{roles.Tick{}, ""},
	})
	if s.params[0] != 5 {
		t.Errorf("model %v, want 10 - 2 - 3: each delta once", s.params)
	}
	play(t, s, []stage{{roles.Follow{Client: "eu"}, "model(3)"}, {roles.Follow{Client: "eu"}, "model(4)"}})
}

func TestProbeJobHasTheSizeThatWasAsked(t *testing.T) {
	for _, bytes := range []int{minProbe, 1e6, 33e6, 64e6, 1e9, maxProbe} {
		j, err := probeJob(bytes)
		if err != nil {
			t.Errorf("%d bytes: %v", bytes, err)
			continue
		}
		if got := 4 * j.Model.NumParams(); math.Abs(float64(got-bytes)) > 1100 {
			t.Errorf("%d bytes asked for, the model has %d", bytes, got)
		}
	}
}

func TestNoiseDiffers(t *testing.T) {
	a, b := make([]float32, 4096), make([]float32, 4096)
	noise(a, 1)
	noise(b, 2)
	seen, sum := map[float32]bool{}, 0.0
	for i := range a {
		seen[a[i]], seen[b[i]] = true, true
		sum += float64(a[i])
		if math.Abs(float64(a[i])) > 1./1024 {
			t.Fatalf("value %v", a[i])
		}
	}
	if len(seen) < 8000 || math.Abs(sum) > 0.1 {
		t.Errorf("%d different values of 8192, sum %v", len(seen), sum)
	}
}
