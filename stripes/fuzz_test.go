package stripes

import (
	"bytes"
	"io"
	"testing"
	"time"
)

// Whatever comes over two sockets, what is read is what they carry in the order of its numbers, and no more is
// kept than may be. A peer that withholds what it has announced is waited for, but not here.
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
		defer func() {
			for _, s := range there {
				_ = s.SetLinger(0) // thousands of them would hold their ports
				s.Close()
			}
		}()
		c, err := over(here, true)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for i, raw := range [][]byte{first, second} {
			_, _ = there[i].Write(raw) // fails where the other has ended the connection
			_ = there[i].CloseWrite()
		}
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		got, _ := io.ReadAll(c)
		want, sure := inOrder(first, second)
		if !bytes.HasPrefix(want, got) && (sure || !bytes.HasPrefix(got, want)) {
			t.Errorf("read %q, sent was %q", got, want)
		}
		if n := kept(c); n > firstEarly {
			t.Errorf("%d segments are kept", n)
		}
	})
}

// inOrder are the payloads of segments in the order of their numbers, up to one that is missing. It is not sure
// of what follows where the sockets differ in one.
func inOrder(sockets ...[]byte) (all []byte, sure bool) {
	payloads := make(map[uint64][]byte)
	differ := make(map[uint64]bool)
	for _, raw := range sockets {
		for r := bytes.NewReader(raw); ; {
			seq, n, err := readHeader(r)
			if err != nil || n == 0 || n > r.Len() {
				break
			}
			payload := make([]byte, n)
			r.Read(payload)
			differ[seq] = payloads[seq] != nil && !bytes.Equal(payloads[seq], payload)
			payloads[seq] = payload
		}
	}
	for seq := uint64(0); payloads[seq] != nil; seq++ {
		if differ[seq] {
			return all, false
		}
		all = append(all, payloads[seq]...)
	}
	return all, true
}
