package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"halos/data"
	"halos/job"
	"halos/sim"
	"halos/train"
)

func (i *invocation) simCommand() *urfave.Command {
	names := make([]string, 0, len(sim.Algos()))
	for _, a := range sim.Algos() {
		names = append(names, string(a))
	}
	subcommands := []*urfave.Command{i.forecastCommand(), i.compareCommand()}
	for _, c := range subcommands {
		c.OnUsageError, c.HideHelpCommand = i.badFlag, true
	}
	return &urfave.Command{
		Name:      "sim",
		Usage:     "train in virtual time: HALoS beside other methods, on any network",
		UsageText: "halos sim [flags]\n   halos sim forecast [flags]\n   halos sim compare [flags] [NAME=]FILE...",
		Description: `Really trains a model, with the servers that run on the network too, while the time
that machines and links would take is only counted. So it says what a network that
nobody has rented yet would do to learning, and how HALoS compares:

    halos sim
    halos sim --algo halos,diloco,async --tokens 1M --seeds 3 --plot out.svg
    halos sim --env mine.yaml --data 0=emails.txt --data 1=manuals.txt --set K=8

By default all is as in the HALoS paper, the network, the speeds, the servers, the
number of local steps, and transfers and steps cost what they cost for Pythia-70M; the
model that is trained is a small one, in a minute or two of a core for each method.
The same command gives the same bits at any --jobs. With --dir a run that was
interrupted goes on where it was, by the same command.

With --kill processes of halos die at random moments, as of kill -9, and start again
after --away: a worker without its round under way and its AdamW, a server from its
newest snapshot, which takes it a second for each GB to write. Peers notice at once, and
what was not durable is sent again. Such a run ends once every sample is in the model;
if it was interrupted it begins again.

    halos:       two tiers, nobody waits (arXiv 2506.04531)
    async:       one server, nobody waits (Async-Local-SGD, arXiv 2401.09135)
    diloco:      all wait for all after H local steps (arXiv 2311.08105)
    diloco-dyn:  the same with H by each worker's speed
    ddp:         all wait for all at every step
    ideal:       ddp at one site without a network, perfectly shared out`,
		Subcommands: subcommands,
		Flags: []urfave.Flag{
			envFlag(),
			&urfave.StringFlag{Name: "algo", Value: strings.Join(names, ","), Usage: "run the methods of `LIST`"},
			&urfave.StringFlag{Name: "preset", Value: sim.PaperName, Usage: "train the model, and have the servers, of `NAME`: " + strings.Join(append([]string{sim.PaperName}, job.PresetNames()...), ", ")},
			setFlag(),
			&urfave.StringFlag{Name: "as", Value: "pythia-70m", Usage: "count transfers and steps as those of `NAME`: pythia-70m"},
			&urfave.Float64Flag{Name: "params", DefaultText: "those of --as", Usage: "as those of a model of `N` parameters"},
			&urfave.DurationFlag{Name: "step-time", DefaultText: "that of --as", Usage: "a local step of the fastest worker takes `TIME`"},
			&urfave.IntFlag{Name: "H", DefaultText: "the preset's for halos, 32 for others", Usage: "take `N` local steps in a round, where a method has rounds"},
			&urfave.IntFlag{Name: "K", DefaultText: "the preset's", Usage: "push after `N` updates"},
			&urfave.Float64Flag{Name: "alpha", DefaultText: "the preset's", Usage: "merge with weight `X`"},
			inflightFlag("the preset's"),
			&urfave.Float64Flag{Name: "outer-lr", DefaultText: "the paper's", Usage: "servers of async and diloco learn at `RATE`, per arrival"},
			&urfave.Float64Flag{Name: "outer-momentum", DefaultText: "the paper's", Usage: "with momentum `X`"},
			&urfave.StringFlag{Name: "tokens", DefaultText: "the preset's", Usage: "train on `N` tokens, such as 800k or 2M"},
			&urfave.Float64Flag{Name: "until-loss", DefaultText: "none", Usage: "end when the held-out loss is at most `X` nats per token"},
			&urfave.StringSliceFlag{Name: "data", Usage: "train on the text `FILE`, or in one region on REGION=FILE; austen and sotu are built in; repeatable"},
			&urfave.Uint64Flag{Name: "seed", DefaultText: "the preset's", Usage: "draw parameters and samples by `SEED`"},
			&urfave.IntFlag{Name: "seeds", Value: 1, Usage: "run each method from `N` seeds, that one and the next"},
			&urfave.IntFlag{Name: "evals", Value: 50, Usage: "measure the held-out loss `N` times in a run"},
			&urfave.IntFlag{Name: "windows", Value: 128, Usage: "on `N` held-out samples of each text"},
			&urfave.IntFlag{Name: "jobs", DefaultText: "as many as cores", Usage: "train `N` rounds at once"},
			killFlag(), awayFlag(),
			&urfave.StringFlag{Name: "dir", Usage: "keep what has been done in `DIR`, to resume it"},
			plotFlag(), jsonFlag(),
		},
		Action: i.simulate,
	}
}

