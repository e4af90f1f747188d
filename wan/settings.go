package wan

import (
	"fmt"
	"strings"
)

// Settings are those of the kernel by which its connections over a Network go as they
// do. Sizes are in bytes.
type Settings struct {
	Congestion string   // the control of a socket that chooses none
	Available  []string // those that one can choose
	TCPRmem    [3]int   // receive buffer of a connection: least, first, most
	TCPWmem    [3]int   // send buffer
	RmemMax    int      // the most that a socket can ask for
	WmemMax    int
	Qdisc      string // of new devices
	MTU        int
	TxQueue    int // packets that wait for the emulation itself
}

func (s Settings) String() string {
	return fmt.Sprintf("tcp %s (available %s), tcp_rmem %s, tcp_wmem %s, rmem_max %d, wmem_max %d, qdisc %s, mtu %d, txqueuelen %d",
		s.Congestion, strings.Join(s.Available, " "), three(s.TCPRmem), three(s.TCPWmem), s.RmemMax, s.WmemMax, s.Qdisc, s.MTU, s.TxQueue)
}

func three(x [3]int) string { return strings.Trim(fmt.Sprint(x), "[]") }
