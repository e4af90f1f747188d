package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

const (
	// ChunkBytes is the payload of every chunk but the last: with the envelope of
	// the topic well below its largest message, 1 MiB.
	ChunkBytes = 256 << 10
	// ChunkHeaderLen is the length of a chunk without its payload.
	ChunkHeaderLen = 40

	chunkLengthAt = 32 // where the header holds the payload's length
	chunkCovered  = 36 // header bytes the checksum covers
)

// Chunk is one piece of a transfer: a message on a delta topic, a frame on a model
// stream.
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
	if err := checkPayload(len(c.Payload)); err != nil {
		return b, err
	}
	at := len(b)
	b = append(c.appendHead(b, len(c.Payload)), c.Payload...)
	return sealChunk(b, at), nil
}

// AppendFrom appends the chunk whose payload is the size bytes of src at off, which
// it reads into their place. It does not look at c.Payload.
func (c Chunk) AppendFrom(b []byte, src io.ReaderAt, off int64, size int) ([]byte, error) {
	if err := checkPayload(size); err != nil {
		return b, err
	}
	at := len(b)
	b = c.appendHead(b, size)
	payload := len(b)
	b = slices.Grow(b, size)[:payload+size]
	if n, err := src.ReadAt(b[payload:], off); n < size {
		return b[:at], err
	}
	return sealChunk(b, at), nil
}

func checkPayload(size int) error {
	if size < 1 || size > ChunkBytes {
		return fmt.Errorf("chunk payload of %d bytes: must have 1 to %d", size, ChunkBytes)
	}
	return nil
}

// appendHead appends the header, with 0 for the checksum.
func (c Chunk) appendHead(b []byte, size int) []byte {
	b = append(b, kindChunk, ProtocolVersion, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, c.Index)
	b = binary.LittleEndian.AppendUint64(b, c.Session)
	b = binary.LittleEndian.AppendUint64(b, c.Seq)
	b = binary.LittleEndian.AppendUint32(b, c.Count)
	b = binary.LittleEndian.AppendUint16(b, c.Round)
	b = binary.LittleEndian.AppendUint16(b, c.Attempt)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	return binary.LittleEndian.AppendUint32(b, 0)
}

// sealChunk fills in the checksum of the chunk that begins at at and ends with b.
func sealChunk(b []byte, at int) []byte {
	sum := chunkSum(b[at:at+chunkCovered], Checksum(b[at+ChunkHeaderLen:]))
	binary.LittleEndian.PutUint32(b[at+chunkCovered:], sum)
	return b
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
	length := binary.LittleEndian.Uint32(b[chunkLengthAt:])
	if length < 1 || length > ChunkBytes || int(length) != len(c.Payload) {
		return Chunk{}, fmt.Errorf("%w: chunk claims %d bytes of payload, has %d", ErrFrame, length, len(c.Payload))
	}
	return c, nil
}

// Verify compares a parsed chunk with its checksum, in one pass over the payload, and
// returns the CRC-32C of that.
func (c Chunk) Verify() (payload uint32, err error) {
	want := binary.LittleEndian.Uint32(c.head[chunkCovered:])
	payload = Checksum(c.Payload)
	if got := chunkSum(c.head[:chunkCovered], payload); got != want {
		return 0, fmt.Errorf("%w: chunk %d/%d index %d has CRC-32C %08x, claims %08x", ErrCorrupt, c.Session, c.Seq, c.Index, got, want)
	}
	return payload, nil
}

// chunkSum is the checksum of a chunk from its header and the CRC-32C of its payload.
func chunkSum(head []byte, payload uint32) uint32 {
	sum := ^Checksum(head)
	for range 4 { // its bytes, without memory for them
		sum = castagnoli[byte(sum)^byte(payload)] ^ sum>>8
		payload >>= 8
	}
	return ^sum
}

// FrameSum is the SHA-256 by which a Seal holds a frame: over the CRC-32C of the
// payload of each of its chunks, in order.
func FrameSum(chunks []uint32) [sha256.Size]byte {
	b := make([]byte, 0, 4*len(chunks))
	for _, c := range chunks {
		b = binary.LittleEndian.AppendUint32(b, c)
	}
	return sha256.Sum256(b)
}
