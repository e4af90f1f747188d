package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed says which packages of this module each may import. cli may import all.
var allowed = map[string][]string{
	"halos":            {"cli"},
	"halos/tensor":     {},
	"halos/model":      {"tensor"},
	"halos/optim":      {"tensor"},
	"halos/codec":      {"tensor"},
	"halos/data":       {},
	"halos/checkpoint": {"tensor"},
	"halos/train":      {"tensor", "model", "optim", "data"},
	"halos/roles":      {"tensor", "optim", "codec", "data"},
	"halos/wan":        {},
	"halos/wire":       {},
	"halos/spool":      {"wire"},
	"halos/stripes":    {},
	"halos/bulk":       {"wire"},
	"halos/job":        {"model", "optim", "codec", "data", "train", "roles"},
	"halos/node":       {"job", "roles", "train", "optim", "wire", "bulk", "spool", "stripes", "codec", "checkpoint", "tensor", "model", "data"},
	"halos/testnet":    {"node", "wan", "wire", "job"},
	"halos/sim":        {"job", "roles", "train", "optim", "codec", "data", "checkpoint", "tensor", "model"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImportDirections(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		may, known := allowed[p.ImportPath]
		if !known && p.ImportPath != "halos/cli" {
			t.Errorf("%s has no row in the table of allowed imports", p.ImportPath)
		}
		seen++
		for _, i := range p.Imports {
			name, ours := strings.CutPrefix(i, "halos/")
			if ours && known && !slices.Contains(may, name) {
				t.Errorf("%s imports %s: it may import only %v", p.ImportPath, i, may)
			}
			if strings.HasPrefix(i, "github.com/libp2p/") && p.ImportPath != "halos/node" {
				t.Errorf("%s imports %s: libp2p lives in node", p.ImportPath, i)
			}
			impure := []string{"time", "net", "os", "sync", "sync/atomic", "math/rand"}
			if p.ImportPath == "halos/roles" && slices.Contains(impure, i) {
				t.Errorf("roles imports %s: it does no I/O, reads no clock and shares nothing", i)
			}
		}
	}
	if seen < len(allowed) {
		t.Errorf("%d packages listed, the table has %d", seen, len(allowed))
	}
}
