package wan

import (
	"encoding/binary"
	"time"
)

// blockSize holds two of the largest packets and many small ones.
const blockSize = 256 << 10

// recordHead is what a block holds in front of each packet: its arrival as 8 bytes of
// nanoseconds and its length as 4.
const recordHead = 12

// block is a piece of memory with packets one after the other.
type block struct {
	bytes      []byte // [blockSize]
	head, tail int    // of what is held
	next       *block
}

// queue holds packets in order. Its memory grows to the most that it ever held and is
// used again from then on. The zero value is empty.
type queue struct {
	first, last *block
	spare       *block
	held        int // bytes of packets
}

// put appends a copy of a packet that arrives at a time.
func (q *queue) put(at time.Duration, packet []byte) {
	b := q.last
	if b == nil || b.tail+recordHead+len(packet) > len(b.bytes) {
		b = q.grow()
	}
	binary.NativeEndian.PutUint64(b.bytes[b.tail:], uint64(at))
	binary.NativeEndian.PutUint32(b.bytes[b.tail+8:], uint32(len(packet)))
	copy(b.bytes[b.tail+recordHead:], packet)
	b.tail += recordHead + len(packet)
	q.held += len(packet)
}

// grow appends an empty block.
func (q *queue) grow() *block {
	b := q.spare
	if b != nil {
		q.spare = b.next
		b.head, b.tail, b.next = 0, 0, nil
	} else {
		b = &block{bytes: make([]byte, blockSize)}
	}
	if q.last == nil {
		q.first = b
	} else {
		q.last.next = b
	}
	q.last = b
	return b
}

// peek returns the oldest packet and when it arrives; false if there is none. The
// packet stays valid, whatever is put, until drop.
func (q *queue) peek() (at time.Duration, packet []byte, ok bool) {
	b := q.first
	if b == nil || b.head == b.tail {
		return 0, nil, false
	}
	at = time.Duration(binary.NativeEndian.Uint64(b.bytes[b.head:]))
	from := b.head + recordHead
	n := int(binary.NativeEndian.Uint32(b.bytes[b.head+8:]))
	return at, b.bytes[from : from+n], true
}

// drop forgets the oldest packet, which is there.
func (q *queue) drop() {
	b := q.first
	n := int(binary.NativeEndian.Uint32(b.bytes[b.head+8:]))
	b.head += recordHead + n
	q.held -= n
	if b.head < b.tail {
		return
	}
	if b == q.last {
		b.head, b.tail = 0, 0
		return
	}
	q.first = b.next
	b.next = q.spare
	q.spare = b
}
