package testnet

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Bounds of an emulated link.
const (
	maxRTT  = 10 * time.Second
	maxRate = 100_000_000_000 // bit/s

	// queueSlack is what a pipe holds beyond one bandwidth-delay product: enough
	// that a late wake-up of its writer does not leave the lane idle.
	queueSlack = 256 << 10
	// freeQueue is what a pipe without a rate holds: 400 Mbit/s at 80 ms.
	freeQueue = 4 << 20
	// maxQueue bounds the memory of one pipe.
	maxQueue = 256 << 20
)

// Link is the way between two regions, the same for every pair. The zero Link is
// as fast as loopback.
type Link struct {
	RTT  time.Duration // round trip; each direction takes half of it
	Rate int64         // bit/s in each direction, shared by all connections of a process to one region; 0 is unlimited
}

func (l Link) String() string {
	if l.Rate == 0 {
		return l.RTT.String() + " unlimited"
	}
	return l.RTT.String() + " " + FormatRate(l.Rate)
}

// Validate joins all faults of l.
func (l Link) Validate() error {
	var rtt, rate, both error
	if l.RTT < 0 || l.RTT > maxRTT {
		rtt = fmt.Errorf("rtt %v: must be between 0s and %v", l.RTT, maxRTT)
	}
	if l.Rate < 0 || l.Rate > maxRate {
		rate = fmt.Errorf("rate %s: must be between 0 and %s", FormatRate(l.Rate), FormatRate(maxRate))
	}
	if rtt == nil && rate == nil && l.queue() > maxQueue {
		both = fmt.Errorf("link %v holds %d MiB on the way, at most %d MiB are emulated: lower rtt or rate", l, l.queue()>>20, maxQueue>>20)
	}
	return errors.Join(rtt, rate, both)
}

// queue is the number of bytes that one direction of one connection may hold
// before its writer waits: those on the way and those in front of the lane.
func (l Link) queue() int {
	if l.Rate == 0 {
		return freeQueue
	}
	return int(float64(l.Rate)/8*l.RTT.Seconds()) + queueSlack
}

// packet is the number of bytes that pass a lane as one piece: about a
// millisecond's worth, so that connections take turns.
func (l Link) packet() int {
	const least, most = 1460, 64 << 10
	if l.Rate == 0 {
		return most
	}
	return int(min(max(l.Rate/8/1000, least), most))
}

// rateUnits from the largest down, as FormatRate tries them.
var rateUnits = []struct {
	name string
	bits int64
}{{"gbit", 1e9}, {"mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}}

// ParseRate reads a rate in bits per second such as 100mbit, 1.5gbit or 500kbit;
// 0 is unlimited.
func ParseRate(s string) (int64, error) {
	for _, unit := range rateUnits {
		number, ok := strings.CutSuffix(strings.ToLower(s), unit.name)
		if !ok {
			continue
		}
		x, err := strconv.ParseFloat(number, 64)
		bits := math.Round(x * float64(unit.bits))
		if err != nil || !(bits >= 0 && bits <= maxRate) || (x > 0 && bits < 1) {
			return 0, fmt.Errorf("rate %q: must be between 1bit and %s, or 0 for no limit", s, FormatRate(maxRate))
		}
		return int64(bits), nil
	}
	if s == "0" {
		return 0, nil
	}
	return 0, fmt.Errorf("rate %q: want a number with kbit, mbit or gbit, such as 100mbit, or 0 for no limit", s)
}

// FormatRate writes a rate as ParseRate reads it.
func FormatRate(bits int64) string {
	for _, unit := range rateUnits {
		if bits >= unit.bits && bits%unit.bits == 0 {
			return strconv.FormatInt(bits/unit.bits, 10) + unit.name
		}
	}
	return strconv.FormatInt(bits, 10)
}

// ParseRTT reads a round-trip time such as 80ms; 0 is none.
func ParseRTT(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("rtt %q: want a time with its unit, such as 80ms", s)
	}
	return d, Link{RTT: d}.Validate()
}
