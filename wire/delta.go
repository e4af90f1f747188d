package wire

import (
	"encoding/binary"
	"fmt"
	"math"
)

const (
	// DeltaHeaderLen is the length of a delta frame without ranges and payload.
	DeltaHeaderLen = 56
	// MaxRanges is how many runs of samples one delta may name.
	MaxRanges = 4096

	rangeLen = 16
)

// Interval is a half-open run of sample indices.
type Interval struct{ Start, End uint64 }

// Delta is the model a round started from minus the one it ended with, and what
// went into it.
type Delta struct {
	Codec       uint8
	Steps       uint32 // local steps
	Tokens      uint64
	BaseTerm    uint64     // term counter of the model the round started from
	BaseVersion uint64     // its version
	Term        uint64     // of the region, in a push; 0 from a worker
	Elements    uint64     // of the encoded vector
	Loss        float32    // mean training loss, nats per token; finite
	Ranges      []Interval // at most MaxRanges, ascending, none empty, with gaps between
	Payload     []byte     // the encoded vector; aliases the input of ParseDelta
}

// DeltaLen is the length of a delta frame.
func DeltaLen(ranges, payload int) int { return DeltaHeaderLen + ranges*rangeLen + payload }

// AppendBinary appends the frame to b. A caller that lets a codec append the
// payload behind it leaves Payload nil.
func (d Delta) AppendBinary(b []byte) ([]byte, error) {
	if err := d.check(); err != nil {
		return b, fmt.Errorf("delta: %w", err)
	}
	b = append(b, kindDelta, d.Codec)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(d.Ranges)))
	b = binary.LittleEndian.AppendUint32(b, d.Steps)
	b = binary.LittleEndian.AppendUint64(b, d.Tokens)
	b = binary.LittleEndian.AppendUint64(b, d.BaseTerm)
	b = binary.LittleEndian.AppendUint64(b, d.BaseVersion)
	b = binary.LittleEndian.AppendUint64(b, d.Term)
	b = binary.LittleEndian.AppendUint64(b, d.Elements)
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(d.Loss))
	b = binary.LittleEndian.AppendUint32(b, 0)
	for _, r := range d.Ranges {
		b = binary.LittleEndian.AppendUint64(b, r.Start)
		b = binary.LittleEndian.AppendUint64(b, r.End)
	}
	return append(b, d.Payload...), nil
}

// ParseDelta reads a delta of at most maxElements. It allocates the ranges only,
// at most MaxRanges. Whether the payload has the length its codec needs is for
// the codec to say.
func ParseDelta(b []byte, maxElements int) (Delta, error) {
	if len(b) < DeltaHeaderLen {
		return Delta{}, fmt.Errorf("%w: delta of %d bytes, header has %d", ErrFrame, len(b), DeltaHeaderLen)
	}
	if b[0] != kindDelta || binary.LittleEndian.Uint32(b[52:]) != 0 {
		return Delta{}, fmt.Errorf("%w: kind %#x is no delta", ErrFrame, b[0])
	}
	d := Delta{
		Codec:       b[1],
		Steps:       binary.LittleEndian.Uint32(b[4:]),
		Tokens:      binary.LittleEndian.Uint64(b[8:]),
		BaseTerm:    binary.LittleEndian.Uint64(b[16:]),
		BaseVersion: binary.LittleEndian.Uint64(b[24:]),
		Term:        binary.LittleEndian.Uint64(b[32:]),
		Elements:    binary.LittleEndian.Uint64(b[40:]),
		Loss:        math.Float32frombits(binary.LittleEndian.Uint32(b[48:])),
	}
	if d.Elements > uint64(max(0, maxElements)) {
		return Delta{}, fmt.Errorf("%w: delta of %d elements, model has %d", ErrTooLarge, d.Elements, maxElements)
	}
	n := int(binary.LittleEndian.Uint16(b[2:]))
	if n > MaxRanges {
		return Delta{}, fmt.Errorf("%w: delta of %d ranges, at most %d", ErrTooLarge, n, MaxRanges)
	}
	if len(b) < DeltaLen(n, 0) {
		return Delta{}, fmt.Errorf("%w: delta of %d bytes, its %d ranges alone take %d", ErrFrame, len(b), n, DeltaLen(n, 0))
	}
	d.Ranges = parseRanges(b[DeltaHeaderLen:], n)
	d.Payload = b[DeltaLen(n, 0):]
	if err := d.check(); err != nil {
		return Delta{}, fmt.Errorf("%w: delta: %w", ErrFrame, err)
	}
	return d, nil
}

func parseRanges(b []byte, n int) []Interval {
	if n == 0 {
		return nil
	}
	ranges := make([]Interval, n)
	for i := range ranges {
		at := b[i*rangeLen:]
		ranges[i] = Interval{binary.LittleEndian.Uint64(at), binary.LittleEndian.Uint64(at[8:])}
	}
	return ranges
}

// check says what in d neither end may send.
func (d Delta) check() error {
	if x := float64(d.Loss); math.IsNaN(x) || math.IsInf(x, 0) {
		return fmt.Errorf("loss %v", d.Loss)
	}
	if len(d.Ranges) > MaxRanges {
		return fmt.Errorf("%d ranges, at most %d", len(d.Ranges), MaxRanges)
	}
	for i, r := range d.Ranges {
		if r.Start >= r.End {
			return fmt.Errorf("range %d is [%d,%d)", i, r.Start, r.End)
		}
		if i > 0 && r.Start <= d.Ranges[i-1].End {
			return fmt.Errorf("range %d starts at %d, the one before ends at %d", i, r.Start, d.Ranges[i-1].End)
		}
	}
	return nil
}
