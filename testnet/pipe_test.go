package testnet

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestRingAgainstABuffer(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const limit = 100_000
	var got ring
	var want bytes.Buffer
	for i := range 20_000 {
		in := make([]byte, r.IntN(min(5000, limit-got.n)+1))
		for j := range in {
			in[j] = byte(r.Uint32())
		}
		got.put(in, limit)
		want.Write(in)
		out, ref := make([]byte, r.IntN(6000)), make([]byte, 6000)
		n := got.take(out)
		if m, _ := want.Read(ref[:len(out)]); n != m || !bytes.Equal(out[:n], ref[:n]) || got.n != want.Len() {
			t.Fatalf("step %d: took %d bytes, %d left; want %d, %d and the same bytes", i, n, got.n, m, want.Len())
		}
		if len(got.buf) > limit {
			t.Fatalf("step %d: the buffer has %d bytes, limit %d", i, len(got.buf), limit)
		}
	}
}

func TestPipeAllocatesNothing(t *testing.T) {
	p := newPipe(&lane{link: linkOf(0, 100_000*mbit)})
	b := make([]byte, 16<<10)
	if n := testing.AllocsPerRun(500, func() {
		_, _ = p.write(b)
		for n := 0; n < len(b); {
			k, _ := p.read(b)
			n += k
		}
	}); n != 0 {
		t.Errorf("%v allocations for a write and its read", n)
	}
}
