package roles

import (
	"math"
	"strings"
	"testing"
)

func TestConfigValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   []string // parts of the error
	}{
		{"sound", func(*Config) {}, nil},
		{"sound, paper", func(c *Config) { c.InFlight, c.Alpha, c.Guard = Paper, 1, Guard{5, 9} }, nil},
		{"no step", func(c *Config) { c.H = 0 }, []string{"H: 0"}},
		{"no update", func(c *Config) { c.K = 0 }, []string{"K: 0"}},
		{"alpha 0", func(c *Config) { c.Alpha = 0 }, nil},
		{"alpha below 0", func(c *Config) { c.Alpha = -0.1 }, []string{"alpha: -0.1"}},
		{"alpha above 1", func(c *Config) { c.Alpha = 1.1 }, []string{"alpha: 1.1"}},
		{"alpha not a number", func(c *Config) { c.Alpha = math.NaN() }, []string{"alpha: NaN"}},
		{"unknown mode", func(c *Config) { c.InFlight = "drop" }, []string{`inflight: "drop"`}},
		{"no batch", func(c *Config) { c.Batch = -1 }, []string{"batch: -1"}},
		{"no global batch", func(c *Config) { c.GlobalBatch = 0 }, []string{"global_batch: 0"}},
		{"negative norm", func(c *Config) { c.Guard.NormPerStep = -1 }, []string{"norm_per_step: -1"}},
		{"infinite norm", func(c *Config) { c.Guard.NormPerStep = math.Inf(1) }, []string{"norm_per_step"}},
		{"a server's", func(c *Config) { c.LPS.N = 0; c.GPS.Beta = 1 }, []string{"lps: ", "gps: "}},
		{"all at once", func(c *Config) { *c = Config{} }, []string{"H: 0", "K: 0", "inflight", "batch", "global_batch", "lps: ", "gps: "}},
	} {
		cfg := scriptCfg
		c.change(&cfg)
		err := cfg.Validate()
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: got %v, want it to name %q", c.name, err, part)
			}
		}
	}
}
