package testnet

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// How often the progress is shown.
const (
	redrawEvery = time.Second     // in place, on a terminal
	printEvery  = 5 * time.Second // as further lines
)

// display shows the progress of a run: on a terminal as a block that is redrawn in
// place, elsewhere as lines. It is used by one goroutine. What w fails to take is
// not worth ending a job for.
type display struct {
	w      io.Writer
	screen func() (width, height int, terminal bool) // asked each time: windows are resized

	drawn int       // lines of the block on the screen
	next  time.Time // no progress is shown before
}

func newDisplay(w io.Writer) *display {
	return &display{w: w, screen: func() (int, int, bool) { return Screen(w) }}
}

// progress shows s if it is time to; whatever costs time to find out is asked for
// only then.
func (d *display) progress(now time.Time, s func() state) {
	if now.Before(d.next) {
		return
	}
	width, height, terminal := d.screen()
	if !terminal {
		if !d.next.IsZero() { // there is nothing to tell at the start
			d.print(s().plain())
		}
		d.next = now.Add(printEvery)
		return
	}
	d.next = now.Add(redrawEvery)
	block := s().lines(width, height)
	var b strings.Builder
	b.WriteString(d.rewind())
	for _, line := range block {
		b.WriteString(eraseLine + line + "\n") // erased first: behind a full line the cursor is still on its last column
	}
	b.WriteString(eraseBelow)
	d.drawn = len(block)
	_, _ = io.WriteString(d.w, b.String()) // a screen that is gone ends no run
}

// Control sequences of ECMA-48.
const (
	eraseLine  = "\x1b[K" // from the cursor to the end of the line
	eraseBelow = "\x1b[J" // from the cursor to the end of the screen
)

// rewind moves the cursor to the first line of the block.
func (d *display) rewind() string {
	if d.drawn == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\r", d.drawn)
}

// note prints lines that stay, above the block. The block comes back with the next
// progress, at once.
func (d *display) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	d.print(strings.Split(strings.TrimRight(text, "\n"), "\n"))
}

// summary ends the display: the last block stays above it.
func (d *display) summary(r Result) {
	d.drawn = 0
	d.print(r.lines())
}

// print replaces the block by lines that stay.
func (d *display) print(lines []string) {
	text := strings.Join(lines, "\n") + "\n"
	if d.drawn > 0 {
		text = d.rewind() + eraseBelow + text
		d.drawn, d.next = 0, time.Time{}
	}
	_, _ = io.WriteString(d.w, text) // as above
}
