package tensor

// scratch holds the packed parts of the operands of one product.
type scratch struct {
	a [packedA]float32
	b [packedB]float32
	c [packedC]float32 // a tile of c at its edge
}

const (
	packedA = 40 << 10
	packedB = 1 << 18
	packedC = 1 << 9
)

// free keeps scratch between calls; its bound is far above the number of
// goroutines that multiply at once, beyond it they are simply made anew. Not a
// sync.Pool, which drops its content at any collection.
var free = make(chan *scratch, 64)

func borrow() *scratch {
	select {
	case s := <-free:
		return s
	default:
		return new(scratch)
	}
}

func (s *scratch) giveBack() {
	select {
	case free <- s:
	default:
	}
}
