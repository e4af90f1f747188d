package testnet

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// begin lets a fault befall its member or link. A member that is not there, since it
// has just been killed, is about to be started again or has ended with the job, is
// spared.
func (h *chaos) begin(f fault, now time.Time) {
	var p *process
	if f.kind != faultCut {
		p = h.processes[f.member]
	}
	if there := p != nil && !p.ended && !p.killed; !there && (f.kind != faultJoin && f.kind != faultCut) {
		return
	}
	h.done[f.kind]++
	switch f.kind {
	case faultKill, faultOutage:
		p.killed = true
		p.kill()
	case faultPause:
		p.pause()
		h.starts = slices.DeleteFunc(h.starts, func(s restart) bool { return s.process == p }) // it will not show how long a start takes
	case faultCut:
		h.setLink(f.regions, orderCut)
	}
	if f.kind == faultOutage {
		h.outage.from = now
	}
	h.display.note("%6.1fs %s", now.Sub(h.began).Seconds(), h.describe(f))
	h.running = append(h.running, f)
}

// describe says what befalls whom and for how long.
func (h *chaos) describe(f fault) string {
	whom := h.members[f.member].name
	if f.kind == faultCut {
		whom = regionName(f.regions[0]) + "-" + regionName(f.regions[1])
	}
	if f.kind == faultJoin {
		return "join " + whom
	}
	return fmt.Sprintf("%v %s for %.1fs", f.kind, whom, (f.till - f.at).Seconds())
}

// setLink carries out an order about the link between two regions, or passes it to
// the processes at both of its ends where they emulate it.
func (h *chaos) setLink(regions [2]int, order string) {
	a, b := regionName(regions[0]), regionName(regions[1])
	switch {
	case h.wan != nil && order == orderCut:
		h.wan.Cut(a, b)
	case h.wan != nil:
		h.wan.Mend(a, b)
	default:
		for _, p := range h.processes {
			if p != nil && !p.ended {
				p.orderLink(order, regions)
			}
		}
	}
}

// orderLink tells p of a link between two regions, if it is at an end of it.
func (p *process) orderLink(order string, regions [2]int) {
	switch p.region {
	case regions[0]:
		p.order(order, regions[1])
	case regions[1]:
		p.order(order, regions[0])
	}
}

// endDue ends the faults whose time is over and starts again who has died, once the
// system has taken the old process away.
func (h *chaos) endDue(now time.Time) error {
	var left []fault
	for _, f := range h.running {
		over, err := false, error(nil)
		if now.Sub(h.began) >= f.till {
			over, err = h.mend(f, now)
		}
		if err != nil {
			return err
		}
		if !over {
			left = append(left, f)
		}
	}
	h.running = left
	for member, at := range h.revive {
		if now.After(at) {
			delete(h.revive, member)
			if err := h.startAgain(member, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// mend ends one fault; false is not yet.
func (h *chaos) mend(f fault, now time.Time) (bool, error) {
	switch f.kind {
	case faultPause:
		h.processes[f.member].resume()
	case faultCut:
		h.setLink(f.regions, orderMend)
	case faultKill, faultOutage:
		if !h.processes[f.member].ended {
			return false, nil
		}
		if f.kind == faultOutage {
			h.outage.till = now
		}
		return true, h.startAgain(f.member, now)
	case faultJoin:
		return true, h.startAgain(f.member, now)
	}
	return true, nil
}

// startAgain starts a member, for the first time if it joins late.
func (h *chaos) startAgain(member int, now time.Time) error {
	again := h.processes[member] != nil
	p, err := h.start(member, h.contact(h.members[member]))
	if err != nil {
		return err
	}
	for _, f := range h.running {
		if f.kind == faultCut && h.wan == nil {
			p.orderLink(orderCut, f.regions)
		}
	}
	if again {
		h.starts = append(h.starts, restart{p, now})
	}
	return nil
}

// checkProcesses follows the starts, sends those to try again that found nobody to
// join, and fails if one has ended by a fault of its own or does not come up.
func (h *chaos) checkProcesses(now time.Time) error {
	h.starts = slices.DeleteFunc(h.starts, func(s restart) bool {
		if s.process.up() {
			h.restarts[s.process.role] = append(h.restarts[s.process.role], s.process.journal.began.Sub(s.at))
		}
		return s.process.up() || s.process.ended
	})
	for i, p := range h.processes {
		var exit *ExitError
		switch {
		case p == nil || p.fault == nil && (p.ended || p.up() || h.down(i)):
		case p.fault == nil && now.After(h.limits[p]):
			return fmt.Errorf("%s does not listen after %v; it last printed %q (log %s)",
				p.name, h.config.startLimit, strings.Join(p.lastLines(1), ""), p.log())
		case errors.As(p.fault, &exit) && exit.Code == unreachable && !p.killed:
			p.killed, p.fault = true, nil
			h.revive[i] = now.Add(reviveAfter)
		case p.fault != nil:
			return p.fault
		}
	}
	return nil
}

// down reports that a fault keeps a member from doing anything.
func (h *chaos) down(member int) bool {
	return slices.ContainsFunc(h.running, func(f fault) bool { return f.kind != faultCut && f.member == member })
}
