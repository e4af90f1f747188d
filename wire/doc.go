// Package wire frames what halos nodes say to each other: topic and protocol
// names, the fixed headers in front of tensors, and length-delimited protobuf
// for everything that will grow (halos.proto). It holds no state and does no
// cryptography beyond checksums.
//
// All integers are little-endian. Reserved bytes are zero.
//
// # Chunk: a message on a delta topic, a frame on a model stream
//
// A transfer is one frame, cut into chunks of ChunkBytes; only the last chunk is
// shorter. A longer tail is refused: the payload ends with the message.
//
//	 0  kind     u8   0x01
//	 1  protocol u8   ProtocolVersion
//	 2  reserved u16
//	 4  index    u32  of this chunk, from 0
//	 8  session  u64  names the transfer
//	16  seq      u64  names the transfer
//	24  count    u32  chunks of the transfer, at least 1
//	28  round    u16  times the transfer was announced before
//	30  attempt  u16  of the Missing that asked for a repair last, 0 = none did;
//	                  so no two publications of a chunk are the same bytes
//	32  length   u32  of the payload, 1..ChunkBytes
//	36  crc      u32  CRC-32C of bytes 0..36 and of the CRC-32C of the payload
//	40  payload  [length]
//
// What a Seal holds of a frame is the SHA-256 over the CRC-32C of each chunk's
// payload, in order: the sender takes these when it encodes, the receiver when chunks
// arrive and again when it reads them back, so that no disk between can change a
// frame unnoticed, and none is passed over a second time.
//
// # Delta: the frame of a transfer to a server
//
//	 0  kind     u8   0x02
//	 1  codec    u8   of the payload
//	 2  ranges   u16  0..MaxRanges
//	 4  steps    u32  local steps in the delta
//	 8  tokens   u64  trained for it
//	16  base     u64  term counter of the model the delta started from
//	24  base     u64  its version
//	32  term     u64  of the region, in a push; 0 from a worker
//	40  elements u64  of the vector in the payload
//	48  loss     f32  mean training loss, nats per token
//	52  reserved u32
//	56  samples  [ranges] of start u64, end u64: ascending, with gaps between
//	..  payload  the rest, in the form the codec gives it
//
// # Model: the announce of a transfer on a model stream
//
//	 0  kind      u8   0x03
//	 1  codec     u8   of the payload
//	 2  reserved  [6]
//	 8  term      u64  counter of the server's term; session of the chunks
//	16  version   u64  of the model; seq of the chunks
//	24  contains  u64  last seq of the receiver's own deltas in the model
//	32  committed u64  samples committed in the whole job
//	40  elements  u64  of the vector in the payload
//	48  length    u64  of the payload, whose chunks follow
//	56  id        u64  of the transfer: what has the same id has the same bytes
//
// # Seal: the end of a transfer on a model stream
//
//	0  kind      u8   0x04
//	1  a Seal message
//
// # Messages
//
// On streams a protobuf message follows its length as an unsigned varint. On
// control topics a Signed message carries a Control and a signature over
// ControlBytes.
package wire

import (
	"errors"
	"hash/crc32"
)

// ProtocolVersion is the version of everything in this package. Peers with
// different ones do not exchange deltas.
const ProtocolVersion = 2

// The first byte of a frame.
const (
	kindChunk = 1
	kindDelta = 2
	kindModel = 3
	kindSeal  = 4
)

var (
	// ErrFrame is a frame or message that does not parse. Its sender is broken,
	// hostile, or speaks another protocol.
	ErrFrame = errors.New("malformed")
	// ErrTooLarge is a well-formed claim of a size beyond the receiver's bound.
	ErrTooLarge = errors.New("too large")
	// ErrCorrupt is a payload that does not match its checksum. It may be asked
	// for again.
	ErrCorrupt = errors.New("checksum mismatch")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the CRC-32C of b, as Hello.base_crc holds it.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// AddChecksum is the Checksum of what sum is that of, with b behind it.
func AddChecksum(sum uint32, b []byte) uint32 { return crc32.Update(sum, castagnoli, b) }
