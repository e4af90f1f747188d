package testnet

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigValidate(t *testing.T) {
	good := Config{Regions: 2, Workers: 2}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	bad := Config{Regions: 201, Duration: -1, Links: linksOf(-1, 0)}
	err := bad.Validate()
	for _, want := range []string{"regions 201: must be 1 to 200", "workers 0", "duration -1ns", "rtt -1ns"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestMakeDir(t *testing.T) {
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "old", manifestFile), "")
	writeFile(t, filepath.Join(root, "full", "thesis.tex"), "")
	writeFile(t, filepath.Join(root, "file"), "")
	for _, c := range []struct{ dir, fault string }{
		{"new", ""},
		{"a/b/c", ""},
		{"new", ""}, // it is there now, and empty
		{"old", "holds a former testnet"},
		{"full", "is not empty (it holds thesis.tex)"},
		{"file", "file"},
	} {
		got, err := makeDir(filepath.Join(root, c.dir))
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: got %v, want %q", c.dir, err, c.fault)
		}
		if err == nil && got != filepath.Join(root, c.dir) {
			t.Errorf("%s: made %s", c.dir, got)
		}
	}
	t.Setenv("TMPDIR", root)
	if got, err := makeDir(""); err != nil || !strings.Contains(got, "halos-testnet-") {
		t.Errorf("no directory given: %s, %v", got, err)
	}
}
