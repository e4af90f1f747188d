package checkpoint

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Where a file is not as it was written, the error says so to the block.
func TestDamageIsLocated(t *testing.T) {
	content := []byte(strings.Repeat("0123456789", 10)) // in blocks of 8 bytes and one of 4
	flip := func(at ...int) []byte {
		b := append([]byte(nil), content...)
		for _, i := range at {
			b[i] ^= 1
		}
		return b
	}
	for _, c := range []struct {
		name string
		now  []byte
		want string
	}{
		{"nothing", content, ""},
		{"first byte", flip(0), "damaged in bytes 0-7 of 100"},
		{"last byte of a block", flip(7), "damaged in bytes 0-7 of 100"},
		{"first byte of the next", flip(8), "damaged in bytes 8-15 of 100"},
		{"last byte", flip(99), "damaged in bytes 96-99 of 100"},
		{"twice in a block", flip(33, 34), "damaged in bytes 32-39 of 100"},
		{"neighbours", flip(20, 24, 32), "damaged in bytes 16-39 of 100"},
		{"two places", flip(20, 32), "damaged in bytes 16-23, 32-39 of 100"},
		{"everywhere", make([]byte, 100), "damaged in bytes 0-99 of 100"},
		{"cut within a block", content[:90], "has 90 bytes, was written with 100: damaged in bytes 88-99"},
		{"cut between blocks", content[:88], "has 88 bytes, was written with 100: damaged in bytes 88-99"},
		{"cut and flipped", flip(1)[:88], "has 88 bytes, was written with 100: damaged in bytes 0-7, 88-99"},
		{"empty", nil, "has 0 bytes, was written with 100: damaged in bytes 0-99"},
		{"longer", append(flip(), 0), "has 101 bytes, was written with 100: damaged in bytes 96-99"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want, now := newDigest(8), newDigest(8)
			want.Write(content)
			for i := range c.now { // byte by byte is as at once
				now.Write(c.now[i : i+1])
			}
			got := ""
			if err := want.seal().compare(now.seal()); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// An error does not grow with the damage.
func TestDamageInManyPlaces(t *testing.T) {
	want, now := newDigest(1), newDigest(1)
	for i := range 40 {
		want.Write([]byte{0})
		now.Write([]byte{byte(i % 2)})
	}
	const text = "damaged in bytes 1-1, 3-3, 5-5, 7-7, 9-9, 11-11, 13-13, 15-15, 12 places more of 40"
	if err := want.seal().compare(now.seal()); err == nil || err.Error() != text {
		t.Errorf("got %v, want %s", err, text)
	}
}

// pair saves two snapshots on a faulty disk.
func pair(t *testing.T, seed uint64) (disk *faulty, older, newer Snapshot) {
	t.Helper()
	disk = newFaulty(rand.New(rand.NewPCG(seed, 3)))
	older, newer = snapshot(1, 1), snapshot(2, 7)
	for _, s := range []Snapshot{older, newer} {
		if err := save(disk, "/node/snapshots", shortBlocks, s); err != nil {
			t.Fatal(err)
		}
	}
	return disk, older, newer
}

func (f *faulty) file(t *testing.T, v uint64, name string) *node {
	t.Helper()
	n, err := f.find(filepath.Join("/node/snapshots", folder(v), name))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var place = regexp.MustCompile(`damaged in bytes (\d+)-(\d+) of \d+$`)

// Whichever bit of the newest snapshot flips, the other one is read and the error names
// the file and, but in the two that hold the sums, a block with the bit.
func TestEveryFlippedBit(t *testing.T) {
	disk, older, newer := pair(t, 1)
	for _, name := range []string{configFile, modelFile, vectorFile, stateFile, jobFile, blocksFile, sumsFile} {
		file := disk.file(t, newer.Version, name)
		for i := range len(file.data) * 8 {
			file.data[i/8] ^= 1 << (i % 8)
			got, _, err := load(disk, "/node/snapshots")
			file.data[i/8] ^= 1 << (i % 8)
			if err != nil || !same(got, older) || got.Skipped == nil {
				t.Fatalf("bit %d of %s: loads v%d, skipped %v, %v", i, name, got.Version, got.Skipped, err)
			}
			fault := got.Skipped.Error()
			if !strings.Contains(fault, folder(newer.Version)) || !strings.Contains(fault, name) {
				t.Fatalf("bit %d of %s: %s", i, name, fault)
			}
			if name == blocksFile || name == sumsFile {
				continue
			}
			where := place.FindStringSubmatch(fault)
			if where == nil {
				t.Fatalf("bit %d of %s: no place in %s", i, name, fault)
			}
			first, _ := strconv.Atoi(where[1])
			last, _ := strconv.Atoi(where[2])
			if first > i/8 || i/8 > last || first%shortBlocks != 0 || last-first >= shortBlocks {
				t.Fatalf("bit %d of %s, in byte %d: %s", i, name, i/8, fault)
			}
		}
	}
	if got, _, err := load(disk, "/node/snapshots"); err != nil || !same(got, newer) || got.Skipped != nil {
		t.Errorf("with every bit as it was: loads v%d, skipped %v, %v", got.Version, got.Skipped, err)
	}
}

// A bit of the older snapshot does not matter while the newer one is good.
func TestFlippedBitsOfTheOlder(t *testing.T) {
	disk, older, newer := pair(t, 2)
	for _, name := range []string{configFile, modelFile, vectorFile, stateFile, jobFile, blocksFile, sumsFile} {
		disk.file(t, older.Version, name).data[3] ^= 4
		if got, _, err := load(disk, "/node/snapshots"); err != nil || !same(got, newer) || got.Skipped != nil {
			t.Errorf("%s: loads v%d, skipped %v, %v", name, got.Version, got.Skipped, err)
		}
	}
}

// Where no snapshot is good the error tells of all that is damaged and what to do.
func TestBothDamaged(t *testing.T) {
	disk, older, newer := pair(t, 3)
	disk.file(t, newer.Version, modelFile).data[70] ^= 1
	disk.file(t, newer.Version, stateFile).data[0] ^= 1
	disk.file(t, older.Version, vectorFile).bad = true
	const want = `no snapshot in /node/snapshots verifies: restore one from a copy, or start in another directory:
snapshot /node/snapshots/v000000000002: state.json: damaged in bytes 0-12 of 13
model.safetensors: damaged in bytes 64-127 of 172
snapshot /node/snapshots/v000000000001: state.safetensors: at byte 62: input/output error`
	_, _, err := load(disk, "/node/snapshots")
	if err == nil || err.Error() != want || !errors.Is(err, syscall.EIO) || errors.Is(err, ErrNone) {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// SHA256SUMS is told apart from what it covers.
func TestDamagedSums(t *testing.T) {
	disk, _, newer := pair(t, 4)
	disk.file(t, newer.Version, sumsFile).data[0] ^= 1
	got, _, err := load(disk, "/node/snapshots")
	if err != nil || got.Skipped == nil || !strings.Contains(got.Skipped.Error(), "config.json: agrees with CRC32C, but SHA-256 is ") {
		t.Errorf("skipped %v, %v", got.Skipped, err)
	}
}

// A folder from before there was CRC32C.
func TestWithoutBlocks(t *testing.T) {
	dir := t.TempDir()
	path := save1(t, dir, snapshot(1, 1))
	sums, err := os.ReadFile(filepath.Join(path, sumsFile))
	if err != nil {
		t.Fatal(err)
	}
	old := regexp.MustCompile(`(?m)^\w+  CRC32C\n`).ReplaceAll(sums, nil)
	if err := errors.Join(os.WriteFile(filepath.Join(path, sumsFile), old, 0o644), os.Remove(filepath.Join(path, blocksFile))); err != nil {
		t.Fatal(err)
	}
	expect(t, dir, snapshot(1, 1))
	if found, err := Find(dir); err != nil || found != path {
		t.Errorf("found %s, %v", found, err)
	}
	tensors, _ := model()
	if err := LoadModel(path, tensors); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(path, stateFile), []byte(`{"version":3}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "state.json: SHA-256 is ") || !strings.Contains(err.Error(), "truncated or damaged") {
		t.Errorf("with other counters: %v", err)
	}
}

// The lines as documented: e3069283 is the check value of CRC-32C.
func TestBlocksGolden(t *testing.T) {
	d := newDigest(9)
	d.Write([]byte("123456789" + "1234"))
	const want = "e3069283  0  9  x\nf63af4ee  9  4  x\n"
	if got := string(d.seal().appendBlocks(nil, "x")); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseBlocksRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"two files in turn", "00000001  0  4  a\n00000002  0  4  b\n00000003  4  1  a\n", ""},
		{"a gap", "00000001  0  4  a\n00000002  5  4  a\n", `line "00000002  5  4  a\n" does not go on where byte 4 of a ended`},
		{"a block twice", "00000001  0  4  a\n00000001  0  4  a\n", "does not go on where byte 4 of a ended"},
		{"a longer block", "00000001  0  4  a\n00000001  4  5  a\n", "does not go on where byte 4 of a ended"},
		{"on after a short block", "00000001  0  4  a\n00000001  4  3  a\n00000001  7  4  a\n", "does not go on where byte 7 of a ended"},
		{"an empty block", "00000001  0  0  a\n", "does not go on where byte 0 of a ended"},
		{"a negative one", "00000001  0  -4  a\n", "does not go on where byte 0 of a ended"},
		{"no name", "00000001  0  4\n", `line "00000001  0  4\n": `},
		{"no number", "x\n", `line "x\n": `},
		{"a CRC too long", "000000001  0  4  a\n", `line "000000001  0  4  a\n": `},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := parseBlocks(c.text, map[string]seal{})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// What is accepted is what would be written, whatever a file of sums says.
func FuzzParseBlocks(f *testing.F) {
	f.Add("e3069283  0  9  x\nf63af4ee  9  4  x\n")
	f.Add("00000000  0  9223372036854775807  x\n00000000  9223372036854775807  9223372036854775807  x\n")
	f.Fuzz(func(t *testing.T, text string) {
		seals := map[string]seal{}
		if parseBlocks(text, seals) != nil {
			return
		}
		for name, s := range seals {
			again := map[string]seal{}
			if err := parseBlocks(string(s.appendBlocks(nil, name)), again); err != nil || fmt.Sprint(again[name]) != fmt.Sprint(s) {
				t.Fatalf("%q: %v again is %v, %v", name, s, again[name], err)
			}
			d := s.like()
			d.Write([]byte("1234"))
			if s.sum = "x"; s.compare(d.seal()) == nil {
				t.Fatalf("%q agrees with a file that is not it", name)
			}
		}
	})
}