func (i *invocation) simulate(c *urfave.Context) error {
	if c.Args().Present() && !isFlag(c.Args().First()) {
		return unknownCommand(c)
	}
	if _, err := i.arguments(c, 0, ""); err != nil {
		return err
	}
	s, err := study(c)
	if err != nil {
		return err
	}
	if err := canPlot(c); err != nil { // hours later would be too late to find out
		return err
	}
	bar := newProgressBar(i.Err)
	runs, failed := s.Run(c.Context, bar.show)
	bar.clear()
	if failed != nil && !errors.Is(failed, sim.ErrNotReached) {
		if errors.Is(failed, context.Canceled) {
			return interruptedStudy(c, i)
		}
		return failed
	}
	report := sim.NewReport(s, runs)
	report.Env = c.String("env")
	if !slices.ContainsFunc(report.Algorithms, func(m sim.Method) bool { return m.Loss != nil }) {
		failed = fmt.Errorf("%w: every run has", train.ErrDiverged)
	}
	return cmp.Or(i.show(c, report), failed)
}

// interruptedStudy says what becomes of a simulation that was interrupted.
func interruptedStudy(c *urfave.Context, i *invocation) error {
	switch dir := c.String("dir"); {
	case dir == "":
		fmt.Fprintln(i.Err, "nothing is kept: with --dir DIR it could go on from here")
	case c.IsSet("kill"):
		fmt.Fprintf(i.Err, "runs that have ended are kept in %s: the same command goes on with the next\n", dir)
	default:
		fmt.Fprintf(i.Err, "kept in %s: the same command goes on from there\n", dir)
	}
	return errInterrupted
}

// study checks the flags of a simulation.
func study(c *urfave.Context) (sim.Study, error) {
	env, errEnv := readEnv(c.String("env"))
	algos, errAlgo := sim.ParseAlgos(c.String("algo"))
	params, step, errCost := modelCost(c)
	j, errJob := simJob(c)
	if err := together(c, errEnv, errAlgo, errCost, errJob, optional(c, "H"), servers(c, algos), kills(c, algos), atLeast(c, "seeds", 1), atLeast(c, "evals", 1),
		atLeast(c, "windows", 1), atLeast(c, "jobs", 0), notBelow(c, "until-loss"), notBelow(c, "outer-lr"), notBelow(c, "outer-momentum")); err != nil {
		return sim.Study{}, err
	}
	corpora, err := simTexts(c, j, len(env.Speeds))
	if err != nil {
		return sim.Study{}, together(c, err)
	}
	s := sim.Study{
		Job: j, Env: env, Cost: sim.Cost{Up: 4 * params, Down: 4 * params, StepMS: step}, Algos: algos, H: c.Int("H"),
		Outer: sim.Outer{LR: given(c, "outer-lr"), Beta: given(c, "outer-momentum")}, Corpora: corpora, Seeds: c.Int("seeds"), Until: c.Float64("until-loss"), Evals: c.Int("evals"), Windows: c.Int("windows"),
		Jobs: cmp.Or(c.Int("jobs"), runtime.GOMAXPROCS(0)), Faults: faults(c),
	}
	if dir := c.String("dir"); dir != "" {
		s.Store = &sim.Store{Dir: dir}
	}
	return s, together(c, s.Validate())
}

// given is the value of a flag that may be left out.
func given(c *urfave.Context, flag string) *float64 {
	if !c.IsSet(flag) {
		return nil
	}
	x := c.Float64(flag)
	return &x
}

