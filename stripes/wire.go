package stripes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// Max is the most sockets of a connection.
	Max = 32
	// GreetingLen is the length of a greeting.
	GreetingLen = 24
	// First is the first byte of a greeting. What libp2p says begins with 0x13.
	First = 'h'

	magic   = "halos"
	version = 1

	headerLen = 10
	// maxPayload takes the longest TLS record in one piece. It is short beside what sockets buffer, so that a
	// slow socket delays little.
	maxPayload = 16<<10 + 512
)

// ErrGreeting says that the other end is not one of halos.
var ErrGreeting = errors.New("no greeting of a halos node")

// Kind is what a socket is for.
type Kind byte

// What a greeting asks for.
const (
	Open Kind = iota // a connection
	Join             // to be part of one
)

// Greeting is what a dialler says first on each socket.
type Greeting struct {
	Kind    Kind
	Sockets int // 1 to Max
	ID      [16]byte
}

// Append appends g to b.
func (g Greeting) Append(b []byte) []byte {
	b = append(b, magic...)
	b = append(b, version, byte(g.Kind), byte(g.Sockets))
	return append(b, g.ID[:]...)
}

// ParseGreeting reads what a stranger has sent.
func ParseGreeting(b []byte) (g Greeting, err error) {
	if len(b) < GreetingLen || string(b[:len(magic)]) != magic {
		return g, ErrGreeting
	}
	if b[5] != version {
		return g, fmt.Errorf("greeting of version %d, not %d: update the older of the two nodes", b[5], version)
	}
	g.Kind, g.Sockets = Kind(b[6]), int(b[7])
	copy(g.ID[:], b[8:])
	if g.Kind > Join {
		return g, fmt.Errorf("greeting of kind %d", g.Kind)
	}
	return g, Check(g.Sockets)
}

// Check refuses a number of sockets that no connection has.
func Check(sockets int) error {
	if sockets < 1 || sockets > Max {
		return fmt.Errorf("connection over %d sockets: it can have 1 to %d", sockets, Max)
	}
	return nil
}

// appendHeader appends the header of a segment to b.
func appendHeader(b []byte, seq uint64, length int) []byte {
	b = binary.LittleEndian.AppendUint64(b, seq)
	return binary.LittleEndian.AppendUint16(b, uint16(length))
}

// readHeader reads the header of a segment. The error is io.EOF if r has ended before it.
func readHeader(r io.Reader) (seq uint64, length int, err error) {
	var b [headerLen]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, 0, err
	}
	length = int(binary.LittleEndian.Uint16(b[8:]))
	if length > maxPayload {
		return 0, 0, fmt.Errorf("segment of %d bytes: it can have %d", length, maxPayload)
	}
	return binary.LittleEndian.Uint64(b[:]), length, nil
}
