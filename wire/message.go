package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"
)

// WriteMessage writes m behind its length, in one Write.
func WriteMessage(w io.Writer, m proto.Message) error {
	size := proto.Size(m)
	b := make([]byte, 0, binary.MaxVarintLen64+size)
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(binary.AppendUvarint(b, uint64(size)), m)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name(m), err)
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write %s: %w", name(m), err)
	}
	return nil
}

// ReadMessage reads a message of at most limit bytes into m, which it resets
// first.
//
// It returns io.EOF itself, not wrapped, where the stream ends before the first
// byte of a message: the peer has closed it. An end anywhere later is
// io.ErrUnexpectedEOF. After any error but io.EOF the stream is no longer at the
// start of a message: reset it. Memory grows with the bytes that arrive, not with
// the length the peer claims.
func ReadMessage(r *bufio.Reader, m proto.Message, limit int) error {
	size, err := readLength(r)
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return fmt.Errorf("read length of %s: %w", name(m), err)
	case limit < 0 || size > uint64(limit):
		return fmt.Errorf("%w: %s of %d bytes, at most %d", ErrTooLarge, name(m), size, limit)
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, int64(size)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read %s: %w", name(m), err)
	}
	if err := proto.Unmarshal(b.Bytes(), m); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFrame, name(m), err)
	}
	return nil
}

// readLength reads an unsigned varint. Its error is io.EOF itself only where the
// stream ends before the first byte.
func readLength(r io.ByteReader) (uint64, error) {
	var b [binary.MaxVarintLen64]byte
	for i := range b {
		c, err := r.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) && i > 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		b[i] = c
		if c < 0x80 {
			if size, n := binary.Uvarint(b[:i+1]); n > 0 {
				return size, nil
			}
			break
		}
	}
	return 0, fmt.Errorf("%w: %x overflows 64 bits", ErrFrame, b)
}

// ControlBytes is what the signature of a Signed message covers: a domain, so
// that no other signature of the same key fits, the topic, so that a message
// cannot be moved to another job or region, and the payload.
func ControlBytes(topic string, payload []byte) []byte {
	const domain = "halos control\x00"
	b := make([]byte, 0, len(domain)+len(topic)+1+len(payload))
	b = append(b, domain...)
	b = append(b, topic...)
	b = append(b, 0)
	return append(b, payload...)
}

func name(m proto.Message) string { return string(m.ProtoReflect().Descriptor().Name()) }
