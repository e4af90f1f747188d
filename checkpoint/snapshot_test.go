package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// snapshot returns a small state in which everything depends on v and mark.
func snapshot(v uint64, mark float32) Snapshot {
	return Snapshot{
		Version: v,
		Config:  fmt.Appendf(nil, `{"vocab_size":%d}`, v),
		Job:     fmt.Appendf(nil, `{"job":%d}`, v),
		Model:   []Tensor{{"w", []int{2, 2}, []float32{mark, 2, 3, float32(v)}}, {"b", []int{1}, []float32{mark}}},
		Vectors: []Tensor{{"momentum", []int{5}, []float32{mark, 0, 0, 0, float32(v)}}},
		State:   fmt.Appendf(nil, `{"version":%d}`, v),
	}
}

func save1(t *testing.T, dir string, s Snapshot) string {
	t.Helper()
	path, err := Save(dir, s)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// expect loads dir and compares everything with want.
func expect(t *testing.T, dir string, want Snapshot) Snapshot {
	t.Helper()
	got, _, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != want.Version || string(got.Config) != string(want.Config) || string(got.Job) != string(want.Job) || string(got.State) != string(want.State) {
		t.Fatalf("loaded v%d %s %s %s, want v%d %s %s %s", got.Version, got.Config, got.Job, got.State, want.Version, want.Config, want.Job, want.State)
	}
	if fault := difference(got.Model, want.Model) + difference(got.Vectors, want.Vectors); fault != "" {
		t.Fatal(fault)
	}
	return got
}

func expectNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func TestSaveThenLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "dir [x]*")
	path := save1(t, dir, snapshot(7, 1))
	expectNames(t, dir, "v000000000007")
	expectNames(t, path, "CRC32C", "SHA256SUMS", "config.json", "job.json", "model.safetensors", "state.json", "state.safetensors")
	if got := expect(t, dir, snapshot(7, 1)); got.Skipped != nil {
		t.Errorf("skipped: %v", got.Skipped)
	}
	if _, loaded, _ := Load(dir); loaded != path {
		t.Errorf("loaded %s, want %s", loaded, path)
	}
}

func TestAnEmptyState(t *testing.T) {
	dir := t.TempDir()
	save1(t, dir, Snapshot{})
	expect(t, dir, Snapshot{})
}

func TestSaveKeepsTheNewestTwo(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		save uint64
		want []string
	}{
		{5, []string{"v000000000005"}},
		{9, []string{"v000000000005", "v000000000009"}},
		{10, []string{"v000000000009", "v000000000010"}},
		{2_000_000_000_000, []string{"v000000000010", "v2000000000000"}},
		{11, []string{"v000000000010", "v000000000011"}}, // what was saved last counts, not what had come furthest
		{9, []string{"v000000000009"}},
		{12, []string{"v000000000009", "v000000000012"}},
	} {
		save1(t, dir, snapshot(c.save, 1))
		expectNames(t, dir, c.want...)
	}
	expect(t, dir, snapshot(12, 1))
}

func TestSaveReplacesTheSameVersion(t *testing.T) {
	dir := t.TempDir()
	save1(t, dir, snapshot(3, 1))
	save1(t, dir, snapshot(4, 1))
	save1(t, dir, snapshot(4, 2))
	expect(t, dir, snapshot(4, 2))
	expectNames(t, dir, "v000000000003", "v000000000004")
}

func TestASaveThatFailsChangesNothing(t *testing.T) {
	dir := t.TempDir()
	save1(t, dir, snapshot(3, 1))
	save1(t, dir, snapshot(4, 1))
	for _, version := range []uint64{4, 5} {
		bad := snapshot(version, 2)
		bad.Vectors[0].Shape = []int{6} // found out after the model is written
		_, err := Save(dir, bad)
		want := fmt.Sprintf(`save snapshot v%d: state.safetensors: tensor "momentum" has shape [6] but 5 elements`, version)
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
		expect(t, dir, snapshot(4, 1))
		expectNames(t, dir, "v000000000003", "v000000000004")
	}
}

