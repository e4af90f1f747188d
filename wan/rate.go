package wan

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unit is a name behind a number and what it stands for.
type unit struct {
	name string
	size int64
}

// Units from the largest down, as a value is written with the first that divides it.
var (
	rateUnits = []unit{{"gbit", 1e9}, {"mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}}
	sizeUnits = []unit{{"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
)

// format writes x with the largest of units that divides it; 0 needs none.
func format(x int64, units []unit) string {
	for _, u := range units {
		if x >= u.size && x%u.size == 0 {
			return strconv.FormatInt(x/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(x, 10)
}

// ParseRate reads a rate in bits per second such as 100mbit, 1.5gbit or 500kbit;
// 0 is unlimited.
func ParseRate(s string) (int64, error) {
	for _, u := range rateUnits {
		number, ok := strings.CutSuffix(strings.ToLower(s), u.name)
		if !ok {
			continue
		}
		x, err := strconv.ParseFloat(number, 64)
		bits := math.Round(x * float64(u.size))
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
func FormatRate(bits int64) string { return format(bits, rateUnits) }

// ParseRTT reads a round-trip time such as 80ms; 0 is none.
func ParseRTT(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("rtt %q: want a time with its unit, such as 80ms", s)
	}
	return d, Link{RTT: d}.Validate()
}

// lossUnits is how many of the smallest loss that can be told, 0.0001 %, make 1.
const lossUnits = 1e6

// parseLoss reads a percentage such as 1% or 0.1%.
func parseLoss(s string) (float64, error) {
	number, ok := strings.CutSuffix(s, "%")
	x, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil {
		return 0, fmt.Errorf("loss %q: want a percentage, such as 1%% or 0.1%%", s)
	}
	parts := math.Round(x / 100 * lossUnits)
	if x > 0 && parts == 0 {
		return 0, fmt.Errorf("loss %q: the least is %s, or 0%% for none", s, formatLoss(1/lossUnits))
	}
	loss := parts / lossUnits
	return loss, Link{Loss: loss}.Validate()
}

// formatLoss writes a loss as parseLoss reads it.
func formatLoss(loss float64) string {
	percent := math.Round(loss*lossUnits) / (lossUnits / 100)
	return strconv.FormatFloat(percent, 'f', -1, 64) + "%"
}

// parseQueue reads a size such as 512KiB or 4MiB.
func parseQueue(s string) (int, error) {
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(s, u.name)
		n, err := strconv.ParseUint(number, 10, 32)
		if !ok || err != nil {
			continue
		}
		if n == 0 {
			break
		}
		n = min(n, maxQueue/uint64(u.size)+1) // which is refused
		queue := int(n) * int(u.size)
		return queue, Link{Queue: queue}.Validate()
	}
	return 0, fmt.Errorf("queue %q: want a whole number of KiB or MiB, such as 512KiB, or leave it out for one bandwidth-delay product", s)
}

// formatQueue writes a size as parseQueue reads it.
func formatQueue(n int) string { return format(int64(n), sizeUnits) }
