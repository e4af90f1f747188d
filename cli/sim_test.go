package cli

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"halos/sim"
)

// toySim are flags of a simulation that takes a moment.
var toySim = []string{
	"sim", "--tokens", "19200", "--evals", "5", "--windows", "8", "--H", "4",
	"--set", "model.hidden_size=16", "--set", "model.num_hidden_layers=1", "--set", "model.num_attention_heads=2",
	"--set", "model.intermediate_size=32", "--set", "model.max_position_embeddings=16", "--set", "batch=2",
	"--set", "optimizer.warmup=5",
}

func with(args []string, more ...string) []string {
	return append(append([]string(nil), args...), more...)
}

func TestSim(t *testing.T) {
	plot := filepath.Join(t.TempDir(), "out.svg")
	o := run(t, with(toySim, "--seeds", "2", "--data", "2=sotu", "--plot", plot, "--json")...)
	var r sim.Report
	if err := json.Unmarshal([]byte(o.out), &r); err != nil || o.code != codeOK || o.err != "" {
		t.Fatalf("%v: %+v", err, o)
	}
	if r.Schema != "halos.sim/1" || r.Env != "paper" || r.Preset != "paper" || r.Tokens != 19200 || r.Seeds != 2 || len(r.Algorithms) != 6 {
		t.Errorf("%+v", r)
	}
	for i, m := range r.Algorithms {
		if m.Algo != sim.Algos()[i] || len(m.Runs.Runs) != 2 || m.ToTarget == nil || m.RatioToHALoS == nil || !(*m.Loss < 5) || *m.LossLeast > *m.Loss || *m.LossMost < *m.Loss || m.Tokens < 19200 {
			t.Errorf("%+v", m)
		}
		if m.Algo == sim.HALoS && (*m.RatioToHALoS != 1 || m.K == 0) {
			t.Errorf("%+v", m)
		}
	}
	isXML(t, plot, "polyline")
	if o := run(t, with(toySim, "--algo", "halos,ddp")...); o.code != codeOK || !strings.Contains(o.out, "unshipped") || strings.Count(o.out, "\n") != 5 {
		t.Errorf("%+v", o)
	}
}

