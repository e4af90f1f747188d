package wire

import (
	"encoding/binary"
	"fmt"
)

// ModelHeaderLen is the length of the header in front of a model.
const ModelHeaderLen = 64

// ModelHeader announces a model on a model stream. The header differs for each
// receiver, the payload is encoded once for all of them.
type ModelHeader struct {
	Codec     uint8
	Term      uint64 // counter of the server's term; its leader is in the Welcome. Session of the chunks
	Version   uint64 // seq of the chunks
	Contains  uint64 // last seq of the receiver's own deltas in the model
	Committed uint64 // samples committed in the whole job
	Elements  uint64 // of the encoded vector
	Length    uint64 // of the payload, bytes
	ID        uint64 // of the transfer: as in Announce
}

// Announce is what the header says of the transfer.
func (h ModelHeader) Announce() *Announce {
	return &Announce{Session: h.Term, Seq: h.Version, Bytes: h.Length, Id: h.ID}
}

// AppendBinary appends the header to b. Its error is always nil.
func (h ModelHeader) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, kindModel, h.Codec, 0, 0, 0, 0, 0, 0)
	for _, v := range []uint64{h.Term, h.Version, h.Contains, h.Committed, h.Elements, h.Length, h.ID} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b, nil
}

// ParseModelHeader reads a header whose payload may have at most maxElements and
// maxLength bytes, both from the job's layout. It ignores what follows the first
// ModelHeaderLen bytes and allocates nothing.
func ParseModelHeader(b []byte, maxElements, maxLength int) (ModelHeader, error) {
	if len(b) < ModelHeaderLen {
		return ModelHeader{}, fmt.Errorf("%w: model header of %d bytes, must have %d", ErrFrame, len(b), ModelHeaderLen)
	}
	if b[0] != kindModel || b[2] != 0 || b[3] != 0 || binary.LittleEndian.Uint32(b[4:]) != 0 {
		return ModelHeader{}, fmt.Errorf("%w: model header starts with %x", ErrFrame, b[:8])
	}
	field := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8+8*i:]) }
	h := ModelHeader{
		Codec: b[1], Term: field(0), Version: field(1), Contains: field(2), Committed: field(3),
		Elements: field(4), Length: field(5), ID: field(6),
	}
	if h.Elements > uint64(max(0, maxElements)) {
		return ModelHeader{}, fmt.Errorf("%w: model of %d elements, job has %d", ErrTooLarge, h.Elements, maxElements)
	}
	if h.Length > uint64(max(0, maxLength)) {
		return ModelHeader{}, fmt.Errorf("%w: model of %d bytes, at most %d", ErrTooLarge, h.Length, maxLength)
	}
	return h, nil
}
