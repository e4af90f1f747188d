package job

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func TestParseRefuses(t *testing.T) {
	sound := string(fixed(t).Canonical())
	replaced := func(old, with string) string {
		if !strings.Contains(sound, old) {
			t.Fatalf("the manifest has no %s", old)
		}
		return strings.Replace(sound, old, with, 1)
	}
	for _, c := range []struct{ name, in, want string }{
		{"nothing", "", "no JSON object"},
		{"cut off", sound[:len(sound)/2], "no JSON object"},
		{"not an object", "[1]", "no JSON object"},
		{"null", "null", "no format"},
		{"without format", replaced(`"format":3,`, ""), "no format"},
		{"newer format", replaced(`"format":3,`, `"format":4,"future":[],`), "another format: 4, this program knows 3"},
		{"unknown key", replaced(`"K":4`, `"K":4,"J":4`), `unknown field "J"`},
		{"unknown key inside", replaced(`"beta1"`, `"beta3"`), `unknown field "beta3"`},
		{"trailing bytes", sound + "{}", "no JSON object"},
		{"trailing space", sound + "\n", "canonical form"},
		{"key twice", replaced(`"K":4`, `"K":3,"K":4`), "canonical form"},
		{"key in lower case", replaced(`"K":4`, `"k":4`), "canonical form"},
		{"missing key", replaced(`"seed":1,`, ""), "canonical form"},
		{"other number form", replaced(`"alpha":0.25`, `"alpha":2.5e-1`), "canonical form"},
		{"string for number", replaced(`"K":4`, `"K":"4"`), "cannot unmarshal string"},
		{"number out of range", replaced(`"tokens":4000000`, `"tokens":-4`), "cannot unmarshal number"},
		{"unsound", replaced(`"K":4`, `"K":0`), "K: 0"},
		{"too long", sound + strings.Repeat(" ", MaxBytes), "at most 65536"},
	} {
		_, err := Parse([]byte(c.in))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s in it", c.name, err, c.want)
		}
		if got := errors.Is(err, ErrFormat); got != (c.name == "newer format") {
			t.Errorf("%s: is ErrFormat: %t", c.name, got)
		}
	}
}

