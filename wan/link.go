package wan

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bounds of an emulated link.
const (
	maxRTT  = 10 * time.Second
	maxRate = 100_000_000_000 // bit/s
	maxLoss = 0.9
	// maxQueue bounds the memory of one direction: what is queued and on the way.
	maxQueue = 256 << 20

	// leastQueue is what a router of any kind holds: one packet as the kernel hands
	// it over, of up to 64 KiB.
	leastQueue = 64 << 10
	// freeQueue is what may be on the way where no rate bounds it.
	freeQueue = 32 << 20
)

// Link is the way between two regions, alike in both directions. The zero Link is as
// fast as loopback.
type Link struct {
	Rate  int64         // bit/s in each direction; 0 is unlimited
	RTT   time.Duration // round trip; each direction takes half of it
	Loss  float64       // share of the packets that each direction loses, 0 to 0.9, in steps of 0.0001 %
	Queue int           // bytes that wait for the rate before a packet is dropped; 0 is one bandwidth-delay product and at least 64 KiB
}

// ParseLink reads RATE/RTT[/LOSS[/QUEUE]], such as 50mbit/120ms, 50mbit/120ms/1% or
// 50mbit/120ms/1%/512KiB. A rate of 0 is unlimited.
func ParseLink(s string) (Link, error) {
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 4 {
		return Link{}, fmt.Errorf("link %q: want RATE/RTT[/LOSS[/QUEUE]], such as 50mbit/120ms or 50mbit/120ms/1%%", s)
	}
	var l Link
	var rate, rtt, loss, queue error
	l.Rate, rate = ParseRate(parts[0])
	l.RTT, rtt = ParseRTT(parts[1])
	if len(parts) > 2 {
		l.Loss, loss = parseLoss(parts[2])
	}
	if len(parts) > 3 {
		l.Queue, queue = parseQueue(parts[3])
	}
	err := errors.Join(rate, rtt, loss, queue)
	if err == nil {
		err = l.Validate() // of all together
	}
	if err != nil {
		return Link{}, fmt.Errorf("link %q: %w", s, err)
	}
	return l, nil
}

// String writes l as ParseLink reads it.
func (l Link) String() string {
	s := FormatRate(l.Rate) + "/" + l.RTT.String()
	if l.Loss > 0 || l.Queue > 0 {
		s += "/" + formatLoss(l.Loss)
	}
	if l.Queue > 0 {
		s += "/" + formatQueue(l.Queue)
	}
	return s
}

// Validate joins all faults of l.
func (l Link) Validate() error {
	var faults []error
	if l.RTT < 0 || l.RTT > maxRTT {
		faults = append(faults, fmt.Errorf("rtt %v: must be between 0s and %v", l.RTT, maxRTT))
	}
	if l.Rate < 0 || l.Rate > maxRate {
		faults = append(faults, fmt.Errorf("rate %s: must be between 0 and %s", FormatRate(l.Rate), FormatRate(maxRate)))
	}
	if !(l.Loss >= 0 && l.Loss <= maxLoss) {
		faults = append(faults, fmt.Errorf("loss %s: must be between 0%% and %s", formatLoss(l.Loss), formatLoss(maxLoss)))
	}
	if l.Queue < 0 || l.Queue > 0 && l.Queue < leastQueue || l.Queue > maxQueue {
		faults = append(faults, fmt.Errorf("queue %s: must be between %s and %s, or left out for one bandwidth-delay product",
			formatQueue(l.Queue), formatQueue(leastQueue), formatQueue(maxQueue)))
	}
	if held := l.product() + max(0, l.Queue); len(faults) == 0 && held > maxQueue {
		faults = append(faults, fmt.Errorf("link %v holds %d MiB on the way, at most %d MiB are emulated: lower rtt or rate", l, held>>20, maxQueue>>20))
	}
	return errors.Join(faults...)
}

// product is the bandwidth-delay product in bytes, 0 without a rate.
func (l Link) product() int { return int(float64(l.Rate) / 8 * l.RTT.Seconds()) }

// room is the number of bytes that may wait for the rate of one direction; without a
// rate, those that may be on the way.
func (l Link) room() int {
	switch {
	case l.Queue > 0:
		return l.Queue
	case l.Rate == 0:
		return freeQueue
	}
	return max(leastQueue, l.product())
}
