package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// The bytes that the safetensors specification gives for these two tensors.
const goldenHeader = `{"__metadata__":{"format":"pt"},` +
	`"a.weight":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},` +
	`"b":{"dtype":"F32","shape":[],"data_offsets":[8,12]}}`

const goldenData = "\x00\x00\x80\x3f" + "\x00\x00\x00\xc0" + "\x00\x00\x00\x3f"

func golden() []byte {
	padded := goldenHeader + strings.Repeat(" ", 7-(len(goldenHeader)+7)%8)
	return file(padded, goldenData)
}

// file makes a safetensors file of a header as it is.
func file(header, data string) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func TestWriteTensorsGolden(t *testing.T) {
	var got bytes.Buffer
	err := WriteTensors(&got, []Tensor{{"a.weight", []int{2, 1}, []float32{1, -2}}, {"b", nil, []float32{0.5}}})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), golden()) {
		t.Errorf("got  %q\nwant %q", got.Bytes(), golden())
	}
	if start := got.Len() - len(goldenData); start%8 != 0 {
		t.Errorf("data starts at byte %d, not a multiple of 8", start)
	}
}

func TestTensorsSurviveToTheBit(t *testing.T) {
	long := make([]float32, bufferLen/wordLen*2+3) // more than two buffers
	for i := range long {
		long[i] = math.Float32frombits(uint32(i) * 2654435761)
	}
	want := []Tensor{
		{"z first", []int{3}, []float32{float32(math.Inf(1)), float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32}},
		{"", []int{}, []float32{1}},
		{"no elements", []int{5, 0}, []float32{}},
		{`"quoted" ünicode`, []int{1, len(long), 1}, long},
		{"last", []int{2, 2}, []float32{1, 2, 3, 4}},
	}
	for n := range len(want) + 1 {
		var b bytes.Buffer
		if err := WriteTensors(&b, want[:n]); err != nil {
			t.Fatal(err)
		}
		got, err := ReadTensors(&b, int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if fault := difference(got, want[:n]); fault != "" {
			t.Fatalf("%d tensors: %s", n, fault)
		}
	}
}

// difference says how two lists of tensors differ, "" if they do not.
func difference(got, want []Tensor) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d tensors, want %d", len(got), len(want))
	}
	same := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
	for i, w := range want {
		if got[i].Name != w.Name || !slices.Equal(got[i].Shape, w.Shape) || !slices.EqualFunc(got[i].Data, w.Data, same) {
			return fmt.Sprintf("tensor %d is %q %v, want %q %v, or their data differ", i, got[i].Name, got[i].Shape, w.Name, w.Shape)
		}
	}
	return ""
}

func TestWriteTensorsRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		tensors []Tensor
		want    string
	}{
		{"a shape of other elements", []Tensor{{"a", []int{2}, make([]float32, 3)}}, `tensor "a" has shape [2] but 3 elements`},
		{"a negative shape", []Tensor{{"a", []int{-1, -3}, make([]float32, 3)}}, `tensor "a" has shape [-1 -3] but 3 elements`},
		{"a name twice", []Tensor{{Name: "a", Data: []float32{1}}, {Name: "a", Data: []float32{1}}}, `tensor "a": the name is taken`},
		{"the name of the metadata", []Tensor{{Name: "__metadata__", Data: []float32{1}}}, `tensor "__metadata__": the name is taken`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			err := WriteTensors(&b, c.tensors)
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if b.Len() > 0 {
				t.Errorf("wrote %d bytes", b.Len())
			}
		})
	}
}

var refused = []struct {
	name string
	file []byte
	want string
}{
	{"an empty file", nil, "has 0 bytes: truncated, or not a safetensors file"},
	{"half a length", golden()[:4], "has 4 bytes"},
	{"half a header", golden()[:40], "header of 152 bytes in 32: truncated"},
	{"data cut short", golden()[:len(golden())-1], "header describes 12 bytes of tensors, the file holds 11: truncated or damaged"},
	{"no data at all", golden()[:len(golden())-12], "header describes 12 bytes of tensors, the file holds 0"},
	{"data too long", append(golden(), 0), "header describes 12 bytes of tensors, the file holds 13"},
	{"another format", []byte("\x80\x02ctorch._utils\n_rebuild_tensor_v2"), "not a safetensors file"},
	{"a huge header", append(binary.LittleEndian.AppendUint64(nil, 1<<40), make([]byte, 100)...), "header of 1099511627776 bytes in 100"},
	{"a header of all ones", append(binary.LittleEndian.AppendUint64(nil, math.MaxUint64), make([]byte, 100)...), "header of 18446744073709551615 bytes in 100"},
	{"a header that is no JSON", file("hello", ""), "header is not JSON"},
	{"a header that is a list", file("[]", ""), "header is not JSON"},
	{"a tensor that is a number", file(`{"a":1}`, ""), `tensor "a": `},
	{"another type", file(`{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}`, "1234"), `tensor "a" has type "BF16": only F32 can be read`},
	{"no type", file(`{"a":{"shape":[1],"data_offsets":[0,4]}}`, "1234"), `tensor "a" has type ""`},
	{"a shape of other bytes", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, "1234"), `tensor "a": offsets [0 4] do not hold shape [2]`},
	{"a negative dimension", file(`{"a":{"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]}}`, "1234"), `shape [-1 -1] has a negative dimension`},
	{"a shape that overflows", file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296,1],"data_offsets":[0,0]}}`, ""), "has too many elements"},
	{"a huge shape", file(`{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}`, "1234"), "header describes 4000000000000 bytes of tensors, the file holds 4"},
	{"a fractional shape", file(`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`, "1234"), `tensor "a": `},
	{"offsets that are missing", file(`{"a":{"dtype":"F32","shape":[0]}}`, ""), `tensor "a": offsets [] do not hold shape [0]`},
	{"offsets in threes", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}`, "1234"), `offsets [0 4 8] do not hold`},
	{"negative offsets", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}`, ""), `offsets [-4 0] do not hold`},
	{"overlapping offsets", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "12345678"),
		`tensor "b" starts at byte 4, the one before it ends at 8`},
	{"the same data twice", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "1234"),
		`tensor "b" starts at byte 0, the one before it ends at 4`},
	{"a gap", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "12345678"), `tensor "a" starts at byte 4, the one before it ends at 0`},
}

func TestReadTensorsRefuses(t *testing.T) {
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			_, err := ReadTensors(bytes.NewReader(c.file), int64(len(c.file)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

// A file that shrinks while it is read is an error too.
func TestReadTensorsFromAShorterFile(t *testing.T) {
	whole := golden()
	for n := range whole {
		if _, err := ReadTensors(bytes.NewReader(whole[:n]), int64(len(whole))); err == nil {
			t.Errorf("%d of %d bytes are accepted", n, len(whole))
		}
	}
}

// What ReadTensors accepts must describe every byte of the file's data, hence be
// the same again after it was written.
func FuzzReadTensors(f *testing.F) {
	f.Add(golden())
	for _, c := range refused {
		f.Add(c.file)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		read, err := ReadTensors(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		total := 0
		for _, x := range read {
			total += len(x.Data) * wordLen
		}
		if total > len(b) {
			t.Fatalf("%d bytes of tensors from a file of %d", total, len(b))
		}
		var written bytes.Buffer
		if err := WriteTensors(&written, read); err != nil {
			t.Fatal(err)
		}
		again, err := ReadTensors(&written, int64(written.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if fault := difference(again, read); fault != "" {
			t.Fatal(fault)
		}
	})
}
