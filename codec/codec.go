// Package codec turns float32 vectors into bytes and back. Which codec a vector
// travels in is part of the job and named in the header of each frame.
package codec

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unsafe"
)

// ID names a codec on the wire. The zero ID names none.
type ID uint8

// F32 keeps every bit: 4 bytes per element, little-endian IEEE 754.
const F32 ID = 1

// names holds the codecs there are, by the name a manifest gives them.
var names = [...]string{F32: "f32"}

// Parse returns the codec of a name.
func Parse(name string) (ID, error) {
	if i := slices.Index(names[:], name); i > 0 {
		return ID(i), nil
	}
	return 0, fmt.Errorf("codec %q: there is only %q", name, names[1:])
}

// Known reports whether this version has the codec.
func (id ID) Known() bool { return id > 0 && int(id) < len(names) }

func (id ID) String() string {
	if !id.Known() {
		return fmt.Sprintf("codec(%d)", uint8(id))
	}
	return names[id]
}

// EncodedLen is how many bytes n elements take. It is -1, which no payload has,
// for a codec that is not known.
func (id ID) EncodedLen(n int) int {
	if !id.Known() {
		return -1
	}
	return 4 * n
}

// Append appends the encoded x to dst. It allocates only where the capacity of
// dst falls short, and panics on a codec that is not known.
func (id ID) Append(dst []byte, x []float32) []byte {
	if !id.Known() {
		panic("codec: append with " + id.String())
	}
	at := len(dst)
	dst = slices.Grow(dst, id.EncodedLen(len(x)))[:at+id.EncodedLen(len(x))]
	out := dst[at:]
	if littleEndian {
		copy(out, bytesOf(x))
		return dst
	}
	for i, v := range x {
		binary.LittleEndian.PutUint32(out[4*i:], math.Float32bits(v))
	}
	return dst
}

// littleEndian says that this machine holds a float32 as F32 does.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// bytesOf is the memory of x, which it shares.
func bytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// Decode fills dst from src, which must have exactly the length of len(dst)
// elements; on an error dst is unchanged. The values may be anything, NaN and
// infinities too.
func (id ID) Decode(dst []float32, src []byte) error {
	if !id.Known() {
		return fmt.Errorf("%s is not known here", id)
	}
	if want := id.EncodedLen(len(dst)); len(src) != want {
		return fmt.Errorf("%s: %d bytes for %d elements, want %d", id, len(src), len(dst), want)
	}
	if littleEndian {
		copy(bytesOf(dst), src)
		return nil
	}
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
	return nil
}
