package model

// work is the operation that the pool is at: all of a pass but the products of
// matrices is done by parts of rows, of columns or of heads. How it is cut depends on
// sizes only, never on the number of threads.
//
// Its operands are fields rather than what a closure captures: that would be
// allocated at each call.
type work struct {
	operands
	net          *Net
	do           operation
	count, grain int // of rows, columns or heads: all, and those of a part
}

// operation does its share lo..hi-1 of o. It captures nothing.
type operation func(n *Net, o *operands, lo, hi int)

// operands are what an operation works on; each uses some of them.
type operands struct {
	y, dy, x   []float32 // [rows, width]
	mean, rstd []float32 // [rows]
	gain, bias []float32 // [width]
	more       []float32 // [width] another bias
	layer      *activations
	first      int // row of the batch that comes first
	width      int // of a row
	scale      float32
}

const (
	enough   = 1 << 14 // elements in a part at least: fewer are done before another thread is awake
	normRows = 32      // whose gradients of gain and bias make one partial sum
	columns  = 64      // in steps of which columns are cut
)

// Part does part i.
func (w *work) Part(i int) {
	lo := i * w.grain
	w.do(w.net, &w.operands, lo, min(lo+w.grain, w.count))
}

// parts does an operation on 0..count-1, each of size elements or as much work.
func (n *Net) parts(count, size int, o operands, do operation) {
	n.cut(count, max(1, enough/size), o, do)
}

// cut does an operation on 0..count-1 by grain at a time.
func (n *Net) cut(count, grain int, o operands, do operation) {
	n.work = work{operands: o, net: n, do: do, count: count, grain: grain}
	n.pool.Run((count+grain-1)/grain, &n.work)
	n.work = work{}
}
