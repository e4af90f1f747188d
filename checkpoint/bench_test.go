package checkpoint

import (
	"crypto/sha256"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// benchBytes is the length of the state that the benchmarks keep: the model and three
// vectors of its length, as a GPS has them.
const benchBytes = 256 << 20

// large returns a state of so many bytes.
func large(v uint64, size int) Snapshot {
	const parts = 16 // of the model
	perVector := size / wordLen / 4
	rng := rand.New(rand.NewPCG(v, 5))
	flat := make([]float32, 4*perVector)
	for i := range flat {
		flat[i] = rng.Float32()
	}
	s := snapshot(v, 1)
	s.Model = nil
	for i := range parts {
		part := flat[i*perVector/parts : (i+1)*perVector/parts]
		s.Model = append(s.Model, Tensor{folder(uint64(i)), []int{len(part)}, part})
	}
	s.Vectors = nil
	for i, name := range []string{"base", "momentum", "merged"} {
		s.Vectors = append(s.Vectors, Tensor{name, []int{perVector}, flat[(i+1)*perVector : (i+2)*perVector]})
	}
	return s
}

// Save makes no copy of the state, and Load one: beside it there are buffers only.
func TestNoCopyOfTheState(t *testing.T) {
	const size, buffers = 32 << 20, 1 << 20
	dir, s := t.TempDir(), large(1, size)
	for _, c := range []struct {
		name string
		do   func() error
		want uint64
	}{
		{"save", func() error { _, err := Save(dir, s); return err }, buffers},
		{"load", func() error { _, _, err := Load(dir); return err }, size + buffers},
		{"verify", func() error { _, err := Find(dir); return err }, buffers},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > c.want {
			t.Errorf("%s allocates %d bytes for a state of %d, want at most %d", c.name, got, size, c.want)
		}
	}
}

// Whatever B/op says beyond a few buffers is a copy of the state.
func BenchmarkSave(b *testing.B) {
	s, dir := large(0, benchBytes), b.TempDir()
	b.SetBytes(benchBytes)
	b.ReportAllocs()
	for b.Loop() {
		s.Version++
		if _, err := Save(dir, s); err != nil {
			b.Fatal(err)
		}
	}
}

// All but the wait for the disk.
func BenchmarkSaveUnsynced(b *testing.B) {
	s, dir := large(0, benchBytes), b.TempDir()
	b.SetBytes(benchBytes)
	b.ReportAllocs()
	for b.Loop() {
		s.Version++
		if err := save(hasty{}, dir, blockLen, s); err != nil {
			b.Fatal(err)
		}
	}
}

// hasty is the machine's disk without the wait for it.
type hasty struct{ machine }

func (hasty) SyncDir(string) error { return nil }

func (h hasty) Create(name string) (output, error) {
	f, err := h.machine.Create(name)
	return unsynced{f}, err
}

// B/op is the state, once.
func BenchmarkLoad(b *testing.B) {
	dir := b.TempDir()
	if _, err := Save(dir, large(1, benchBytes)); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(benchBytes)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Load(dir); err != nil {
			b.Fatal(err)
		}
	}
}

// Find verifies without keeping what it reads.
func BenchmarkVerify(b *testing.B) {
	path, err := Save(b.TempDir(), large(1, benchBytes))
	if err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(path, modelFile))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	b.ReportAllocs()
	for b.Loop() {
		if err := verifyModel(path); err != nil {
			b.Fatal(err)
		}
	}
}

// What the parts of Save cost alone.
func BenchmarkParts(b *testing.B) {
	buffer := make([]byte, 64<<10)
	table := crc32.MakeTable(crc32.Castagnoli)
	tensors, sums := large(1, benchBytes).Vectors, newDigest(blockLen)
	for _, part := range []struct {
		name string
		size int64
		do   func() error
	}{
		{"sha256", 64 << 10, func() error { sha256.Sum256(buffer); return nil }},
		{"crc32c", 64 << 10, func() error { crc32.Checksum(buffer, table); return nil }},
		{"both", 64 << 10, func() error { _, err := sums.Write(buffer); return err }},
		{"convert", benchBytes / 4 * 3, func() error { return WriteTensors(io.Discard, tensors) }},
	} {
		b.Run(part.name, func(b *testing.B) {
			b.SetBytes(part.size)
			for b.Loop() {
				if err := part.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("disk", func(b *testing.B) { // writes and the sync, without the sums
		dir := b.TempDir()
		b.SetBytes(benchBytes)
		for i := range b.N {
			f, err := machine{}.Create(filepath.Join(dir, folder(uint64(i))))
			if err != nil {
				b.Fatal(err)
			}
			for range benchBytes / len(buffer) {
				if _, err := f.Write(buffer); err != nil {
					b.Fatal(err)
				}
			}
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
			f.Close()
		}
	})
}
