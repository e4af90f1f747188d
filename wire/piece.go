package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxSeal bounds the message of a Seal, bytes.
const maxSeal = 128

// Piece is one frame of a model stream: exactly one field is set.
type Piece struct {
	Header *ModelHeader
	Chunk  []byte // with its header, in memory of its own; ParseChunk checks it
	Seal   *Seal
}

// AppendSeal appends m to b as a frame of a model stream.
func AppendSeal(b []byte, m *Seal) ([]byte, error) {
	out := sliceWriter{append(b, kindSeal)}
	err := WriteMessage(&out, m)
	return out.b, err
}

// ReadPiece reads the next frame of a model stream. Like ReadMessage it returns
// io.EOF itself where the stream ends before the first byte, and after any other
// error the stream is no longer at the start of a frame: reset it. It allocates a
// chunk's length at most.
func ReadPiece(r *bufio.Reader, maxElements, maxLength int) (Piece, error) {
	kind, err := r.ReadByte()
	if err != nil {
		return Piece{}, err
	}
	switch kind {
	case kindModel:
		var b [ModelHeaderLen]byte
		b[0] = kind
		if err := readRest(r, b[1:]); err != nil {
			return Piece{}, fmt.Errorf("read model header: %w", err)
		}
		h, err := ParseModelHeader(b[:], maxElements, maxLength)
		return Piece{Header: &h}, err
	case kindChunk:
		return readChunk(r)
	case kindSeal:
		var m Seal
		if err := ReadMessage(r, &m, maxSeal); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return Piece{}, err
		}
		return Piece{Seal: &m}, nil
	}
	return Piece{}, fmt.Errorf("%w: frame of kind %#x on a model stream", ErrFrame, kind)
}

func readChunk(r *bufio.Reader) (Piece, error) {
	var head [ChunkHeaderLen]byte
	head[0] = kindChunk
	if err := readRest(r, head[1:]); err != nil {
		return Piece{}, fmt.Errorf("read chunk header: %w", err)
	}
	length := binary.LittleEndian.Uint32(head[chunkLengthAt:])
	if length < 1 || length > ChunkBytes {
		return Piece{}, fmt.Errorf("%w: chunk claims %d bytes of payload", ErrFrame, length)
	}
	b := make([]byte, ChunkHeaderLen+int(length))
	copy(b, head[:])
	if err := readRest(r, b[ChunkHeaderLen:]); err != nil {
		return Piece{}, fmt.Errorf("read chunk: %w", err)
	}
	return Piece{Chunk: b}, nil
}

// readRest fills b: the stream must not end before.
func readRest(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// sliceWriter appends what is written to b.
type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(b []byte) (int, error) {
	w.b = append(w.b, b...)
	return len(b), nil
}
