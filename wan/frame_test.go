package wan

import (
	"encoding/binary"
	"testing"
)

// frameTo makes a frame with a packet of so many bytes. Where segment is not 0, it is
// to be cut into segments of that size behind head bytes of headers from IP on.
func frameTo(to [4]byte, kind byte, size, head, segment int) []byte {
	f := make([]byte, virtioHead+size)
	f[virtioHead] = 4<<4 | 5
	copy(f[virtioHead+16:], to[:])
	if segment == 0 {
		return f
	}
	f[gsoType] = kind
	binary.NativeEndian.PutUint16(f[gsoSegment:], uint16(segment))
	binary.NativeEndian.PutUint16(f[sumStart:], ipv4Head)
	f[virtioHead+ipv4Head+tcpLengthAt] = byte((head-ipv4Head)/4) << 4
	return f
}

func TestOnWire(t *testing.T) {
	const tcp4, udp4 = 1, 5
	to := [4]byte{10, 77, 2, 1}
	for _, c := range []struct {
		name                      string
		kind                      byte
		size, head, segment       int
		wantPackets, wantOnTheWay int
	}{
		{"one packet", 0, 1500, 0, 0, 1, 1500},
		{"two full segments", tcp4, 52 + 2*1448, 52, 1448, 2, 3000},
		{"two and a bit", tcp4, 52 + 2*1448 + 1, 52, 1448, 3, 3053},
		{"many", tcp4, 52 + 44*1448, 52, 1448, 44, 66000},
		{"with ECN", tcp4 | 0x80, 52 + 2*1448, 52, 1448, 2, 3000},
		{"datagrams", udp4, 28 + 3*1200, 28, 1200, 3, 3684},
		{"headers only", tcp4, 52, 52, 1448, 1, 52},
		{"headers beyond the end", tcp4, 40, 80, 1448, 1, 40},
	} {
		packets, size := onWire(frameTo(to, c.kind, c.size, c.head, c.segment))
		if packets != c.wantPackets || size != c.wantOnTheWay {
			t.Errorf("%s: %d packets of %d bytes, want %d of %d", c.name, packets, size, c.wantPackets, c.wantOnTheWay)
		}
	}
}

func TestDestination(t *testing.T) {
	ipv6 := frameTo([4]byte{10, 77, 2, 1}, 0, 60, 0, 0)
	ipv6[virtioHead] = 6 << 4
	for _, c := range []struct {
		name  string
		frame []byte
		want  int
		ok    bool
	}{
		{"a region", frameTo([4]byte{10, 77, 2, 1}, 0, 20, 0, 0), 2, true},
		{"another address of it", frameTo([4]byte{10, 77, 2, 99}, 0, 20, 0, 0), 2, true},
		{"multicast", frameTo([4]byte{224, 0, 0, 251}, 0, 20, 0, 0), 0, false},
		{"ipv6", ipv6, 0, false},
		{"short", ipv6[:virtioHead+19], 0, false},
		{"empty", nil, 0, false},
	} {
		got, ok := destination(c.frame)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%s: region %d, %t, want %d, %t", c.name, got, ok, c.want, c.ok)
		}
	}
}