func TestYAMLRoundTrip(t *testing.T) {
	for _, name := range PresetNames() {
		for _, sets := range [][]string{nil, {"seed=18446744073709551615", "alpha=1", "optimizer.eps=1e-300", "lps.lr=1e6", "guard.max_staleness=9", "model.use_parallel_residual=false", "salt=1234567890123456", "name=1.0", "source.name=null"}} {
			j, err := Preset(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range sets {
				if err := j.Set(s); err != nil {
					t.Fatal(err)
				}
			}
			got, err := ParseYAML(j.YAML())
			if err != nil {
				t.Fatalf("%s: %v in\n%s", name, err, j.YAML())
			}
			if !reflect.DeepEqual(got, j) || got.ID() != j.ID() {
				t.Errorf("%s: got %+v, want %+v", name, got, j)
			}
		}
	}
}

func TestYAMLExplainsEachKeyOnce(t *testing.T) {
	for _, line := range strings.Split(strings.TrimSpace(string(fixed(t).YAML())), "\n") {
		if len(line) > 140 {
			t.Errorf("a line of %d bytes: %s", len(line), line)
		}
		if line != "" && !regexp.MustCompile(`^#|^[a-z]+:$|# \S`).MatchString(line) {
			t.Errorf("no comment: %s", line)
		}
	}
	keys := allKeys()
	for _, k := range keys {
		if comments[k] == "" {
			t.Errorf("%s has no comment", k)
		}
	}
	if len(comments) != len(keys) {
		t.Errorf("%d comments for %d keys", len(comments), len(keys))
	}
}

func TestParseYAMLRefuses(t *testing.T) {
	sound := string(fixed(t).YAML())
	edited := func(pattern, with string) string {
		re := regexp.MustCompile("(?m)" + pattern)
		if !re.MatchString(sound) {
			t.Fatalf("nothing matches %s", pattern)
		}
		return re.ReplaceAllString(sound, with)
	}
	lineOf := func(text, start string) int {
		return 1 + strings.Count(text[:strings.Index(text, "\n"+start)+1], "\n")
	}
	atBatch := fmt.Sprintf("line %d: ", lineOf(sound, "batch:"))
	for _, c := range []struct{ name, in, want string }{
		{"nothing", "", "no manifest"},
		{"comments only", "# nothing\n", "no manifest"},
		{"prose", "Call me Ishmael.\n", "no manifest"},
		{"a list", "- 1\n- 2\n", "no manifest"},
		{"two documents", sound + "---\n" + sound, "2 YAML documents"},
		{"bad syntax", edited(`^batch: .*`, "batch: [1"), "line "},
		{"slip", edited(`^batch: .*`, "bathc: 4"), atBatch + `unknown key "bathc": did you mean batch?`},
		{"other case", edited(`^batch: .*`, "Batch: 4"), atBatch + `unknown key "Batch": did you mean batch?`},
		{"slip inside", edited(`^  beta2: `, "  beta_2: "), `unknown key "optimizer.beta_2": did you mean optimizer.beta2?`},
		{"key of another part", edited(`^batch: .*`, "batch: 4\nwarmup: 3"), `unknown key "warmup": did you mean optimizer.warmup?`},
		{"two slips", edited(`^  beta2: `, "  colour: 2\n  flavour: "), `unknown key "optimizer.flavour"`},
		{"missing", edited(`^(seed|K): .*`, ""), "missing keys: seed, K: "},
		{"missing inside", edited(`^  clip: .*`, ""), "missing keys: optimizer.clip"},
		{"part that is no mapping", edited(`^codec:\n.*\n.*\n`, "codec: f32\n"), "codec is a part of the manifest: set one of codec.region, codec.global"},
		{"mapping for a value", edited(`^batch: .*`, "batch: {size: 4}"), `unknown key "batch.size"`},
		{"empty mapping for a value", edited(`^batch: .*`, "batch: {}"), atBatch},
		{"nothing for a value", edited(`^batch: .*`, "batch:"), atBatch},
		{"key twice", edited(`^batch: .*`, "batch: 4\nbatch: 5"), "batch"},
		{"word for number", edited(`^batch: .*`, "batch: four"), atBatch},
		{"string for number", edited(`^batch: .*`, `batch: "4"`), atBatch},
		{"fraction", edited(`^batch: .*`, "batch: 4.5"), atBatch},
		{"negative", edited(`^tokens: .*`, "tokens: -4"), "line "},
		{"too large", edited(`^tokens: .*`, "tokens: 99999999999999999999"), "line "},
		{"number for string", edited(`^name: .*`, "name: 7"), "line "},
		{"newer format", edited(`^format: .*`, "format: 4\nfuture: 1"), "another format: 4"},
		{"no format", edited(`^format: .*`, ""), "no format"},
		{"unsound", edited(`^batch: .*`, "batch: 0"), "batch: 0"},
		{"merge", edited(`^batch: .*`, "batch: 4\n<<: *x"), "unknown key \"<<\""},
		{"alias", edited(`^batch: .*`, "batch: *x"), "want a whole number"},
		{"anchor", edited(`^batch: .*`, "batch: &x 4"), atBatch},
		{"tag", edited(`^batch: .*`, "batch: !!int 4"), atBatch},
		{"hexadecimal", edited(`^batch: .*`, "batch: 0x4"), atBatch},
		{"infinite", edited(`^alpha: .*`, "alpha: .inf"), "alpha: "},
		{"deep", strings.Repeat("a: {", 20000), ""},
		{"too long", sound + strings.Repeat("#", MaxBytes), "at most 65536"},
	} {
		_, err := ParseYAML([]byte(c.in))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s in it", c.name, err, c.want)
		}
		if got := errors.Is(err, ErrFormat); got != (c.name == "newer format") {
			t.Errorf("%s: is ErrFormat: %t", c.name, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	j, err := Preset("tiny")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(j.Canonical())
	f.Add([]byte(`{"format":3}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		j, err := Parse(in)
		if err == nil && string(j.Canonical()) != string(in) {
			t.Errorf("%q is taken for %q", in, j.Canonical())
		}
	})
}

func FuzzParseYAML(f *testing.F) {
	j, err := Preset("tiny")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(j.YAML())
	f.Add([]byte("a: &x {b: *x}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		j, err := ParseYAML(in)
		if err != nil {
			return
		}
		if again, err := ParseYAML(j.YAML()); err != nil || again.ID() != j.ID() {
			t.Errorf("%q: %v", j.YAML(), err)
		}
	})
}