func TestCompare(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, args ...string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(run(t, with(toySim, with(args, "--json")...)...).out), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ours, paper, ddp := file("ours.json", "--algo", "halos"), file("paper.json", "--algo", "halos", "--inflight", "paper"), file("ddp.json", "--algo", "ddp")
	plot := filepath.Join(dir, "out.svg")
	o := run(t, "sim", "compare", "--target", "4.9", "--plot", plot, "--json", ours, "as <published>="+paper, ddp)
	var r sim.Report
	if err := json.Unmarshal([]byte(o.out), &r); err != nil || o.code != codeOK || o.err != "" {
		t.Fatalf("%v: %+v", err, o)
	}
	if r.Target != 4.9 || r.InFlight != "" || len(r.Algorithms) != 3 {
		t.Errorf("%+v", r)
	}
	for i, name := range []string{"halos", "as <published>", "ddp"} {
		if m := r.Algorithms[i]; m.Name != name || len(m.Runs.Runs) != 1 || m.ToTarget == nil || m.RatioToHALoS == nil || i == 0 && *m.RatioToHALoS != 1 {
			t.Errorf("%+v", m)
		}
	}
	isXML(t, plot, "polyline")
	if o := run(t, "sim", "compare", ours, ddp); o.code != codeOK || !strings.Contains(o.out, "inflight carry") || strings.Count(o.out, "\n") != 5 {
		t.Errorf("%+v", o)
	}

	if o := run(t, "sim", "compare", "--target", "6", ours, ddp); o.code != codeOK || strings.Contains(o.out, "NaN") || strings.Contains(o.out, "Inf") {
		t.Errorf("a target above all losses: %+v", o)
	}
	other := file("other=1.json", "--algo", "ddp", "--windows", "4")
	refused(t, run(t, "sim", "compare", ours, other), codeFailed, "held-out samples")
	refused(t, run(t, "sim", "compare", "--target", "NaN", ours), codeUsage, "--target")
	text, err := os.ReadFile(ddp)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"no algorithms", `"algorithms": [`, `"algorithms": [], "was": [`, "algorithms: none"},
		{"an unknown algorithm", `"algo": "ddp"`, `"algo": "sgd"`, "algorithms[0].algo"},
		{"a run missing", `"seeds": 1`, `"seeds": 2`, "algorithms[0].runs: 1"},
		{"no curve", `"curve": [`, `"curve": [], "was": [`, "algorithms[0].runs[0].curve: empty"},
		{"a null point", `"curve": [`, `"curve": [null,`, "algorithms[0].runs[0].curve[0]"},
		{"another schema", "halos.sim/1", "halos.sim/2", "schema"},
	} {
		changed := filepath.Join(dir, "changed.json")
		if !strings.Contains(string(text), c.old) {
			t.Fatalf("no %q in %s", c.old, text)
		}
		if err := os.WriteFile(changed, []byte(strings.Replace(string(text), c.old, c.new, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Run(c.name, func(t *testing.T) {
			refused(t, run(t, "sim", "compare", changed), codeFailed, changed, c.want)
		})
	}

	longer := file("longer.json", "--algo", "ddp", "--tokens", "38400")
	refused(t, run(t, "sim", "compare", ours, longer), codeFailed, "19200 tokens", "38400 tokens", "cannot be compared")
	refused(t, run(t, "sim", "compare"), codeUsage, "no file")
	refused(t, run(t, "sim", "compare", plot), codeFailed, plot, "halos sim --json")
	refused(t, run(t, "sim", "compare", ours+"x"), codeFailed, "ours.jsonx")
	forecast := filepath.Join(dir, "forecast.json")
	if err := os.WriteFile(forecast, []byte(`{"schema": "halos.forecast/1"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, run(t, "sim", "compare", forecast), codeFailed, forecast, "halos.forecast/1", "halos.sim/1")
}

func isXML(t *testing.T, file, element string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := 0
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == element {
			found++
		}
	}
	if found == 0 {
		t.Errorf("%s has no %s", file, element)
	}
}

// What --set says holds unless a flag of its own says otherwise.
func TestSimSet(t *testing.T) {
	o := run(t, with(toySim, "--algo", "halos", "--set", "inflight=paper", "--set", "seed=7", "--json")...)
	if o.code != codeOK || !strings.Contains(o.out, `"inflight": "paper"`) || !strings.Contains(o.out, `"seed": 7`) {
		t.Errorf("%+v", o)
	}
}

// Runs that never learn are reported all the same.
func TestSimThatLearnsNothing(t *testing.T) {
	o := run(t, with(toySim, "--algo", "halos,async", "--outer-lr", "50", "--json")...)
	if !json.Valid([]byte(o.out)) || o.code != codeOK {
		t.Errorf("a method that never learns: %+v", o)
	}
	all := with(toySim, "--algo", "halos,ddp", "--set", "optimizer.lr=1e30")
	o = run(t, all...)
	if strings.Contains(o.out, "0.0000") || !strings.Contains(o.out, "1 of 1 runs diverged") {
		t.Errorf("all have diverged: %+v", o)
	}
	o.out = ""
	refused(t, o, codeDiverged, "diverged")
	if o := run(t, with(all, "--json")...); !json.Valid([]byte(o.out)) || !strings.Contains(o.out, `"loss": null`) {
		t.Errorf("the same as JSON: %+v", o)
	}
	o = run(t, with(toySim, "--algo", "halos", "--plot", filepath.Join(t.TempDir(), "out.svg"), "--evals", "1")...)
	if !strings.Contains(o.out, "unshipped") {
		t.Errorf("no plot, and no table: %+v", o)
	}
	o.out = ""
	refused(t, o, codeFailed, "--evals")
}

func TestSimKills(t *testing.T) {
	args := with(toySim, "--algo", "halos", "--kill", "1s", "--away", "2s")
	o := run(t, with(args, "--json")...)
	var r sim.Report
	if err := json.Unmarshal([]byte(o.out), &r); err != nil || o.code != codeOK || o.err != "" {
		t.Fatalf("%v: %+v", err, o)
	}
	m := r.Algorithms[0]
	if m.Faults == nil || *m.Faults != (sim.Faults{EveryMS: 1000, AwayMS: 2000}) || m.Toll == nil || m.Toll.Workers == 0 || *m.Toll != *m.Runs.Runs[0].Toll || m.Tokens != 19200 {
		t.Errorf("%+v", m)
	}
	file := write(t, "killed.json", []byte(o.out))
	if o := run(t, "sim", "compare", file); o.code != codeOK || !strings.Contains(o.out, "rounds lost") {
		t.Errorf("%+v", o)
	}
	if o := run(t, with(toySim, "--algo", "halos", "--json")...); strings.Contains(o.out, "toll") || strings.Contains(o.out, "faults") {
		t.Errorf("kills without --kill: %+v", o)
	}
}

func TestSimStopsAndGoesOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	args := with(toySim, "--algo", "halos,async", "--dir", dir, "--json")
	want := run(t, args...)
	if again := run(t, args...); want.code != codeOK || again.out != want.out {
		t.Errorf("%+v\nand again %+v", want, again)
	}
	refused(t, run(t, with(args, "--K", "9")...), codeFailed, "holds a simulation with other settings", dir)
}

func TestSimUntilLoss(t *testing.T) {
	args := with(toySim, "--algo", "ddp", "--until-loss")
	if o := run(t, with(args, "4.9")...); o.code != codeOK || !strings.Contains(o.out, "to loss 4.9") {
		t.Errorf("%+v", o)
	}
	o := run(t, with(args, "0.1")...)
	if !strings.Contains(o.out, "to loss 0.1") {
		t.Errorf("what was reached is not printed: %+v", o)
	}
	o.out = ""
	refused(t, o, codeFailed, "target loss not reached", "0.1", "19200 tokens", "--tokens")
}

// The paper's experiment: seconds and GB of each method at its settings.
func TestForecast(t *testing.T) {
	o := run(t, "sim", "forecast", "--env", "paper", "--as", "pythia-70m", "--json")
	var f forecast
	if err := json.Unmarshal([]byte(o.out), &f); err != nil || o.code != codeOK || o.err != "" {
		t.Fatalf("%v: %+v", err, o)
	}
	want := map[sim.Algo]float64{sim.HALoS: 2434.4, sim.Async: 4098.2, sim.DiLoCoDyn: 12623.1, sim.DiLoCo: 18803.8, sim.DDP: 216841.3, sim.Ideal: 2367.2}
	for _, r := range f.Rows {
		if r.Codec != "f32" || r.H != r.Algo.PaperH() || r.Algo == sim.HALoS && r.K != 32 {
			continue
		}
		if math.Abs(r.Seconds-want[r.Algo]) > 0.05 || r.Algo == sim.HALoS && (math.Abs(r.WANGB-149.3) > 0.05 || math.Abs(r.Unshipped-0.28) > 0.006) {
			t.Errorf("%+v, want %v s", r, want[r.Algo])
		}
		delete(want, r.Algo)
	}
	if len(want) > 0 || f.Schema != "halos.forecast/1" || f.Advice.Reason == "" || f.InFlight != "paper" {
		t.Errorf("no row for %v; %+v", want, f.Advice)
	}
	if o := run(t, "sim", "forecast"); o.code != codeOK || !strings.Contains(o.out, "begin with H=") {
		t.Errorf("%+v", o)
	}
}

func TestForecastOfAFile(t *testing.T) {
	file := write(t, "env.yaml", []byte("num_regions: 2\nnetwork_bandwidths: [[10, 0.1], [0.1, 10]]\nworker_speeds: [[1, 1], [0.5]]\n"))
	o := run(t, "sim", "forecast", "--env", file, "--params", "1e6", "--step-time", "50ms", "--steps", "1000", "--H", "4", "--K", "2", "--codec", "f32", "--json")
	var f forecast
	if err := json.Unmarshal([]byte(o.out), &f); err != nil || o.code != codeOK || len(f.Rows) != 6 || f.InFlight != "carry" {
		t.Fatalf("%v: %+v", err, o)
	}
}

func TestBadSim(t *testing.T) {
	bad := write(t, "bad.yaml", []byte("num_regions: 2\nnetwork_bandwidths: [[10, null], [0.1, 10]]\nworker_speeds: [[1, 0], []]\n"))
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"faults of an environment", []string{"sim", "--env", bad}, []string{bad, "network_bandwidths[0][1]", "worker_speeds[0][1]", "region 1 has no workers"}},
		{"the same for a forecast", []string{"sim", "forecast", "--env", bad}, []string{bad, "network_bandwidths[0][1]", "worker_speeds[0][1]"}},
		{"no environment", []string{"sim", "--env", "nowhere.yaml"}, []string{"--env", "nowhere.yaml"}},
		{"algorithm", []string{"sim", "--algo", "halos,sgd"}, []string{"sgd", "diloco"}},
		{"algorithm twice", []string{"sim", "--algo", "halos,halos"}, []string{"twice"}},
		{"tokens", []string{"sim", "--tokens", "many"}, []string{"--tokens", "800k"}},
		{"too few tokens", []string{"sim", "--tokens", "10"}, []string{"tokens"}},
		{"as", []string{"sim", "--as", "gpt-5"}, []string{"--as", "pythia-70m"}},
		{"half a cost", []string{"sim", "--params", "1e6"}, []string{"--step-time"}},
		{"no region 4", []string{"sim", "--data", "4=sotu"}, []string{"4=sotu", "0 to 3"}},
		{"no text", []string{"sim", "--data", "nowhere.txt"}, []string{"--data", "nowhere.txt"}},
		{"inflight", []string{"sim", "--inflight", "drop"}, []string{"inflight", "drop"}},
		{"alpha", []string{"sim", "--alpha", "2"}, []string{"alpha"}},
		{"kills without a rest", []string{"sim", "--algo", "halos", "--kill", "1ms"}, []string{"leave none of", "kill less often"}},
		{"seeds", []string{"sim", "--seeds", "0"}, []string{"--seeds"}},
		{"loss", []string{"sim", "--until-loss", "-1"}, []string{"--until-loss"}},
		{"loss without end", []string{"sim", "--until-loss", "Inf"}, []string{"--until-loss"}},
		{"seeds beyond all", []string{"sim", "--seed", "18446744073709551615", "--seeds", "2"}, []string{"2 seeds"}},
		{"rounds longer than any", []string{"sim", "--H", "100000000"}, []string{"H: 100000000"}},
		{"rounds of nothing", []string{"sim", "--H", "0"}, []string{"-H"}},
		{"evaluations beyond all", []string{"sim", "--evals", "9223372036854775807"}, []string{"evaluations"}},
		{"no file for a region", []string{"sim", "--data", "0="}, []string{"0=", "no file"}},
		{"a server that nobody has", []string{"sim", "--algo", "halos,ddp", "--outer-lr", "1"}, []string{"--outer-lr", "lps.lr"}},
		{"kills of all methods", []string{"sim", "--kill", "5s"}, []string{"--kill", "--algo halos"}},
		{"kills at once", []string{"sim", "--algo", "halos", "--kill", "0s"}, []string{"--kill", "above 0s"}},
		{"away before", []string{"sim", "--algo", "halos", "--kill", "5s", "--away", "-1s"}, []string{"--away", "from 0s"}},
		{"away without kills", []string{"sim", "--algo", "halos", "--away", "1s"}, []string{"--away", "--kill"}},
		{"kills of a forecast", []string{"sim", "forecast", "--kill", "5s"}, []string{"--kill"}},
		{"plot", []string{"sim", "--plot", "nowhere/out.svg"}, []string{"--plot", "nowhere"}},
		{"sub-command", []string{"sim", "forcast"}, []string{"forecast"}},
		{"list of H", []string{"sim", "forecast", "--H", "8,x"}, []string{"-H", "8,16"}},
		{"codec", []string{"sim", "forecast", "--codec", "fp8"}, []string{"fp8", "int8"}},
		{"steps", []string{"sim", "forecast", "--steps", "0"}, []string{"--steps"}},
		{"unknown flag", []string{"sim", "forecast", "--stepps", "1"}, []string{"--stepps", "--steps"}},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, run(t, c.args...), codeUsage, c.want...) })
	}
}
