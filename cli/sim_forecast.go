package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"halos/roles"
	"halos/sim"
)

// forecastSchema names the form of a forecast as JSON.
const forecastSchema = "halos.forecast/1"

// forecast is what a sweep comes to.
type forecast struct {
	Schema   string         `json:"schema"`
	Env      string         `json:"env"`
	Params   float64        `json:"params"`
	StepMS   float64        `json:"step_ms"` // of the fastest worker
	Steps    uint64         `json:"steps"`
	InFlight roles.InFlight `json:"inflight"`
	Rows     []sim.Row      `json:"rows"`
	Advice   sim.Advice     `json:"advice"`
}

func envFlag() urfave.Flag {
	return &urfave.StringFlag{Name: "env", Value: "paper", Usage: "simulate the regions, links and workers of the YAML `FILE`, or paper"}
}

func inflightFlag(usual string) urfave.Flag {
	return &urfave.StringFlag{Name: "inflight", DefaultText: usual, Usage: "with deltas applied while a push travels do `WHAT`: carry or paper"}
}

func (i *invocation) forecastCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "forecast",
		Usage:     "say what a job would take, without training",
		UsageText: "halos sim forecast [flags]",
		Description: `Runs the clock of a job over many settings: when it would end, what it would send
between regions, how stale its updates would be, how busy its workers. Learning is
not part of it: see "halos sim".

    halos sim forecast
    halos sim forecast --env mine.yaml --params 160e6 --step-time 400ms --steps 200000

An environment is a YAML file:

    num_regions: 2
    network_bandwidths:        # Gbit/s, from the region of the row
      - [10.0, 0.1]
      - [0.1, 10.0]
    network_latencies_ms:      # may be left out
      - [0.1, 45]
      - [45, 0.1]
    worker_speeds:             # in any unit, a row for each region
      - [1.0, 1.0, 0.5]
      - [0.8]

H is that of the fastest worker, the others take fewer local steps. The codec is
that of deltas and models alike; jobs have f32, the others show what they would be
worth. "link" is how long a push and its answer take where that is longest, as a share
of the time in which K updates come: above 100 % pushes wait for the link.`,
		Flags: []urfave.Flag{
			envFlag(),
			&urfave.StringFlag{Name: "as", Value: "pythia-70m", Usage: "train a model of the size and speed of `NAME`: pythia-70m"},
			&urfave.Float64Flag{Name: "params", DefaultText: "those of --as", Usage: "of `N` parameters"},
			&urfave.DurationFlag{Name: "step-time", DefaultText: "that of --as", Usage: "a local step of the fastest worker takes `TIME`"},
			&urfave.Uint64Flag{Name: "steps", Value: 98304, Usage: "train for `N` local steps, of all workers together"},
			&urfave.StringFlag{Name: "H", Value: "8,16,32", Usage: "try `LIST` local steps in a round"},
			&urfave.StringFlag{Name: "K", Value: "4,8,16,32,64", Usage: "try pushes after `LIST` updates"},
			&urfave.StringFlag{Name: "codec", Value: "f32,bf16,int8", Usage: "try the codecs of `LIST`: f32, bf16, int8, int4"},
			inflightFlag("paper with --env paper, else carry"),
			jsonFlag(),
		},
		Action: func(c *urfave.Context) error {
			if _, err := i.arguments(c, 0, "env"); err != nil {
				return err
			}
			s, err := sweep(c)
			if err != nil {
				return err
			}
			rows, err := s.Rows(c.Context)
			if err != nil {
				return errInterrupted
			}
			return i.printForecast(c.Bool("json"), forecast{
				Schema: forecastSchema, Env: c.String("env"), Params: s.Params, StepMS: s.StepMS, Steps: s.Steps, InFlight: s.InFlight,
				Rows: rows, Advice: s.Advise(rows),
			})
		},
	}
}

// sweep checks the flags of a forecast.
func sweep(c *urfave.Context) (sim.Sweep, error) {
	env, errEnv := readEnv(c.String("env"))
	params, step, errCost := modelCost(c)
	hs, errH := counts("H", c.String("H"))
	ks, errK := counts("K", c.String("K"))
	codecs, errCodec := codecList(c.String("codec"))
	inflight, errFlight := inFlight(cmp.Or(c.String("inflight"), usualInFlight(c.String("env"))))
	steps := c.Uint64("steps")
	var errSteps error
	if steps < 1 || steps > 1<<40 {
		errSteps = fmt.Errorf("flag --steps: %d, want 1 to %d", steps, uint64(1<<40))
	}
	s := sim.Sweep{Env: env, Params: params, StepMS: step, Steps: steps, H: hs, K: ks, Codecs: codecs, InFlight: inflight}
	return s, together(c, errEnv, errCost, errSteps, errH, errK, errCodec, errFlight)
}

