package codec

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"
)

func TestF32Golden(t *testing.T) {
	nan := math.Float32frombits(0x7fc00001)
	for _, tc := range []struct {
		name string
		x    []float32
		want string
	}{
		{"nothing", nil, ""},
		{"one", []float32{1}, "0000803f"},
		{"negative", []float32{-2.5}, "000020c0"},
		{"order", []float32{0, 1, 2}, "000000000000803f00000040"},
		{"negative zero", []float32{float32(math.Copysign(0, -1))}, "00000080"},
		{"smallest", []float32{math.SmallestNonzeroFloat32}, "01000000"},
		{"infinity", []float32{float32(math.Inf(1))}, "0000807f"},
		{"NaN with its bits", []float32{nan}, "0100c07f"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := F32.Append([]byte("ab"), tc.x)
			if got := hex.EncodeToString(b[2:]); got != tc.want || string(b[:2]) != "ab" {
				t.Fatalf("got %q then %s, want %q then %s", b[:2], got, "ab", tc.want)
			}
			if got := F32.EncodedLen(len(tc.x)); got != len(b)-2 {
				t.Errorf("EncodedLen: got %d, want %d", got, len(b)-2)
			}
			back := make([]float32, len(tc.x))
			if err := F32.Decode(back, b[2:]); err != nil {
				t.Fatal(err)
			}
			for i := range back {
				if got, want := math.Float32bits(back[i]), math.Float32bits(tc.x[i]); got != want {
					t.Errorf("element %d: got bits %08x, want %08x", i, got, want)
				}
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		id    ID
		bytes int
		want  string
	}{
		{"a byte short", F32, 11, "f32: 11 bytes for 3 elements, want 12"},
		{"a byte long", F32, 13, "f32: 13 bytes for 3 elements, want 12"},
		{"nothing", F32, 0, "f32: 0 bytes for 3 elements, want 12"},
		{"no codec", 0, 12, "codec(0) is not known here"},
		{"a later codec", 200, 12, "codec(200) is not known here"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dst := []float32{1, 2, 3}
			err := tc.id.Decode(dst, make([]byte, tc.bytes))
			if err == nil || err.Error() != tc.want {
				t.Errorf("got error %v, want %s", err, tc.want)
			}
			if dst[0] != 1 || dst[1] != 2 || dst[2] != 3 {
				t.Errorf("dst changed to %v", dst)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for id := range ID(len(names)) {
		got, err := Parse(id.String())
		if id.Known() != (err == nil) || id.Known() && got != id {
			t.Errorf("Parse(%q): got %v, %v", id.String(), got, err)
		}
	}
	for _, name := range []string{"", "F32", "f64", "codec(1)"} {
		if id, err := Parse(name); err == nil || !strings.Contains(err.Error(), `"f32"`) {
			t.Errorf("Parse(%q): got %v, %v, want an error that names the codecs", name, id, err)
		}
	}
	if got := ID(9).EncodedLen(4); got != -1 {
		t.Errorf("EncodedLen of no codec: got %d, want -1", got)
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	x := make([]float32, 1000)
	for i := range x {
		x[i] = float32(i)
	}
	buf, back := make([]byte, 0, F32.EncodedLen(len(x))), make([]float32, len(x))
	allocs := testing.AllocsPerRun(10, func() {
		if err := F32.Decode(back, F32.Append(buf, x)); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("got %v allocations, want 0", allocs)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(uint8(F32), 2, []byte{0, 0, 128, 63, 0, 0, 0, 64})
	f.Fuzz(func(t *testing.T, id uint8, n int, src []byte) {
		dst := make([]float32, min(max(n, 0), 1<<12))
		if ID(id).Decode(dst, src) != nil {
			return
		}
		if back := ID(id).Append(nil, dst); !bytes.Equal(back, src) {
			t.Errorf("%v: got %x back, want %x", ID(id), back, src)
		}
	})
}

func BenchmarkF32(b *testing.B) {
	x := make([]float32, 1<<20)
	buf := F32.Append(nil, x)
	for name, f := range map[string]func() error{
		"append": func() error { buf = F32.Append(buf[:0], x); return nil },
		"decode": func() error { return F32.Decode(x, buf) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Machines that hold a float32 in another order write the same bytes.
func TestF32OnAnyMachine(t *testing.T) {
	x := make([]float32, 1000)
	for i := range x {
		x[i] = math.Float32frombits(uint32(i) * 0x9e3779b9)
	}
	want := F32.Append(nil, x)
	native := littleEndian
	littleEndian = false
	defer func() { littleEndian = native }()
	if got := F32.Append(nil, x); !bytes.Equal(got, want) {
		t.Error("other bytes")
	}
	back := make([]float32, len(x))
	if err := F32.Decode(back, want); err != nil || !bytes.Equal(F32.Append(nil, back), want) {
		t.Errorf("other values, %v", err)
	}
}
