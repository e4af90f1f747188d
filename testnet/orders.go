package testnet

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Orders that a testnet gives its processes on their standard input, a line each.
// The end of the input means that the testnet has died.
const (
	orderDrain = "drain" // hand over what you hold and exit
	orderCut   = "cut"   // with a region's number: the links to it carry nothing
	orderMend  = "mend"  // with a region's number: they do again
)

// maxOrders bounds what a process reads of them, in bytes: years of cuts.
const maxOrders = 1 << 24

// Obey follows the orders of a testnet until their end. links are those of this
// process, nil if it has none. Lines that are no order are passed over.
func Obey(in io.Reader, links *Dialer, drain func()) {
	lines := bufio.NewScanner(io.LimitReader(in, maxOrders))
	for lines.Scan() {
		order, operand, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		region, err := strconv.Atoi(operand)
		switch {
		case order == orderDrain:
			drain()
		case links == nil || err != nil:
		case order == orderCut:
			links.Cut(region)
		case order == orderMend:
			links.Mend(region)
		}
	}
}

// order tells p something. It fails if p has just ended, which exits reports.
func (p *process) order(words ...any) { _, _ = fmt.Fprintln(p.stdin, words...) }
