package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"testing"
)

var goldenChunk = Chunk{Session: 0x0102030405060708, Seq: 9, Index: 1, Count: 3, Round: 4, Attempt: 2, Payload: []byte("halos")}

const goldenChunkHex = "01020000" + "01000000" + // kind, protocol, reserved, index
	"0807060504030201" + "0900000000000000" + // session, seq
	"03000000" + "0400" + "0200" + "05000000" + // count, round, attempt, length
	"82c30e6c" + "68616c6f73" // crc, payload

func TestChunkGolden(t *testing.T) {
	b, err := goldenChunk.AppendBinary([]byte{0xee})
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(b[1:]); got != goldenChunkHex || b[0] != 0xee {
		t.Fatalf("got  %s\nwant %s", got, goldenChunkHex)
	}
	c, err := ParseChunk(b[1:])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Verify(); err != nil {
		t.Error(err)
	}
	if c.Session != goldenChunk.Session || c.Seq != 9 || c.Index != 1 || c.Count != 3 || c.Round != 4 || c.Attempt != 2 || string(c.Payload) != "halos" {
		t.Errorf("got %+v, want %+v", c, goldenChunk)
	}
	if &c.Payload[0] != &b[1+ChunkHeaderLen] {
		t.Error("payload is a copy, want an alias")
	}
}

// The sum of every single changed byte differs, those of the header too, or the
// chunk does not parse.
func TestChunkNoticesEveryByte(t *testing.T) {
	for i := range ChunkHeaderLen + 5 {
		b, _ := hex.DecodeString(goldenChunkHex)
		b[i] ^= 0x10
		if c, err := ParseChunk(b); err == nil {
			if _, err := c.Verify(); !errors.Is(err, ErrCorrupt) {
				t.Errorf("byte %d changed: got %v, want ErrCorrupt", i, err)
			}
		}
	}
}

func TestParseChunkRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(b []byte) []byte
	}{
		{"nothing", func([]byte) []byte { return nil }},
		{"half a header", func(b []byte) []byte { return b[:ChunkHeaderLen-1] }},
		{"no payload", func(b []byte) []byte { return b[:ChunkHeaderLen] }},
		{"short payload", func(b []byte) []byte { return b[:len(b)-1] }},
		{"longer tail", func(b []byte) []byte { return append(b, 0) }},
		{"other kind", func(b []byte) []byte { b[0] = kindDelta; return b }},
		{"other protocol", func(b []byte) []byte { b[1]++; return b }},
		{"reserved set", func(b []byte) []byte { b[3] = 1; return b }},
		{"index beyond count", func(b []byte) []byte { b[4] = 3; return b }},
		{"count 0", func(b []byte) []byte { b[4], b[24] = 0, 0; return b }},
		{"length 0", func(b []byte) []byte { b[32] = 0; return b[:ChunkHeaderLen] }},
		{"length wraps", func(b []byte) []byte { copy(b[32:], "\xff\xff\xff\xff"); return b }},
		{"larger than a chunk", func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[32:], ChunkBytes+1)
			return append(b[:ChunkHeaderLen], make([]byte, ChunkBytes+1)...)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, _ := hex.DecodeString(goldenChunkHex)
			if c, err := ParseChunk(tc.change(b)); !errors.Is(err, ErrFrame) {
				t.Errorf("got %+v, %v, want ErrFrame", c, err)
			}
		})
	}
}

func TestChunkPayloadBounds(t *testing.T) {
	for _, tc := range []struct {
		n  int
		ok bool
	}{{0, false}, {1, true}, {ChunkBytes, true}, {ChunkBytes + 1, false}} {
		b, err := Chunk{Count: 1, Payload: make([]byte, tc.n)}.AppendBinary(nil)
		if (err == nil) != tc.ok {
			t.Errorf("%d bytes: got %v, want ok %v", tc.n, err, tc.ok)
		}
		if tc.ok {
			if _, err := ParseChunk(b); err != nil {
				t.Errorf("%d bytes: %v", tc.n, err)
			}
		}
	}
}

func TestChecksumIsCastagnoli(t *testing.T) {
	// The check value of CRC-32C in the catalogue of parametrised CRC algorithms.
	if got, want := Checksum([]byte("123456789")), uint32(0xe3069283); got != want {
		t.Errorf("got %08x, want %08x", got, want)
	}
	b, _ := hex.DecodeString(goldenChunkHex)
	table := crc32.MakeTable(crc32.Castagnoli)
	covered := binary.LittleEndian.AppendUint32(bytes.Clone(b[:36]), crc32.Checksum(b[40:], table))
	if got, want := binary.LittleEndian.Uint32(b[36:]), crc32.Checksum(covered, table); got != want {
		t.Errorf("golden chunk: got %08x, want %08x", got, want)
	}
	if got, want := AddChecksum(Checksum([]byte("1234")), []byte("56789")), uint32(0xe3069283); got != want {
		t.Errorf("in two parts: got %08x, want %08x", got, want)
	}
}

func TestParseChunkAllocatesNothing(t *testing.T) {
	b, _ := hex.DecodeString(goldenChunkHex)
	allocs := testing.AllocsPerRun(100, func() {
		c, err := ParseChunk(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Verify(); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("got %v allocations, want 0", allocs)
	}
}

func FuzzParseChunk(f *testing.F) {
	b, _ := hex.DecodeString(goldenChunkHex)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseChunk(b)
		if err != nil {
			return
		}
		if _, err := c.Verify(); err != nil {
			return
		}
		back, err := c.AppendBinary(nil)
		if err != nil || !bytes.Equal(back, b) {
			t.Errorf("got %x back, %v, want %x", back, err, b)
		}
	})
}
