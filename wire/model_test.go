package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"
)

const goldenModelHex = "03010000" + "00000000" + // kind, codec, reserved
	"0200000000000000" + "2a00000000000000" + // term, version
	"0500000000000000" + "0010000000000000" + // contains, committed
	"0200000000000000" + "0800000000000000" + // elements, length
	"efcdab8967452301" // id

var goldenModel = ModelHeader{
	Codec: 1, Term: 2, Version: 42, Contains: 5, Committed: 4096, Elements: 2, Length: 8, ID: 0x0123456789abcdef,
}

func TestModelGolden(t *testing.T) {
	b, err := goldenModel.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(b); got != goldenModelHex || len(b) != ModelHeaderLen {
		t.Fatalf("got  %s\nwant %s", got, goldenModelHex)
	}
	back, err := ParseModelHeader(append(b, "and a tail"...), 2, 8)
	if err != nil {
		t.Fatal(err)
	}
	if back != goldenModel {
		t.Errorf("got  %+v\nwant %+v", back, goldenModel)
	}
	a := back.Announce()
	if a.Session != 2 || a.Seq != 42 || a.Bytes != 8 || a.Id != goldenModel.ID {
		t.Errorf("announces %v", a)
	}
}

func TestParseModelHeaderRefuses(t *testing.T) {
	u64 := binary.LittleEndian.PutUint64
	for _, tc := range []struct {
		name   string
		change func(b []byte) []byte
		want   error
	}{
		{"nothing", func([]byte) []byte { return nil }, ErrFrame},
		{"half a header", func(b []byte) []byte { return b[:ModelHeaderLen-1] }, ErrFrame},
		{"other kind", func(b []byte) []byte { b[0] = kindDelta; return b }, ErrFrame},
		{"reserved set", func(b []byte) []byte { b[2] = 1; return b }, ErrFrame},
		{"the last reserved set", func(b []byte) []byte { b[7] = 1; return b }, ErrFrame},
		{"more elements", func(b []byte) []byte { u64(b[40:], 3); return b }, ErrTooLarge},
		{"elements wrap an int", func(b []byte) []byte { u64(b[40:], 1<<63); return b }, ErrTooLarge},
		{"more bytes", func(b []byte) []byte { u64(b[48:], 9); return b }, ErrTooLarge},
		{"bytes wrap an int", func(b []byte) []byte { u64(b[48:], 1<<63); return b }, ErrTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, _ := hex.DecodeString(goldenModelHex)
			if h, err := ParseModelHeader(tc.change(b), 2, 8); !errors.Is(err, tc.want) {
				t.Errorf("got %+v, %v, want %v", h, err, tc.want)
			}
		})
	}
}

func FuzzParseModelHeader(f *testing.F) {
	b, _ := hex.DecodeString(goldenModelHex)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseModelHeader(b, 1<<20, 1<<22)
		if err != nil {
			return
		}
		if h.Elements > 1<<20 || h.Length > 1<<22 {
			t.Errorf("got %d elements in %d bytes", h.Elements, h.Length)
		}
		if back, err := h.AppendBinary(nil); err != nil || !bytes.Equal(back, b[:ModelHeaderLen]) {
			t.Errorf("got %x back, %v, want %x", back, err, b[:ModelHeaderLen])
		}
	})
}
