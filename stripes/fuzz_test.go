package stripes

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// Whatever comes over two sockets, a Read returns bytes, the end or an error, and keeps no more than it may.
func FuzzSegments(f *testing.F) {
	end := func(b []byte, total uint64) []byte { return appendHeader(b, total, 0) }
	one := append(appendHeader(nil, 0, 3), "abc"...)
	two := append(appendHeader(nil, 1, 3), "def"...)
	f.Add(end(one, 2), end(two, 2))
	f.Add(end(two, 2), end(one, 2))
	f.Add(end(nil, 0), end(nil, 0))
	f.Add(one, one)
	f.Add(end(one, 1), end(two, 1))
	f.Add(appendHeader(nil, 1<<63, maxPayload), end(one, 1<<63))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		here, there, err := pairs(2)
		if err != nil {
			t.Skip(err) // no ports are left for a while
		}
		c, err := New(here[0], true, func() {})
		if err == nil {
			err = c.Add(here[1], func() {})
		}
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			c.Close()
			for _, s := range there {
				_ = s.SetLinger(0) // thousands of them would hold their ports
				s.Close()
			}
		}()
		for i, raw := range [][]byte{first, second} {
			// Fails where the other socket has ended the connection.
			_, _ = there[i].Write(raw)
			_ = there[i].CloseWrite()
		}
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		read, err := io.Copy(io.Discard, struct{ io.Reader }{c})
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			t.Fatalf("%d bytes and no end", read)
		}
		if most := int64(len(first) + len(second)); read > most || kept(c) > maxEarly {
			t.Errorf("%d bytes of %d, %d segments kept", read, most, kept(c))
		}
	})
}
