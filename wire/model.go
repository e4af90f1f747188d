package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// ModelHeaderLen is the length of the header in front of a model.
const ModelHeaderLen = 88

// ModelHeader precedes a model on a model stream. The header differs for each
// receiver, the payload behind it is encoded once for all of them.
type ModelHeader struct {
	Codec     uint8
	Term      uint64 // counter of the server's term; its leader is in the Welcome
	Version   uint64
	Contains  uint64 // last seq of the receiver's own deltas in the model
	Committed uint64 // samples committed in the whole job
	Elements  uint64 // of the encoded vector
	Length    uint64 // of the payload, bytes
	CRC       uint32 // CRC-32C of the payload; in f32 that of the model's bits, as in Hello.base_crc
	SHA256    [32]byte
}

// Seal fills in what the header says of its payload: Length, CRC and SHA256. It
// makes two passes over the payload.
func (h *ModelHeader) Seal(payload []byte) {
	h.Length = uint64(len(payload))
	h.CRC = Checksum(payload)
	h.SHA256 = sha256.Sum256(payload)
}

// AppendBinary appends the header to b. Its error is always nil.
func (h ModelHeader) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, kindModel, h.Codec, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, h.CRC)
	b = binary.LittleEndian.AppendUint64(b, h.Term)
	b = binary.LittleEndian.AppendUint64(b, h.Version)
	b = binary.LittleEndian.AppendUint64(b, h.Contains)
	b = binary.LittleEndian.AppendUint64(b, h.Committed)
	b = binary.LittleEndian.AppendUint64(b, h.Elements)
	b = binary.LittleEndian.AppendUint64(b, h.Length)
	return append(b, h.SHA256[:]...), nil
}

// ParseModelHeader reads a header whose payload may have at most maxElements and
// maxLength bytes, both from the job's layout. It ignores what follows the first
// ModelHeaderLen bytes and allocates nothing.
func ParseModelHeader(b []byte, maxElements, maxLength int) (ModelHeader, error) {
	if len(b) < ModelHeaderLen {
		return ModelHeader{}, fmt.Errorf("%w: model header of %d bytes, must have %d", ErrFrame, len(b), ModelHeaderLen)
	}
	if b[0] != kindModel || b[2] != 0 || b[3] != 0 {
		return ModelHeader{}, fmt.Errorf("%w: model header starts with %x", ErrFrame, b[:4])
	}
	h := ModelHeader{
		Codec:     b[1],
		CRC:       binary.LittleEndian.Uint32(b[4:]),
		Term:      binary.LittleEndian.Uint64(b[8:]),
		Version:   binary.LittleEndian.Uint64(b[16:]),
		Contains:  binary.LittleEndian.Uint64(b[24:]),
		Committed: binary.LittleEndian.Uint64(b[32:]),
		Elements:  binary.LittleEndian.Uint64(b[40:]),
		Length:    binary.LittleEndian.Uint64(b[48:]),
		SHA256:    [32]byte(b[56:ModelHeaderLen]),
	}
	if h.Elements > uint64(max(0, maxElements)) {
		return ModelHeader{}, fmt.Errorf("%w: model of %d elements, job has %d", ErrTooLarge, h.Elements, maxElements)
	}
	if h.Length > uint64(max(0, maxLength)) {
		return ModelHeader{}, fmt.Errorf("%w: model of %d bytes, at most %d", ErrTooLarge, h.Length, maxLength)
	}
	return h, nil
}

// Verify compares a payload with the header: two passes over it.
func (h ModelHeader) Verify(payload []byte) error {
	if uint64(len(payload)) != h.Length {
		return fmt.Errorf("%w: model of %d bytes, header says %d", ErrFrame, len(payload), h.Length)
	}
	if got := Checksum(payload); got != h.CRC {
		return fmt.Errorf("%w: model version %d has CRC-32C %08x, header says %08x", ErrCorrupt, h.Version, got, h.CRC)
	}
	if got := sha256.Sum256(payload); got != h.SHA256 {
		return fmt.Errorf("%w: model version %d has SHA-256 %x, header says %x", ErrCorrupt, h.Version, got, h.SHA256)
	}
	return nil
}