func notBelow(c *urfave.Context, flag string) error {
	if x := c.Float64(flag); !(x >= 0) || math.IsInf(x, 0) {
		return fmt.Errorf("flag %s: %v, want a number from 0 on", dashed(flag), x)
	}
	return nil
}

// optional checks a number that is at least 1 if it is given.
func optional(c *urfave.Context, flag string) error {
	if !c.IsSet(flag) {
		return nil
	}
	return atLeast(c, flag, 1)
}

// servers refuses settings of the baselines' servers where no baseline has one.
func servers(c *urfave.Context, algos []sim.Algo) error {
	if !c.IsSet("outer-lr") && !c.IsSet("outer-momentum") || slices.ContainsFunc(algos, func(a sim.Algo) bool { return a.PaperOuter().N > 0 }) {
		return nil
	}
	return fmt.Errorf("flags --outer-lr and --outer-momentum: none of %v has such a server; that of halos is set by --set lps.lr and the like", algos)
}

// simJob is the preset with the settings of the flags.
func simJob(c *urfave.Context) (*job.Job, error) {
	j, err := simPreset(c.String("preset"))
	if err != nil {
		return nil, err
	}
	var errs []error
	set := func(key, value string) { errs = append(errs, j.Set(key+"="+value)) }
	for _, s := range c.StringSlice("set") {
		errs = append(errs, j.Set(s))
	}
	if c.IsSet("K") {
		set("K", strconv.Itoa(c.Int("K")))
	}
	if c.IsSet("alpha") {
		set("alpha", strconv.FormatFloat(c.Float64("alpha"), 'g', -1, 64))
	}
	if c.IsSet("inflight") {
		set("inflight", c.String("inflight"))
	}
	if text := c.String("tokens"); text != "" {
		tokens, err := tokenCount(text)
		errs = append(errs, err)
		j.Tokens = tokens
	}
	if c.IsSet("seed") {
		j.Seed = c.Uint64("seed")
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return j, j.Validate()
}

func simPreset(name string) (*job.Job, error) {
	if name == sim.PaperName {
		return sim.PaperJob()
	}
	return job.Preset(name)
}

// tokenCount reads a number of tokens such as 800k or 2M.
func tokenCount(text string) (uint64, error) {
	unit, digits := 1.0, text
	if n := len(text); n > 1 {
		if u, ok := map[byte]float64{'k': 1e3, 'K': 1e3, 'M': 1e6, 'G': 1e9}[text[n-1]]; ok {
			unit, digits = u, text[:n-1]
		}
	}
	x, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(x > 0) || x*unit > 1e15 {
		return 0, fmt.Errorf("flag --tokens: %q, want a number of tokens such as 800k or 2M", text)
	}
	return uint64(x * unit), nil
}

// simTexts opens the text of every region.
func simTexts(c *urfave.Context, j *job.Job, regions int) ([]*data.Corpus, error) {
	files, fallback := map[int]string{}, ""
	for _, arg := range c.StringSlice("data") {
		before, after, named := strings.Cut(arg, "=")
		region, err := strconv.Atoi(before)
		switch {
		case !named || err != nil:
			fallback = arg
		case after == "":
			return nil, fmt.Errorf("flag --data: %s names no file", arg)
		case region < 0 || region >= regions:
			return nil, fmt.Errorf("flag --data: %s: there are regions 0 to %d", arg, regions-1)
		default:
			files[region] = after
		}
	}
	opened := map[string]*data.Corpus{}
	var all []*data.Corpus
	for region := range regions {
		file := cmp.Or(files[region], fallback, j.Source.Name)
		if opened[file] == nil {
			corpus, err := openText(file)
			if err != nil {
				return nil, fmt.Errorf("flag --data: %w", err)
			}
			opened[file] = corpus
		}
		all = append(all, opened[file])
	}
	return all, nil
}

// openText opens an embedded text by its name, or a file.
func openText(name string) (*data.Corpus, error) {
	for _, source := range data.Embedded() {
		if source.Name == name {
			return data.Open(source, "")
		}
	}
	source, err := data.Describe(sourceName(name), name)
	if err != nil {
		return nil, err
	}
	return data.Open(source, name)
}
