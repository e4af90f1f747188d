package wire

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

const (
	// ChunkBytes is the payload of every chunk but the last: with the envelope of
	// the topic well below its largest message, 1 MiB.
	ChunkBytes = 256 << 10
	// ChunkHeaderLen is the length of a chunk without its payload.
	ChunkHeaderLen = 40

	chunkCovered = 36 // header bytes the checksum covers
)

// Chunk is one piece of a transfer, a message on a delta topic.
type Chunk struct {
	Session, Seq uint64 // name of the transfer
	Index, Count uint32 // Index < Count
	Round        uint16 // times the transfer was announced before
	Attempt      uint16 // of the Missing that asked last, 0 = none did
	Payload      []byte // 1..ChunkBytes long; aliases the input of ParseChunk

	head []byte // the header as parsed, aliases the input
}

// AppendBinary appends the chunk with its checksum to b.
func (c Chunk) AppendBinary(b []byte) ([]byte, error) {
	if len(c.Payload) < 1 || len(c.Payload) > ChunkBytes {
		return b, fmt.Errorf("chunk payload of %d bytes: must have 1 to %d", len(c.Payload), ChunkBytes)
	}
	at := len(b)
	b = append(b, kindChunk, ProtocolVersion, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, c.Index)
	b = binary.LittleEndian.AppendUint64(b, c.Session)
	b = binary.LittleEndian.AppendUint64(b, c.Seq)
	b = binary.LittleEndian.AppendUint32(b, c.Count)
	b = binary.LittleEndian.AppendUint16(b, c.Round)
	b = binary.LittleEndian.AppendUint16(b, c.Attempt)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(c.Payload)))
	b = binary.LittleEndian.AppendUint32(b, chunkSum(b[at:], c.Payload))
	return append(b, c.Payload...), nil
}

// ParseChunk reads a chunk. It allocates nothing and does not check the sum, so
// that a caller can first look whether it wants the chunk: see Verify.
func ParseChunk(b []byte) (Chunk, error) {
	if len(b) < ChunkHeaderLen {
		return Chunk{}, fmt.Errorf("%w: chunk of %d bytes, header has %d", ErrFrame, len(b), ChunkHeaderLen)
	}
	if b[0] != kindChunk || b[1] != ProtocolVersion || b[2] != 0 || b[3] != 0 {
		return Chunk{}, fmt.Errorf("%w: chunk starts with %x", ErrFrame, b[:4])
	}
	c := Chunk{
		Index:   binary.LittleEndian.Uint32(b[4:]),
		Session: binary.LittleEndian.Uint64(b[8:]),
		Seq:     binary.LittleEndian.Uint64(b[16:]),
		Count:   binary.LittleEndian.Uint32(b[24:]),
		Round:   binary.LittleEndian.Uint16(b[28:]),
		Attempt: binary.LittleEndian.Uint16(b[30:]),
		Payload: b[ChunkHeaderLen:],
		head:    b[:ChunkHeaderLen],
	}
	if c.Index >= c.Count {
		return Chunk{}, fmt.Errorf("%w: chunk %d of %d", ErrFrame, c.Index, c.Count)
	}
	length := binary.LittleEndian.Uint32(b[32:])
	if length < 1 || length > ChunkBytes || int(length) != len(c.Payload) {
		return Chunk{}, fmt.Errorf("%w: chunk claims %d bytes of payload, has %d", ErrFrame, length, len(c.Payload))
	}
	return c, nil
}

// Verify compares a parsed chunk with its checksum: one pass over the payload.
func (c Chunk) Verify() error {
	want := binary.LittleEndian.Uint32(c.head[chunkCovered:])
	if got := chunkSum(c.head[:chunkCovered], c.Payload); got != want {
		return fmt.Errorf("%w: chunk %d/%d index %d has CRC-32C %08x, claims %08x", ErrCorrupt, c.Session, c.Seq, c.Index, got, want)
	}
	return nil
}

func chunkSum(head, payload []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, head), castagnoli, payload)
}
