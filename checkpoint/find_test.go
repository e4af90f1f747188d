package checkpoint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	root := t.TempDir()
	in := func(elements ...string) string { return filepath.Join(append([]string{root}, elements...)...) }
	for _, s := range []struct {
		dir      string
		versions []uint64
	}{
		{in("net", "eu-lps", "checkpoint"), []uint64{40, 50}},
		{in("net", "gps", "checkpoint"), []uint64{6, 7}},
		{in("net", "eu-worker-1", "log"), nil},
		{in("noGPS", "a", "snapshots"), []uint64{3}},
		{in("noGPS", "b", "snapshots"), []uint64{4}},
		{in("damaged"), []uint64{1, 2}},
		{in("lost"), []uint64{1}},
	} {
		if err := os.MkdirAll(s.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, v := range s.versions {
			save1(t, s.dir, snapshot(v, 1))
		}
	}
	if err := os.Rename(save1(t, in(), snapshot(1, 1)), in("plain")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{sumsFile, stateFile, jobFile, vectorFile} {
		if err := os.Remove(in("plain", name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{in("damaged", "v000000000002", modelFile), in("lost", "v000000000001", configFile)} {
		if err := os.Truncate(file, 10); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, path, want, fault string }{
		{"a snapshot", in("net", "gps", "checkpoint", "v000000000006"), "net/gps/checkpoint/v000000000006", ""},
		{"a Hugging Face folder", in("plain"), "plain", ""},
		{"a directory of snapshots", in("net", "eu-lps", "checkpoint"), "net/eu-lps/checkpoint/v000000000050", ""},
		{"a node's directory", in("net", "eu-lps"), "net/eu-lps/checkpoint/v000000000050", ""},
		{"a testnet's directory", in("net"), "net/gps/checkpoint/v000000000007", ""},
		{"the furthest where no GPS is", in("noGPS"), "noGPS/b/snapshots/v000000000004", ""},
		{"the newest that verifies", in("damaged"), "damaged/v000000000001", ""},
		{"none that verifies", in("lost"), "", "no snapshot verifies:\nsnapshot " + in("lost", "v000000000001") + ": config.json: has 10 bytes, was written with 16: damaged in bytes 0-15"},
		{"no snapshot", in("net", "eu-worker-1"), "", "no config.json with model.safetensors, no snapshot and no node's directory"},
		{"a file", in("plain", modelFile), "", "is a file: name the folder that holds it"},
		{"nothing", in("no"), "", "checkpoint: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Find(c.path)
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Fatalf("got %q and %v, want %q", got, err, c.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if below, _ := filepath.Rel(root, got); filepath.ToSlash(below) != c.want {
				t.Errorf("got %s, want %s", below, c.want)
			}
		})
	}
}

// model returns what snapshot's tensors are read into, one flat slice.
func model() ([]Tensor, []float32) {
	flat := make([]float32, 5)
	return []Tensor{{"b", []int{1}, flat[:1]}, {"w", []int{2, 2}, flat[1:]}}, flat
}

func TestLoadModel(t *testing.T) {
	dir := t.TempDir()
	path := save1(t, dir, snapshot(8, 1.5))
	config, err := LoadConfig(path)
	if err != nil || string(config) != `{"vocab_size":8}` {
		t.Errorf("config %s and %v, want vocab_size 8", config, err)
	}
	tensors, flat := model()
	if err := LoadModel(path, tensors); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float32{1.5, 1.5, 2, 3, 8} {
		if flat[i] != want {
			t.Errorf("element %d is %v, want %v", i, flat[i], want)
		}
	}
	if err := os.Remove(filepath.Join(path, sumsFile)); err != nil {
		t.Fatal(err)
	}
	if err := LoadModel(path, tensors); err != nil {
		t.Errorf("without hashes: %v", err)
	}
	if err := os.Truncate(filepath.Join(path, modelFile), 150); err != nil {
		t.Fatal(err)
	}
	if err := LoadModel(path, tensors); err == nil || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("a truncated model: got %v", err)
	}
}

func TestLoadModelComparesSums(t *testing.T) {
	path := save1(t, t.TempDir(), snapshot(8, 1.5))
	file := filepath.Join(path, modelFile)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)-1] ^= 1
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
	tensors, _ := model()
	if err := LoadModel(path, tensors); err == nil || !strings.Contains(err.Error(), "model.safetensors: damaged in bytes 0-171 of 172") {
		t.Errorf("got %v, want where the model is damaged", err)
	}
}

func TestAssignRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		src  []Tensor
		want string
	}{
		{"all there, any order", snapshot(1, 1).Model, ""},
		{"one missing", snapshot(1, 1).Model[:1], `tensors missing: 1, the first is "b"`},
		{"all missing", nil, `tensors missing: 2, the first is "b"`},
		{"one unknown", []Tensor{{"c", []int{1}, []float32{1}}}, `tensor "c" is not part of the model, or comes twice`},
		{"one twice", []Tensor{{"b", []int{1}, []float32{1}}, {"b", []int{1}, []float32{1}}}, `tensor "b" is not part of the model, or comes twice`},
		{"another shape of the same size", []Tensor{{"w", []int{4, 1}, make([]float32, 4)}}, `tensor "w" has shape [4 1], the model's has [2 2]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			tensors, _ := model()
			got := ""
			if err := Assign(tensors, c.src); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
