package wan

import "encoding/binary"

// A frame is what a TUN reads and writes with IFF_VNET_HDR: a virtio header, in the
// machine's byte order, and an IPv4 packet, which may be larger than the MTU and is
// then cut into segments where it meets a device that cannot take it whole.
//
//	flags u8 | gso type u8 | header u16 | segment u16 | checksum start u16 | checksum offset u16 | packet ...
const (
	virtioHead = 10
	ipv4Head   = 20 // without options
	maxFrame   = virtioHead + 1<<16

	gsoType     = 1 // offsets in the virtio header
	gsoSegment  = 4
	sumStart    = 6
	gsoNone     = 0
	gsoUDP      = 5 // all others are kinds of TCP
	udpHead     = 8
	tcpLengthAt = 12 // of the header's length in words, in the upper half of the byte
)

// site is what all regions' addresses begin with; the region's number follows.
var site = [2]byte{10, 77}

// destination is the number of the region that frame goes to, false if it is none of
// this network's.
func destination(frame []byte) (region int, ok bool) {
	if len(frame) < virtioHead+ipv4Head || frame[virtioHead]>>4 != 4 {
		return 0, false
	}
	to := frame[virtioHead+16:]
	return int(to[2]), to[0] == site[0] && to[1] == site[1]
}

// onWire is the number of packets that frame is on a link and their bytes: a frame to
// be cut into segments has but one of the headers that they will all have.
func onWire(frame []byte) (packets, size int) {
	size = len(frame) - virtioHead
	segment := int(binary.NativeEndian.Uint16(frame[gsoSegment:]))
	if frame[gsoType] == gsoNone || segment == 0 {
		return 1, size
	}
	head := int(binary.NativeEndian.Uint16(frame[sumStart:]))
	switch {
	case frame[gsoType] == gsoUDP:
		head += udpHead
	case head+tcpLengthAt < size:
		head += int(frame[virtioHead+head+tcpLengthAt]>>4) * 4
	}
	if head >= size {
		return 1, size
	}
	packets = (size - head + segment - 1) / segment
	return packets, size + (packets-1)*head
}
