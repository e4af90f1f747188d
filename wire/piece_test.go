package wire

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"testing"

	"google.golang.org/protobuf/proto"
)

const goldenSealHex = "04" + "2f" + // kind, length
	"0802" + "102a" + "19efcdab8967452301" + // session, seq, id
	"2220" + "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

func goldenSeal() *Seal {
	m := &Seal{Session: 2, Seq: 42, Id: goldenModel.ID}
	for i := range 32 {
		m.Sha256 = append(m.Sha256, byte(i))
	}
	return m
}

func TestSealGolden(t *testing.T) {
	b, err := AppendSeal([]byte{0xee}, goldenSeal())
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(b[1:]); got != goldenSealHex || b[0] != 0xee {
		t.Errorf("got  %s\nwant %s", got, goldenSealHex)
	}
}

// modelStream is a header, a chunk and a seal, as they follow each other.
func modelStream() []byte {
	var all []byte
	for _, part := range []string{goldenModelHex, goldenChunkHex, goldenSealHex} {
		b, _ := hex.DecodeString(part)
		all = append(all, b...)
	}
	return all
}

func TestReadPiece(t *testing.T) {
	r := bufio.NewReader(bytes.NewReader(modelStream()))
	h, err := ReadPiece(r, 2, 8)
	if err != nil || h.Header == nil || *h.Header != goldenModel {
		t.Fatalf("got %+v, %v", h, err)
	}
	c, err := ReadPiece(r, 2, 8)
	if err != nil || hex.EncodeToString(c.Chunk) != goldenChunkHex {
		t.Fatalf("got %x, %v", c.Chunk, err)
	}
	s, err := ReadPiece(r, 2, 8)
	if err != nil || !proto.Equal(s.Seal, goldenSeal()) {
		t.Fatalf("got %v, %v", s.Seal, err)
	}
	if _, err := ReadPiece(r, 2, 8); err != io.EOF {
		t.Errorf("at the end: got %v, want io.EOF", err)
	}
}

func TestReadPieceRefuses(t *testing.T) {
	whole := modelStream()
	for at, end := range []int{ModelHeaderLen, len(goldenChunkHex) / 2, len(goldenSealHex) / 2} {
		cut := whole[:end]
		whole = whole[end:]
		for n := 1; n < end; n++ {
			if _, err := ReadPiece(bufio.NewReader(bytes.NewReader(cut[:n])), 2, 8); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("frame %d cut after %d bytes: got %v", at, n, err)
			}
		}
	}
	chunk, _ := hex.DecodeString(goldenChunkHex)
	for _, length := range []byte{0, 0xff} { // of none, of more than a chunk
		b := bytes.Clone(chunk)
		b[chunkLengthAt], b[chunkLengthAt+3] = length, length
		if _, err := ReadPiece(bufio.NewReader(bytes.NewReader(b)), 2, 8); !errors.Is(err, ErrFrame) {
			t.Errorf("a chunk of length byte %#x: got %v", length, err)
		}
	}
	if _, err := ReadPiece(bufio.NewReader(bytes.NewReader([]byte{9})), 2, 8); !errors.Is(err, ErrFrame) {
		t.Errorf("of no known kind: got %v", err)
	}
	long := append([]byte{kindSeal, 0xff, 0x7f}, make([]byte, 1<<14)...)
	if _, err := ReadPiece(bufio.NewReader(bytes.NewReader(long)), 2, 8); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a long seal: got %v", err)
	}
}

// A chunk read from a source is the one made from the same bytes.
func TestAppendFrom(t *testing.T) {
	src := bytes.NewReader([]byte("--halos--"))
	c := goldenChunk
	c.Payload = nil
	b, err := c.AppendFrom(nil, src, 2, 5)
	if got := hex.EncodeToString(b); err != nil || got != goldenChunkHex {
		t.Errorf("got %s, %v, want %s", got, err, goldenChunkHex)
	}
	for _, tc := range []struct{ off, size int }{{2, 0}, {0, ChunkBytes + 1}, {7, 5}} {
		if b, err := c.AppendFrom([]byte{1}, src, int64(tc.off), tc.size); err == nil || len(b) != 1 {
			t.Errorf("%d bytes at %d: got %d bytes, %v", tc.size, tc.off, len(b), err)
		}
	}
}

func FuzzReadPiece(f *testing.F) {
	f.Add(modelStream())
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		for {
			p, err := ReadPiece(r, 1<<20, 1<<22)
			if err != nil {
				return
			}
			set := 0
			for _, is := range []bool{p.Header != nil, p.Chunk != nil, p.Seal != nil} {
				if is {
					set++
				}
			}
			if set != 1 || len(p.Chunk) > ChunkHeaderLen+ChunkBytes {
				t.Fatal(fmt.Sprintf("%+v", p))
			}
		}
	})
}
