package checkpoint

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// bufferLen is the number of bytes that are converted at a time.
const bufferLen = 64 << 10

// WriteTensors writes tensors as one safetensors file:
//
//	length u64 | header, JSON, padded with spaces to 8 bytes | data of each tensor, F32 little-endian
//
// It fails before it writes anything if two tensors share a name or if one's
// shape and data disagree.
func WriteTensors(w io.Writer, tensors []Tensor) error {
	header, err := appendHeader(nil, tensors)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	buffer := make([]byte, 0, bufferLen)
	for _, t := range tensors {
		for rest := t.Data; len(rest) > 0; {
			n := min(len(rest), bufferLen/wordLen)
			buffer = buffer[:0]
			for _, x := range rest[:n] {
				buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(x))
			}
			if _, err := w.Write(buffer); err != nil {
				return err
			}
			rest = rest[n:]
		}
	}
	return nil
}

// ReadTensors reads a safetensors file of size bytes, which bounds what it
// allocates whatever the file says.
func ReadTensors(r io.Reader, size int64) ([]Tensor, error) {
	var tensors []Tensor
	err := readTensors(r, size, func(d described) ([]float32, error) {
		t := Tensor{d.name, d.shape, make([]float32, d.elements)}
		tensors = append(tensors, t)
		return t.Data, nil
	})
	return tensors, err
}

// readTensors reads a safetensors file of size bytes and puts the data of each
// tensor where place says, a slice of its number of elements.
func readTensors(r io.Reader, size int64, place func(described) ([]float32, error)) error {
	var prefix [8]byte
	if size < int64(len(prefix)) {
		return fmt.Errorf("has %d bytes: truncated, or not a safetensors file", size)
	}
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return err
	}
	size -= int64(len(prefix))
	length := binary.LittleEndian.Uint64(prefix[:])
	if length > maxHeader || int64(length) > size {
		return fmt.Errorf("header of %d bytes in %d: truncated, or not a safetensors file", length, size)
	}
	header := make([]byte, length)
	if _, err := io.ReadFull(r, header); err != nil {
		return err
	}
	tensors, err := parseHeader(header, size-int64(length))
	if err != nil {
		return err
	}
	buffer := make([]byte, bufferLen)
	for _, t := range tensors {
		dst, err := place(t)
		if err != nil {
			return err
		}
		if err := readFloats(r, dst, buffer); err != nil {
			return fmt.Errorf("tensor %q: %w", t.name, err)
		}
	}
	return nil
}

// readFloats fills dst with F32 values from r, through buffer.
func readFloats(r io.Reader, dst []float32, buffer []byte) error {
	for len(dst) > 0 {
		n := min(len(dst), len(buffer)/wordLen)
		part := buffer[:n*wordLen]
		if _, err := io.ReadFull(r, part); err != nil {
			return err
		}
		for i := range n {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(part[i*wordLen:]))
		}
		dst = dst[n:]
	}
	return nil
}
