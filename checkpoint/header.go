package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// maxHeader bounds the header of a safetensors file that is read. A tensor takes
// about 150 bytes of it, so this is room for a hundred thousand.
const maxHeader = 16 << 20

// wordLen is the number of bytes of an F32 element.
const wordLen = 4

// Tensor is one named tensor, row-major.
type Tensor struct {
	Name  string
	Shape []int     // none: one element
	Data  []float32 // [product of Shape]
}

// elements is the product of shape, or an error if a dimension is negative or the
// bytes of so many elements cannot be counted.
func elements(shape []int) (int, error) {
	n := 1
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("shape %v has a negative dimension", shape)
		}
		if d > 0 && n > math.MaxInt/wordLen/d {
			return 0, fmt.Errorf("shape %v has too many elements", shape)
		}
		n *= d
	}
	return n, nil
}

// entry describes one tensor in a header.
type entry struct {
	DType   string  `json:"dtype"`
	Shape   []int   `json:"shape"`
	Offsets []int64 `json:"data_offsets"` // [2] in bytes from the end of the header
}

// appendHeader writes the length and the header of a file that holds tensors in
// their order.
func appendHeader(dst []byte, tensors []Tensor) ([]byte, error) {
	start := len(dst)
	dst = append(dst, "00000000"+`{"__metadata__":{"format":"pt"}`...)
	seen := make(map[string]bool, len(tensors))
	var offset int64
	for _, t := range tensors {
		if n, err := elements(t.Shape); err != nil || n != len(t.Data) {
			return nil, fmt.Errorf("tensor %q has shape %v but %d elements", t.Name, t.Shape, len(t.Data))
		}
		if seen[t.Name] || t.Name == metadataKey {
			return nil, fmt.Errorf("tensor %q: the name is taken", t.Name)
		}
		seen[t.Name] = true
		end := offset + int64(len(t.Data))*wordLen
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(entry{"F32", append([]int{}, t.Shape...), []int64{offset, end}})
		if err != nil {
			return nil, err
		}
		dst = append(append(append(append(dst, ','), name...), ':'), value...)
		offset = end
	}
	dst = append(dst, '}')
	for (len(dst)-start)%8 != 0 { // the format wants the data aligned
		dst = append(dst, ' ')
	}
	binary.LittleEndian.PutUint64(dst[start:], uint64(len(dst)-start-8))
	return dst, nil
}

const metadataKey = "__metadata__"

// described is an entry with its name, checked.
type described struct {
	name     string
	shape    []int
	elements int
}

// parseHeader reads the JSON of a header that size bytes of data follow. The
// tensors come back in the order of their data, which they fill without a gap or
// an overlap, as the format demands: so they can be read one after the other.
func parseHeader(header []byte, size int64) ([]described, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(bytes.TrimRight(header, " "), &raw); err != nil {
		return nil, fmt.Errorf("header is not JSON, so not a safetensors file: %w", err)
	}
	delete(raw, metadataKey)
	type placed struct {
		described
		start, end int64
	}
	all := make([]placed, 0, len(raw))
	for name, value := range raw {
		var e entry
		if err := json.Unmarshal(value, &e); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		if e.DType != "F32" {
			return nil, fmt.Errorf("tensor %q has type %q: only F32 can be read", name, e.DType)
		}
		n, err := elements(e.Shape)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		if len(e.Offsets) != 2 || e.Offsets[0] < 0 || e.Offsets[1]-e.Offsets[0] != int64(n)*wordLen {
			return nil, fmt.Errorf("tensor %q: offsets %v do not hold shape %v", name, e.Offsets, e.Shape)
		}
		all = append(all, placed{described{name, e.Shape, n}, e.Offsets[0], e.Offsets[1]})
	}
	slices.SortFunc(all, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end), cmp.Compare(a.name, b.name))
	})
	tensors := make([]described, len(all))
	var end int64
	for i, t := range all {
		if t.start != end {
			return nil, fmt.Errorf("tensor %q starts at byte %d, the one before it ends at %d", t.name, t.start, end)
		}
		end = t.end
		tensors[i] = t.described
	}
	if end != size {
		return nil, fmt.Errorf("header describes %d bytes of tensors, the file holds %d: truncated or damaged", end, size)
	}
	return tensors, nil
}
