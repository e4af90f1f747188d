package wan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Links are those between all regions: Default, but for the pairs that have their own.
// Within a region there is none.
type Links struct {
	Default Link
	Pairs   map[Pair]Link // nil is none
}

// Pair names two regions, in no order: Between makes it.
type Pair struct{ a, b string } // a < b

// Between is the pair of two regions.
func Between(a, b string) Pair { return Pair{min(a, b), max(a, b)} }

func (p Pair) String() string { return p.a + "-" + p.b }

// Of is the link between two regions.
func (l Links) Of(a, b string) Link {
	if own, ok := l.Pairs[Between(a, b)]; ok {
		return own
	}
	return l.Default
}

// whole reports whether packets of a region may cross its links in pieces larger than
// the MTU: only where no link loses a part of one and each queue has room for many.
func (l Links) whole(region string, regions []string) bool {
	const room = 4 * leastQueue
	for _, other := range regions {
		if link := l.Of(region, other); other != region && (link.Loss > 0 || link.room() < room) {
			return false
		}
	}
	return true
}

// pairs lists those with links of their own by name.
func (l Links) pairs() []Pair {
	return slices.SortedFunc(maps.Keys(l.Pairs), func(p, q Pair) int { return cmp.Compare(p.String(), q.String()) })
}

// Validate joins all faults of l as the links of regions.
func (l Links) Validate(regions []string) error {
	faults := []error{l.Default.Validate()}
	for _, p := range l.pairs() {
		if !slices.Contains(regions, p.a) || !slices.Contains(regions, p.b) {
			faults = append(faults, fmt.Errorf("link %v: there is no such pair of regions", p))
		}
		if err := l.Pairs[p].Validate(); err != nil {
			faults = append(faults, fmt.Errorf("link %v: %w", p, err))
		}
	}
	return errors.Join(faults...)
}

// Own lists the links of pairs by name, each as ParsePair reads it.
func (l Links) Own() []string {
	var all []string
	for _, p := range l.pairs() {
		all = append(all, p.String()+"="+l.Pairs[p].String())
	}
	return all
}

// String is the default link and those of pairs.
func (l Links) String() string {
	return strings.Join(append([]string{l.Default.String()}, l.Own()...), " ")
}

// ParseLinks reads the links of pairs, each as ParsePair does, beside the default one.
func ParseLinks(other Link, pairs, regions []string) (Links, error) {
	l := Links{Default: other, Pairs: make(map[Pair]Link, len(pairs))}
	var faults []error
	for _, s := range pairs {
		pair, link, err := ParsePair(s, regions)
		if _, twice := l.Pairs[pair]; twice && err == nil {
			err = fmt.Errorf("link %v is given twice", pair)
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		l.Pairs[pair] = link
	}
	return l, errors.Join(faults...)
}

// ParsePair reads A-B=LINK, such as eu-us=50mbit/120ms/1%, for two of regions. Their
// names may hold a - themselves.
func ParsePair(s string, regions []string) (Pair, Link, error) {
	names, text, ok := strings.Cut(s, "=")
	if !ok {
		return Pair{}, Link{}, fmt.Errorf("link %q: want A-B=RATE/RTT[/LOSS[/QUEUE]], such as eu-us=50mbit/120ms/1%%", s)
	}
	pair, errPair := parseNames(names, regions)
	link, errLink := ParseLink(text)
	return pair, link, errors.Join(errPair, errLink)
}

// parseNames reads A-B. Each - may be the one between the two; the one that has a
// region on both its sides is.
func parseNames(s string, regions []string) (Pair, error) {
	var found []Pair
	for i := range len(s) {
		if a, b := s[:i], s[min(i+1, len(s)):]; s[i] == '-' && a != b && slices.Contains(regions, a) && slices.Contains(regions, b) {
			found = append(found, Between(a, b))
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return Pair{}, fmt.Errorf("link of %q: may be between %q and %q or between %q and %q: rename a region",
			s, found[0].a, found[0].b, found[1].a, found[1].b)
	case len(regions) < 2:
		return Pair{}, fmt.Errorf("link of %q: links join two regions, and there is %d", s, len(regions))
	}
	did := ""
	if near := nearest(s, regions); near != "" {
		did = ", did you mean " + near + "?"
	}
	return Pair{}, fmt.Errorf("link of %q: want two different regions with a - between them; there are %s%s", s, shortened(regions), did)
}

// shortened lists names, the first ones if there are many.
func shortened(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// nearest is the pair of regions that s may be a slip of, empty if there is none.
func nearest(s string, regions []string) string {
	for _, a := range regions {
		for _, b := range regions {
			if name := a + "-" + b; a != b && slip(strings.ToLower(s), name) {
				return name
			}
		}
	}
	return ""
}

// slip reports that a and b differ by no more than one letter that was put in, left
// out or replaced, or by two that were swapped.
func slip(a, b string) bool {
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return len(a) <= 1 && len(b) <= 1 || len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
}