// readEnv reads the environment of a file, or the paper's.
func readEnv(name string) (sim.Env, error) {
	if name == "paper" {
		return sim.PaperEnv(), nil
	}
	text, err := readAtMost(name, sim.MaxEnvBytes)
	if err != nil {
		return sim.Env{}, fmt.Errorf("flag --env: %w", err)
	}
	env, err := sim.ParseEnv(text)
	if err != nil {
		return env, fmt.Errorf("%s: %w", name, err)
	}
	return env, nil
}

// modelCost returns the parameters of the model that a transfer is to cost, and the ms
// that a step is to take.
func modelCost(c *urfave.Context) (params, stepMS float64, err error) {
	if as := c.String("as"); as != "pythia-70m" {
		return 0, 0, fmt.Errorf("flag --as: %q is not known: pythia-70m, or give --params and --step-time", as)
	}
	paper := sim.Pythia70M()
	params, stepMS = paper.Up/4, paper.StepMS
	if c.IsSet("params") != c.IsSet("step-time") {
		return 0, 0, errors.New("flags --params and --step-time: a model of another size takes another time, so give both")
	}
	if c.IsSet("params") {
		params, stepMS = c.Float64("params"), inMS(c, "step-time")
		if !(params >= 1 && params <= 1e15) || stepMS <= 0 {
			return 0, 0, fmt.Errorf("flags --params and --step-time: %v parameters and %v, want 1 or more and a time above 0", params, c.Duration("step-time"))
		}
	}
	return params, stepMS, nil
}

// counts reads a list of whole numbers.
func counts(flag, list string) ([]int, error) {
	var all []int
	for part := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 || n > 1<<20 {
			return nil, fmt.Errorf("flag %s: %q is not a list of whole numbers such as 8,16", dashed(flag), list)
		}
		if slices.Contains(all, n) {
			return nil, fmt.Errorf("flag %s: %d twice in %q", dashed(flag), n, list)
		}
		all = append(all, n)
	}
	return all, nil
}

func codecList(list string) ([]sim.Codec, error) {
	var all []sim.Codec
next:
	for part := range strings.SplitSeq(list, ",") {
		for _, known := range sim.Codecs() {
			if known.Name == strings.TrimSpace(part) && !slices.Contains(all, known) {
				all = append(all, known)
				continue next
			}
		}
		return nil, fmt.Errorf("flag --codec: %q is not known, or there twice: f32, bf16, int8, int4", part)
	}
	return all, nil
}

// usualInFlight is what the paper does in the paper's environment, and what jobs do in
// others.
func usualInFlight(env string) string {
	if env == "paper" {
		return string(roles.Paper)
	}
	return string(roles.Carry)
}

func inFlight(name string) (roles.InFlight, error) {
	if f := roles.InFlight(name); f == roles.Carry || f == roles.Paper {
		return f, nil
	}
	return "", fmt.Errorf("flag --inflight: %q, want carry or paper", name)
}

func (i *invocation) printForecast(asJSON bool, f forecast) error {
	if asJSON {
		return printJSON(i.Out, f)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%.4g parameters, a step of %v at the fastest worker, %d steps in %s, inflight %s\n\nalgorithm\tH\tK\tcodec\ttime\tWAN GB\tstaleness\t(max)\tbusy\tlink\tunshipped\t\n",
		f.Params, milliseconds(f.StepMS), f.Steps, f.Env, f.InFlight)
	for _, r := range f.Rows {
		k, link := "-", "-"
		if r.Algo == sim.HALoS {
			k, link = strconv.Itoa(r.K), fmt.Sprintf("%.0f %%", 100*r.Link)
		}
		fmt.Fprintf(&b, "%s\t%d\t%s\t%s\t%s\t%.4g\t%.1f\t%d\t%.1f %%\t%s\t%.1f %%\t\n",
			r.Algo, r.H, k, r.Codec, duration(r.Seconds), r.WANGB, r.StalenessMean, r.StalenessMax, 100*r.Utilisation, link, 100*r.Unshipped)
	}
	if f.Advice.H > 0 {
		fmt.Fprintf(&b, "\nbegin with H=%d, K=%d, %s: %s\n", f.Advice.H, f.Advice.K, f.Advice.Codec, f.Advice.Reason)
	}
	return table(i.Out, b.String())
}

func milliseconds(ms float64) time.Duration {
	return time.Duration(ms * float64(time.Millisecond)).Round(10 * time.Microsecond)
}

// duration prints seconds of any size.
func duration(seconds float64) string {
	switch {
	case seconds < 120:
		return fmt.Sprintf("%.1f s", seconds)
	case seconds < 3*3600:
		return fmt.Sprintf("%.1f min", seconds/60)
	case seconds < 72*3600:
		return fmt.Sprintf("%.1f h", seconds/3600)
	}
	return fmt.Sprintf("%.1f days", seconds/86400)
}