func TestDamageIsNoticed(t *testing.T) {
	damages := []struct {
		name string
		do   func(file string, content []byte) error
	}{
		{"is missing", func(file string, _ []byte) error { return os.Remove(file) }},
		{"is empty", func(file string, _ []byte) error { return os.Truncate(file, 0) }},
		{"is cut short", func(file string, b []byte) error { return os.Truncate(file, int64(len(b)-2)) }},
		{"has grown", func(file string, b []byte) error { return os.WriteFile(file, append(b, '\n'), 0o644) }},
		{"has a flipped bit", func(file string, b []byte) error { b[len(b)-2] ^= 1; return os.WriteFile(file, b, 0o644) }},
		{"is a directory", func(file string, _ []byte) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o755)) }},
	}
	for _, file := range []string{configFile, modelFile, vectorFile, stateFile, jobFile, blocksFile, sumsFile} {
		for _, d := range damages {
			if file == sumsFile && d.name == "has grown" {
				continue // a line more does no harm
			}
			t.Run(file+" "+d.name, func(t *testing.T) {
				dir := t.TempDir()
				save1(t, dir, snapshot(1, 1))
				newest := filepath.Join(save1(t, dir, snapshot(2, 1)), file)
				content, err := os.ReadFile(newest)
				if err != nil {
					t.Fatal(err)
				}
				if err := d.do(newest, content); err != nil {
					t.Fatal(err)
				}
				got := expect(t, dir, snapshot(1, 1))
				if got.Skipped == nil || !strings.Contains(got.Skipped.Error(), "v000000000002") {
					t.Errorf("skipped %v, want the newest in it", got.Skipped)
				}
			})
		}
	}
}

func TestLoadWithoutAGoodSnapshot(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"v12", "v0000000000012", "x000000000012", ".v000000000012.tmp"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "v000000000013"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, nothing := range []string{dir, filepath.Join(dir, "missing")} {
		if _, _, err := Load(nothing); !errors.Is(err, ErrNone) {
			t.Errorf("%s: got %v, want ErrNone", nothing, err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "v000000000014"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(dir); err == nil || errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "v000000000014: not a complete snapshot") {
		t.Errorf("got %v, want one that names the incomplete snapshot and is not ErrNone", err)
	}
}

// The moments at which a crash can hit Save while it replaces v2 and after it
// wrote v3; each must load, and the next Save must leave nothing behind.
func TestACrashInTheMiddleOfSave(t *testing.T) {
	for _, c := range []struct {
		name  string
		crash func(dir string) error
		want  Snapshot
	}{
		{"while it writes", func(dir string) error {
			return os.Truncate(filepath.Join(dir, ".v000000000002.tmp", modelFile), 20)
		}, snapshot(2, 1)},
		{"before the old one steps aside", func(string) error { return nil }, snapshot(2, 1)},
		{"between the two renames", func(dir string) error {
			return os.Rename(filepath.Join(dir, "v000000000002"), filepath.Join(dir, "v000000000002.old"))
		}, snapshot(2, 1)},
		{"before the old one is removed", func(dir string) error {
			return errors.Join(
				os.Rename(filepath.Join(dir, "v000000000002"), filepath.Join(dir, "v000000000002.old")),
				os.Rename(filepath.Join(dir, ".v000000000002.tmp"), filepath.Join(dir, "v000000000002")))
		}, snapshot(2, 9)},
	} {
		for next := uint64(2); next <= 3; next++ {
			t.Run(fmt.Sprintf("%s, then v%d", c.name, next), func(t *testing.T) {
				dir, other := t.TempDir(), t.TempDir()
				save1(t, dir, snapshot(1, 1))
				save1(t, dir, snapshot(2, 1))
				fresh := save1(t, other, snapshot(2, 9))
				if err := os.Rename(fresh, filepath.Join(dir, ".v000000000002.tmp")); err != nil {
					t.Fatal(err)
				}
				if err := c.crash(dir); err != nil {
					t.Fatal(err)
				}
				expect(t, dir, c.want)
				save1(t, dir, snapshot(next, 5))
				expect(t, dir, snapshot(next, 5))
				save1(t, dir, snapshot(next+1, 6))
				expectNames(t, dir, folder(next), folder(next+1))
			})
		}
	}
}
