package job

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"reflect"
	"strings"
	"testing"

	"halos/data"
	"halos/roles"
)

// fixed is the tiny preset with a salt that is not drawn.
func fixed(t *testing.T) *Job {
	t.Helper()
	j, err := Preset("tiny")
	if err != nil {
		t.Fatal(err)
	}
	j.Salt = "0123456789abcdef"
	// Pinned here, so that a preset can be tuned without a look at every test.
	j.Tokens, j.Model.MaxPositionEmbeddings = 4_000_000, 128
	j.H, j.Alpha, j.Batch, j.GlobalBatch = 4, 0.25, 4, 16
	j.Optimizer.LR, j.Optimizer.Warmup = 2e-3, 20
	return j
}

func TestCanonicalBytes(t *testing.T) {
	j := &Job{
		Format: 3, Name: "x", Salt: "0123456789abcdef", Seed: 1<<64 - 1, Tokens: 10, Workload: Train,
		Config: roles.Config{H: 2, K: 3, Alpha: 0.25, InFlight: "carry", Batch: 4, GlobalBatch: 5},
		Source: data.Source{Name: "s", Tokenizer: "byte"},
	}
	j.Optimizer.Eps = 1e-8
	const want = `{"format":3,"name":"x","salt":"0123456789abcdef","seed":18446744073709551615,"tokens":10,"workload":"train",` +
		`"H":2,"K":3,"alpha":0.25,"inflight":"carry","batch":4,"global_batch":5,"rescale":false,` +
		`"lps":{"lr":0,"beta":0,"c":0,"n":0},"gps":{"lr":0,"beta":0,"c":0,"n":0},"guard":{"norm_per_step":0,"max_staleness":0},` +
		`"optimizer":{"lr":0,"warmup":0,"beta1":0,"beta2":0,"eps":1e-8,"weight_decay":0,"clip":0},` +
		`"codec":{"region":"","global":""},` +
		`"model":{"vocab_size":0,"hidden_size":0,"num_hidden_layers":0,"num_attention_heads":0,"intermediate_size":0,` +
		`"rotary_pct":0,"rotary_emb_base":0,"layer_norm_eps":0,"use_parallel_residual":false,"max_position_embeddings":0},` +
		`"source":{"name":"s","sha256":"","bytes":0,"tokenizer":"byte","validation":{"from":0,"to":0}}}`
	if got := string(j.Canonical()); got != want {
		t.Errorf("canonical form\n got %s\nwant %s", got, want)
	}
	sum := sha256.Sum256([]byte(want))
	id := j.ID()
	if want := hex.EncodeToString(sum[:]); id.String() != want || id.Short() != want[:16] {
		t.Errorf("id %s, short %s, want the SHA-256 %s", id, id.Short(), want)
	}
}

