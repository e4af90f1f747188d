package wan

import (
	"errors"
	"fmt"
	"net/netip"
)

// MaxRegions is how many a Network can have: it holds a timer for each ordered pair.
const MaxRegions = 32

// ErrUnavailable says that this system, or this user, cannot have a Network. The
// error around it says why and what to do; tests skip.
var ErrUnavailable = errors.New("emulated networks are not available here")

// hostOf is the address of a region by its number, from 1. The last byte leaves room
// for more of them in one region.
func hostOf(number int) netip.Addr {
	return netip.AddrFrom4([4]byte{site[0], site[1], byte(number), 1})
}

// checkRegions joins the faults of what New is given.
func checkRegions(regions []string, links Links) error {
	var faults []error
	if len(regions) < 1 || len(regions) > MaxRegions {
		faults = append(faults, fmt.Errorf("%d regions: an emulated network has 1 to %d", len(regions), MaxRegions))
	}
	seen := make(map[string]bool, len(regions))
	for _, r := range regions {
		if seen[r] {
			faults = append(faults, fmt.Errorf("region %q is there twice", r))
		}
		seen[r] = true
	}
	return errors.Join(append(faults, links.Validate(regions))...)
}
