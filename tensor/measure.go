package tensor

// Triad sets a = b + s*c, the loop of STREAM (McCalpin 1995): what memory can do, in
// 12 bytes per element, beside which the server's updates are measured.
func Triad(a, b, c []float32, s float32) {
	sameLen("triad", len(b), len(a))
	sameLen("triad", len(c), len(a))
	for len(a) > piece {
		active.triad(a[:piece], b[:piece], c[:piece], s)
		a, b, c = a[piece:], b[piece:], c[piece:]
	}
	active.triad(a, b, c, s)
}

func triadGo(a, b, c []float32, s float32) {
	b, c = b[:len(a)], c[:len(a)]
	for i := range a {
		a[i] = b[i] + s*c[i]
	}
}

// Peak does multiply-adds on registers for about a millisecond on each of the pool's
// threads and returns how many floating-point operations that was, a multiply-add
// being two. Their rate is the bound of every product of the set of kernels in use.
func Peak(p *Pool) (flops float64) {
	const work = peakTask(400_000)
	p.Run(p.Threads(), work)
	return float64(p.Threads()) * float64(work) * active.peakFlops
}

// peakTask is a number of rounds of the kernel that each thread does, in calls far
// shorter than a millisecond.
type peakTask int

func (n peakTask) Part(int) {
	for range n / 1000 {
		active.peak(1000)
	}
}

// peakGo has four sums in flight. gonum's assembly is beyond it, plain Go is not.
func peakGo(n int) {
	var s0, s1, s2, s3 float32
	x, y := float32(n), float32(n)
	for range n {
		s0 += x * y
		s1 += x * y
		s2 += x * y
		s3 += x * y
	}
	if s0+s1+s2+s3 < 0 {
		panic("tensor: a sum of squares below zero")
	}
}