func TestPresetsAreSound(t *testing.T) {
	for _, name := range PresetNames() {
		j, err := Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		other, _ := Preset(name)
		if j.ID() == other.ID() {
			t.Errorf("%s: two jobs have the id %s", name, j.ID())
		}
		if c := j.TrainConfig(); c.Schedule.Warmup*4 > c.Schedule.Total {
			t.Errorf("%s: warms up for %d of %d steps", name, c.Schedule.Warmup, c.Schedule.Total)
		}
		corpus, err := data.Open(j.Source, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := corpus.Check(j.Context(), j.Batch); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		step := j.Optimizer.LR * math.Sqrt(float64(j.Model.NumParams()))
		if g := j.Guard.NormPerStep; g < 10*step || g > 11.1*step {
			t.Errorf("%s: guard %v, a step has a norm of %v", name, g, step)
		}
	}
}

func TestPresetShapes(t *testing.T) {
	for _, c := range []struct {
		name    string
		params  int
		context int
	}{
		{"tiny", 858_880, 64},
		{"small", 10_844_160, 256},
		{"pythia-70m", 70_426_624, 2048}, // as published
	} {
		j, err := Preset(c.name)
		if err != nil {
			t.Fatal(err)
		}
		if got := j.Model.NumParams(); got != c.params || j.Context() != c.context {
			t.Errorf("%s: %d parameters, context %d, want %d, %d", c.name, got, j.Context(), c.params, c.context)
		}
	}
}

func TestPresetUnknown(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"tny", `unknown preset "tny": did you mean tiny? (there are tiny, small, pythia-70m)`},
		{"pythia-70M", `unknown preset "pythia-70M": did you mean pythia-70m? (there are tiny, small, pythia-70m)`},
		{"llama", `unknown preset "llama" (there are tiny, small, pythia-70m)`},
		{"", `unknown preset "" (there are tiny, small, pythia-70m)`},
	} {
		if _, err := Preset(c.name); err == nil || err.Error() != c.want {
			t.Errorf("%q: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestSamples(t *testing.T) {
	for _, c := range []struct {
		tokens         uint64
		batch          int
		samples, steps uint64
	}{
		{4_000_000, 4, 31_248, 1953},
		{128 * 16, 4, 16, 1},
		{128*17 + 127, 4, 16, 1},
		{128 * 20, 4, 20, 1},
		{128 * 100, 7, 98, 6},
	} {
		j := fixed(t)
		j.Tokens, j.Batch = c.tokens, c.batch
		if got, steps := j.Samples(), j.TrainConfig().Schedule.Total; got != c.samples || steps != c.steps {
			t.Errorf("%d tokens in batches of %d: %d samples, %d steps, want %d, %d", c.tokens, c.batch, got, steps, c.samples, c.steps)
		}
	}
}

func TestTrainConfig(t *testing.T) {
	j := fixed(t)
	c := j.TrainConfig()
	if c.Model != j.Model || c.AdamW != j.Optimizer.AdamWConfig || c.Batch != 4 || c.Accumulation != 1 || c.Context != 128 ||
		c.Seed != j.Seed || c.Schedule.Max != j.Optimizer.LR || c.Schedule.Warmup != j.Optimizer.Warmup {
		t.Errorf("%+v does not carry the settings of %+v", c, j)
	}
}

func TestValidateNamesEachFault(t *testing.T) {
	for _, c := range []struct {
		name string
		set  []string // assignments to a sound job
		want []string // all of them in the error
	}{
		{"format", []string{"format=4"}, []string{"format: 4, this program knows 3"}},
		{"name", []string{"name=My job"}, []string{`name: "My job", want 1 to 64 of a-z`}},
		{"name of a terminal's bytes", []string{"name=a\x1b[2Jb"}, []string{"name: "}},
		{"name too long", []string{"name=" + strings.Repeat("a", 65)}, []string{"name: "}},
		{"no name", []string{"name="}, []string{`name: ""`}},
		{"salt of other digits", []string{"salt=0123456789ABCDEF"}, []string{"salt: ", "halos init"}},
		{"salt too short", []string{"salt=01"}, []string{"salt: "}},
		{"H", []string{"H=0"}, []string{"H: 0"}},
		{"alpha", []string{"alpha=1.5"}, []string{"alpha: 1.5"}},
		{"alpha not a number", []string{"alpha=NaN"}, []string{"alpha: NaN"}},
		{"no merge", []string{"alpha=0"}, []string{"alpha: 0, want more than 0"}},
		{"workload", []string{"workload=count"}, []string{`workload: "count", want train or ledger`}},
		{"workload of merges and momenta", []string{"workload=ledger"}, []string{"alpha: 0.25, the ledger needs 0", "lps, gps: the ledger needs lr 1", "rescale: "}},
		{"in flight", []string{"inflight=drop"}, []string{"inflight: ", "paper or carry"}},
		{"momentum", []string{"lps.beta=1", "gps.n=0"}, []string{"lps: beta is 1", "gps: n is 0"}},
		{"optimizer", []string{"optimizer.beta2=1"}, []string{"optimizer: beta2 is 1"}},
		{"learning rate", []string{"optimizer.lr=0"}, []string{"optimizer: lr is 0"}},
		{"warm-up", []string{"optimizer.warmup=2000"}, []string{"optimizer.warmup: 2000 steps, but the tokens last for 1953"}},
		{"codec", []string{"codec.global=int5"}, []string{`codec.global: codec "int5"`, "f32"}},
		{"vocabulary", []string{"model.vocab_size=200"}, []string{"model.vocab_size: 200, but the byte tokenizer has 256"}},
		{"heads", []string{"model.num_attention_heads=3"}, []string{"model: ", "num_attention_heads"}},
		{"hash", []string{"source.sha256=00"}, []string{"source: ", "64 lower-case hex digits"}},
		{"source's name", []string{"source.name=../x y"}, []string{"source.name: "}},
		{"tokens", []string{"tokens=2047"}, []string{"tokens: 2047 are less than one global batch of 16 samples of 128 tokens, which is 2048"}},
		{"tokens less than a batch", []string{"tokens=2100", "batch=17"}, []string{"tokens: 2100"}},
		{"batch", []string{"batch=100000000"}, []string{"batch: 100000000 samples of 128 tokens"}},
		{"round", []string{"H=1000000000"}, []string{"H: 1000000000 steps of 4 samples"}},
		{"several", []string{"K=0", "name=?", "batch=0", "model.hidden_size=0"}, []string{"K: 0", "name: ", "batch: 0", "model: "}},
	} {
		j := fixed(t)
		for _, s := range c.set {
			if err := j.Set(s); err != nil {
				t.Fatal(err)
			}
		}
		err := j.Validate()
		if err == nil {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s in it", c.name, err, want)
			}
		}
	}
}

func TestForLedgerIsSound(t *testing.T) {
	for _, steps := range []uint64{1, 1000, 123_457} {
		j, err := ForLedger(steps)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Validate(); err != nil {
			t.Errorf("%d steps: %v", steps, err)
		}
		if got := j.Samples() / uint64(j.Batch); got != steps {
			t.Errorf("%d local steps, want %d", got, steps)
		}
		j.Tokens = uint64(j.Model.NumParams()+1) * uint64(j.Context()*j.Batch)
		if err := j.Validate(); err == nil || !strings.Contains(err.Error(), "parameters to count them") {
			t.Errorf("more local steps than parameters: %v", err)
		}
	}
}

func TestSet(t *testing.T) {
	for _, c := range []struct {
		set string
		got func(*Job) any
		exp any
	}{
		{"K=16", func(j *Job) any { return j.K }, 16},
		{"lps.lr=0.4", func(j *Job) any { return j.LPS.LR }, 0.4},
		{" gps.c = 1e-3 ", func(j *Job) any { return j.GPS.C }, 1e-3},
		{"tokens=8_000_000", func(j *Job) any { return j.Tokens }, uint64(8_000_000)},
		{"seed=18446744073709551615", func(j *Job) any { return j.Seed }, uint64(math.MaxUint64)},
		{"inflight=paper", func(j *Job) any { return j.InFlight }, roles.Paper},
		{"name=a=b", func(j *Job) any { return j.Name }, "a=b"},
		{"model.use_parallel_residual=false", func(j *Job) any { return j.Model.UseParallelResidual }, false},
		{"optimizer.weight_decay=0", func(j *Job) any { return j.Optimizer.WeightDecay }, 0.0},
		{"source.validation.from=7", func(j *Job) any { return j.Source.Validation.From }, int64(7)},
	} {
		j := fixed(t)
		if err := j.Set(c.set); err != nil {
			t.Errorf("%s: %v", c.set, err)
		} else if got := c.got(j); got != c.exp {
			t.Errorf("%s: got %v", c.set, got)
		}
	}
}

func TestSetRefuses(t *testing.T) {
	for _, c := range []struct{ set, want string }{
		{"K", `setting "K": want KEY=VALUE, such as K=16 or lps.lr=0.4`},
		{"=3", `setting "=3": want KEY=VALUE, such as K=16 or lps.lr=0.4`},
		{"bathc=3", `unknown key "bathc": did you mean batch?`},
		{"k=3", `unknown key "k": did you mean K?`},
		{"warmup=3", `unknown key "warmup": did you mean optimizer.warmup?`},
		{"lps.rl=3", `unknown key "lps.rl": did you mean lps.lr?`},
		{"colour=red", `unknown key "colour": "halos init" prints all keys`},
		{"lps=3", `lps is a part of the manifest: set one of lps.lr, lps.beta, lps.c, lps.n`},
		{"K=many", `K: "many", want a whole number`},
		{"K=1.5", `K: "1.5", want a whole number`},
		{"K=", `K: "", want a whole number`},
		{"K=_1", `K: "_1", want a whole number`},
		{"K=99999999999999999999", `K: "99999999999999999999", want a whole number`},
		{"tokens=-1", `tokens: "-1", want a whole number of 0 or more`},
		{"alpha=1/4", `alpha: "1/4", want a number`},
		{"model.use_parallel_residual=maybe", `model.use_parallel_residual: "maybe", want true or false`},
	} {
		j := fixed(t)
		before := *j
		if err := j.Set(c.set); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.set, err, c.want)
		}
		if !reflect.DeepEqual(*j, before) {
			t.Errorf("%s: refused, yet the job changed", c.set)
		}
	}
}

func TestParseTakesWhatCanonicalMakes(t *testing.T) {
	for _, name := range PresetNames() {
		j, err := Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(j.Canonical())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, j) || !bytes.Equal(got.Canonical(), j.Canonical()) {
			t.Errorf("%s: got %+v, want %+v", name, got, j)
		}
	}
}
