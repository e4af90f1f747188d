package sim

import (
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParsePaperEnv(t *testing.T) {
	text, err := os.ReadFile("testdata/paper_env.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseEnv(text)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, PaperEnv()) {
		t.Errorf("got %+v, want %+v", got, PaperEnv())
	}
}

func TestParseEnvNamesTheFault(t *testing.T) {
	const sound = `
num_regions: 2
network_bandwidths: [[10, 0.1], [0.1, 10]]
network_latencies_ms: [[0, 40], [40, 0]]
worker_speeds: [[1, 0.5, 1], [0.8]]
`
	if e, err := ParseEnv([]byte(sound)); err != nil || len(e.Speeds[0]) != 3 || e.Latency[0][1] != 40 {
		t.Fatalf("got %+v, %v", e, err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"bandwidth missing", "[0.1, 10]]", "[null, 10]]", "network_bandwidths[1][0]"},
		{"bandwidth 0", "[[10, 0.1]", "[[10, 0]", "network_bandwidths[0][1]"},
		{"bandwidth not a number", "[[10, 0.1]", "[[10, .nan]", "network_bandwidths[0][1]"},
		{"row too short", "[0.1, 10]]", "[0.1]]", "network_bandwidths[1]: 1 numbers"},
		{"row missing", ", [0.1, 10]]", "]", "network_bandwidths: 1 rows"},
		{"row too many", "[0.1, 10]]", "[0.1, 10], [1, 1]]", "network_bandwidths: 3 rows"},
		{"no bandwidths", "network_bandwidths: [[10, 0.1], [0.1, 10]]", "", "network_bandwidths: 0 rows"},
		{"negative latency", "[40, 0]]", "[-1, 0]]", "network_latencies_ms[1][0]"},
		{"latency row short", "[40, 0]]", "[40]]", "network_latencies_ms[1]"},
		{"speed 0", "[0.8]]", "[0]]", "worker_speeds[1][0]"},
		{"speed infinite", "[0.8]]", "[.inf]]", "worker_speeds[1][0]"},
		{"speeds too unequal", "[0.8]]", "[1e-10]]", "worker_speeds: from 1e-10 to 1"},
		{"bandwidth next to nothing", "[[10, 0.1]", "[[10, 1e-320]", "network_bandwidths[0][1]"},
		{"latency of years", "[40, 0]]", "[1e308, 0]]", "network_latencies_ms[1][0]"},
		{"nested deeply", "num_regions: 2", "num_regions: " + strings.Repeat("[", 40_000), "deep"},
		{"nested deeply in lists", "num_regions: 2", "num_regions:\n" + strings.Repeat("- ", 40_000), "deep"},
		{"region without workers", "[0.8]]", "[]]", "worker_speeds[1]: region 1 has no workers"},
		{"other number of regions", "num_regions: 2", "num_regions: 3", "num_regions: 3"},
		{"half a region", "num_regions: 2", "num_regions: 2.5", "num_regions: 2.5"},
		{"latency missing", "[40, 0]]", "[null, 0]]", "network_latencies_ms[1][0]"},
		{"two documents", "[0.8]]", "[0.8]]\n---\nnum_regions: 1", "more than one document"},
		{"empty", sound, "", "environment"},
		{"unknown field", "num_regions: 2", "num_regions: 2\nspeed: 1", "speed"},
		{"text for a number", "[0.8]]", "[fast]]", `line 5: "fast", want float64`},
		{"not YAML", "num_regions: 2", "num_regions: [", "environment"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(sound, c.old) {
				t.Fatalf("%q is not in the environment", c.old)
			}
			_, err := ParseEnv([]byte(strings.Replace(sound, c.old, c.new, 1)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to name %q", err, c.want)
			}
		})
	}
}

func FuzzParseEnv(f *testing.F) {
	f.Add([]byte("num_regions: 1\nnetwork_bandwidths: [[1]]\nworker_speeds: [[1]]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := ParseEnv(text)
		if err == nil && (len(e.Speeds) == 0 || e.Validate() != nil) {
			t.Errorf("accepted %q", text)
		}
	})
}

// The best of all orders, by trying all.
func TestBestOrder(t *testing.T) {
	envs := []Env{PaperEnv()}
	for seed := range 40 {
		n := 2 + seed%6
		e := Env{Gbit: make([][]float64, n), Speeds: make([][]float64, n)}
		for a := range n {
			e.Gbit[a], e.Speeds[a] = make([]float64, n), []float64{1}
			for b := range n {
				e.Gbit[a][b] = float64(1 + (seed*31+a*17+b*13+a*b*7)%23)
			}
		}
		envs = append(envs, e)
	}
	for i, e := range envs {
		left := make([]int, 0, len(e.Gbit))
		for r := 1; r < len(e.Gbit); r++ {
			left = append(left, r)
		}
		want := dumbOrder(e, []int{0}, left)
		if got := slowest(t, e, e.bestOrder()); got != want {
			t.Errorf("env %d: slowest link of the best ring %v, want %v", i, got, want)
		}
		if got := slowest(t, e, e.goodOrder()); got > want || got <= 0 {
			t.Errorf("env %d: slowest link of a good ring %v, the best one's is %v", i, got, want)
		}
	}
}

// slowest is the slowest link of a circle that visits every region once.
func slowest(t *testing.T, e Env, order []int) float64 {
	t.Helper()
	sorted := slices.Sorted(slices.Values(order))
	if len(sorted) != len(e.Gbit) || len(slices.Compact(sorted)) != len(e.Gbit) {
		t.Fatalf("%v does not visit each of %d regions once", order, len(e.Gbit))
	}
	gbit := math.Inf(1)
	for i, from := range order {
		gbit = min(gbit, e.Gbit[from][order[(i+1)%len(order)]])
	}
	return gbit
}

// A link that the ring avoids costs it nothing.
func TestRingPaysForItsOwnLinks(t *testing.T) {
	e := PaperEnv()
	e.Latency = [][]float64{{1, 50, 50, 50}, {50, 1, 50, 50}, {50, 50, 1, 50}, {50, 50, 50, 1}}
	order := e.order()
	for _, c := range []struct {
		name     string
		from, to int
		want     float64
	}{
		{"a link of the ring", order[3], order[0], 5000},
		{"another", order[0], order[2], 50},
		{"a link within a region", 2, 2, 5000},
	} {
		was := e.Latency[c.from][c.to]
		e.Latency[c.from][c.to] = 5000
		if got := e.ring().latency; got != c.want {
			t.Errorf("%s of 5000 ms: latency %v ms, want %v", c.name, got, c.want)
		}
		e.Latency[c.from][c.to] = was
	}
}

func dumbOrder(e Env, route, left []int) float64 {
	last := route[len(route)-1]
	if len(left) == 0 {
		return e.Gbit[last][0]
	}
	best := 0.0
	for i, next := range left {
		rest := append(append([]int(nil), left[:i]...), left[i+1:]...)
		best = max(best, min(e.Gbit[last][next], dumbOrder(e, append(route, next), rest)))
	}
	return best
}
