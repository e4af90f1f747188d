package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"runtime"
	"testing"
)

var goldenDelta = Delta{
	Codec: 1, Steps: 16, Tokens: 4096, BaseTerm: 3, BaseVersion: 7, Term: 2, Elements: 2, Loss: 2.5,
	Ranges: []Interval{{10, 20}, {32, 64}}, Payload: []byte{0, 0, 128, 63, 0, 0, 0, 64},
}

const goldenDeltaHex = "02010200" + "10000000" + "0010000000000000" + // kind, codec, ranges, steps, tokens
	"0300000000000000" + "0700000000000000" + // base
	"0200000000000000" + "0200000000000000" + // term, elements
	"00002040" + "00000000" + // loss, reserved
	"0a00000000000000" + "1400000000000000" +
	"2000000000000000" + "4000000000000000" +
	"0000803f" + "00000040"

func TestDeltaGolden(t *testing.T) {
	b, err := goldenDelta.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(b); got != goldenDeltaHex {
		t.Fatalf("got  %s\nwant %s", got, goldenDeltaHex)
	}
	if got, want := len(b), DeltaLen(2, 8); got != want {
		t.Errorf("got %d bytes, DeltaLen says %d", got, want)
	}
	d, err := ParseDelta(b, 2)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(d, goldenDelta) {
		t.Errorf("got  %+v\nwant %+v", d, goldenDelta)
	}
	if &d.Payload[0] != &b[DeltaLen(2, 0)] {
		t.Error("payload is a copy, want an alias")
	}
}

func TestDeltaWithoutRangesAndPayload(t *testing.T) {
	want := Delta{Codec: 1, Steps: 1, Payload: []byte{}}
	b, err := want.AppendBinary(nil)
	if err != nil || len(b) != DeltaHeaderLen {
		t.Fatalf("got %d bytes, %v, want %d", len(b), err, DeltaHeaderLen)
	}
	if got, err := ParseDelta(b, 0); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestParseDeltaRefuses(t *testing.T) {
	u16, u32, u64 := binary.LittleEndian.PutUint16, binary.LittleEndian.PutUint32, binary.LittleEndian.PutUint64
	for _, tc := range []struct {
		name   string
		change func(b []byte) []byte
		want   error
	}{
		{"nothing", func([]byte) []byte { return nil }, ErrFrame},
		{"half a header", func(b []byte) []byte { return b[:DeltaHeaderLen-1] }, ErrFrame},
		{"other kind", func(b []byte) []byte { b[0] = kindModel; return b }, ErrFrame},
		{"reserved set", func(b []byte) []byte { b[55] = 1; return b }, ErrFrame},
		{"ranges beyond the frame", func(b []byte) []byte { return b[:DeltaLen(2, 0)-1] }, ErrFrame},
		{"range count beyond the frame", func(b []byte) []byte { u16(b[2:], 4000); return b }, ErrFrame},
		{"more ranges than allowed", func(b []byte) []byte { u16(b[2:], MaxRanges+1); return b }, ErrTooLarge},
		{"larger than the model", func(b []byte) []byte { u64(b[40:], 3); return b }, ErrTooLarge},
		{"elements wrap an int", func(b []byte) []byte { u64(b[40:], 1<<63+1); return b }, ErrTooLarge},
		{"empty range", func(b []byte) []byte { u64(b[64:], 10); return b }, ErrFrame},
		{"range backwards", func(b []byte) []byte { u64(b[64:], 9); return b }, ErrFrame},
		{"ranges overlap", func(b []byte) []byte { u64(b[72:], 19); return b }, ErrFrame},
		{"ranges touch", func(b []byte) []byte { u64(b[72:], 20); return b }, ErrFrame},
		{"ranges out of order", func(b []byte) []byte { u64(b[72:], 0); u64(b[80:], 5); return b }, ErrFrame},
		{"loss NaN", func(b []byte) []byte { u32(b[48:], math.Float32bits(float32(math.NaN()))); return b }, ErrFrame},
		{"loss infinite", func(b []byte) []byte { u32(b[48:], math.Float32bits(float32(math.Inf(1)))); return b }, ErrFrame},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, _ := hex.DecodeString(goldenDeltaHex)
			if d, err := ParseDelta(tc.change(b), 2); !errors.Is(err, tc.want) {
				t.Errorf("got %+v, %v, want %v", d, err, tc.want)
			}
		})
	}
	b, _ := hex.DecodeString(goldenDeltaHex)
	if _, err := ParseDelta(b, -1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("model of -1 elements: got %v, want ErrTooLarge", err)
	}
}

func TestDeltaAppendRefuses(t *testing.T) {
	many := make([]Interval, MaxRanges+1)
	for i := range many {
		many[i] = Interval{uint64(3 * i), uint64(3*i + 1)}
	}
	for _, tc := range []struct {
		name string
		d    Delta
	}{
		{"too many ranges", Delta{Ranges: many}},
		{"ranges that touch", Delta{Ranges: []Interval{{0, 1}, {1, 2}}}},
		{"loss NaN", Delta{Loss: float32(math.NaN())}},
	} {
		if b, err := tc.d.AppendBinary(nil); err == nil || b != nil {
			t.Errorf("%s: got %d bytes, %v, want an error", tc.name, len(b), err)
		}
	}
	b, err := Delta{Ranges: many[:MaxRanges]}.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := ParseDelta(b, 0); err != nil || !reflect.DeepEqual(d.Ranges, many[:MaxRanges]) {
		t.Errorf("%d ranges: got %d back, %v", MaxRanges, len(d.Ranges), err)
	}
}

// A header that claims the most ranges without bringing them allocates nothing
// for them.
func TestParseDeltaBoundsAllocation(t *testing.T) {
	b, _ := hex.DecodeString(goldenDeltaHex)
	binary.LittleEndian.PutUint16(b[2:], MaxRanges)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		if _, err := ParseDelta(b, 2); err == nil {
			t.Fatal("got no error")
		}
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / 100; got > 4096 {
		t.Errorf("got %d bytes allocated for a refused delta, want at most 4096", got)
	}
}

func FuzzParseDelta(f *testing.F) {
	b, _ := hex.DecodeString(goldenDeltaHex)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseDelta(b, 1<<20)
		if err != nil {
			return
		}
		if d.Elements > 1<<20 || len(d.Ranges) > MaxRanges {
			t.Errorf("got %d elements, %d ranges", d.Elements, len(d.Ranges))
		}
		back, err := d.AppendBinary(nil)
		if err != nil || !bytes.Equal(back, b) {
			t.Errorf("got %x back, %v, want %x", back, err, b)
		}
	})
}
