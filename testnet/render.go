package testnet

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// lines renders s for a screen of that width and height: the bar, the whole job, a
// table of its regions, the deltas. No line is longer than width, and the block is
// never higher than height, or it could not be redrawn in place.
func (s state) lines(width, height int) []string {
	const others = 4 // lines that are no region's
	out := []string{s.bar(width), s.overall(), tableHead}
	shown := s.regions
	if room := max(1, height-others-1); len(shown) > room {
		shown = shown[:room-1]
	}
	for _, r := range shown {
		out = append(out, r.row(s.workers))
	}
	if more := len(s.regions) - len(shown); more > 0 {
		out = append(out, fmt.Sprintf("and %d more regions", more))
	}
	out = append(out, s.deltas.String())
	for i := range out {
		out[i] = cut(out[i], width)
	}
	return out[:min(len(out), max(1, height-1))]
}

// tableRow fits 80 columns. The versions are those of the regional model and of
// the global one in it; staleness is the mean and, in brackets, the maximum.
const tableRow = "%-6s %7s %7s %8s %6s %6s %6s %9s %8s %8s"

var tableHead = fmt.Sprintf(tableRow, "region", "workers", "steps", "tokens/s", "loss", "local", "global", "staleness", "WAN", "LAN")

func (r regionState) row(workers int) string {
	return fmt.Sprintf(tableRow, r.name, fmt.Sprintf("%d/%d", r.workers, workers),
		strconv.FormatUint(r.steps, 10), count(r.rate), loss(r.loss),
		fmt.Sprintf("v%d", r.version), fmt.Sprintf("v%d", r.global),
		fmt.Sprintf("%.1f (%d)", r.staleMean, r.staleMax), size(r.wan), size(r.lan))
}

// plain renders s for a file: a line for the job and one for every region, which
// make sense by themselves.
func (s state) plain() []string {
	at := fmt.Sprintf("[%4.0fs] ", s.elapsed.Seconds())
	out := []string{fmt.Sprintf("%s%s: %s; %s", at, s.phase, s.overall(), s.deltas)}
	for _, r := range s.regions {
		out = append(out, fmt.Sprintf("%s%s: %d/%d workers, %d steps, %s tokens/s, loss %s, v%d, global v%d, staleness %.1f max %d, wan %s, lan %s",
			at, r.name, r.workers, s.workers, r.steps, count(r.rate), loss(r.loss), r.version, r.global,
			r.staleMean, r.staleMax, size(r.wan), size(r.lan)))
	}
	return out
}

// bar draws how much of the duration is over.
func (s state) bar(width int) string {
	text := fmt.Sprintf(" %s  %s", seconds(s.elapsed), s.phase)
	if s.duration == 0 {
		return text[1:]
	}
	text = fmt.Sprintf(" %s of %s  %s", seconds(s.elapsed), seconds(s.duration), s.phase)
	cells := min(40, width-len(text)-2)
	if cells < 5 {
		return text[1:]
	}
	full := int(float64(cells) * min(1, float64(s.elapsed)/float64(s.duration)))
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", cells-full) + "]" + text
}

func (s state) overall() string {
	first := ""
	if s.firstLoss != s.loss && !math.IsNaN(s.loss) {
		first = loss(s.firstLoss) + " -> "
	}
	return fmt.Sprintf("val loss %s%s, global v%d, %s tokens, %s/s, blocked %.1f %%",
		first, loss(s.loss), s.version, count(float64(s.tokens)), count(s.rate), 100*s.blocked)
}

func (d Deltas) String() string {
	return fmt.Sprintf("deltas %d sent, %d applied, %d in outbox, %d refused, %d lost, %d duplicated",
		d.Sent, d.Applied, d.InOutbox, d.Refused, d.Lost, d.Duplicated)
}

// lines renders the summary that ends a run.
func (r Result) lines() []string {
	out := []string{
		fmt.Sprintf("job %s: %d workers in %d regions, %.1f s", r.Job, r.Workers, r.Regions, r.WallSeconds),
		fmt.Sprintf("  validation loss  %s -> %s nats per token", optional(r.ValLossStart, "%.3f"), optional(r.ValLoss, "%.3f")),
		fmt.Sprintf("  first loss       %s s after the start", optional(r.FirstLossSeconds, "%.1f")),
		fmt.Sprintf("  tokens           %s, %s/s, workers blocked %.1f %% of their time", count(float64(r.Tokens)), count(r.TokensPerSecond), 100*r.Blocked),
		fmt.Sprintf("  global version   %d", r.GlobalVersion),
		fmt.Sprintf("  %s", strings.Replace(r.Deltas.String(), "deltas ", "deltas           ", 1)),
		fmt.Sprintf("  bytes            wan %s, lan %s; deltas over topics %s, inside processes %s",
			size(r.Bytes.WAN), size(r.Bytes.LAN), size(r.Bytes.Topic), size(r.Bytes.Local)),
	}
	if r.Checkpoint != "" {
		out = append(out,
			"  checkpoint       "+r.Checkpoint,
			fmt.Sprintf("  try              halos generate --checkpoint %s -p \"It is a truth\" -n 200", r.Checkpoint))
	}
	return out
}

// cut shortens a line to width columns. All that is drawn is ASCII.
func cut(line string, width int) string { return line[:min(len(line), max(0, width))] }

// loss is a loss in nats, a dash for NaN.
func loss(x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return strconv.FormatFloat(x, 'f', 3, 64)
}

func optional(x *float64, format string) string {
	if x == nil {
		return "-"
	}
	return fmt.Sprintf(format, *x)
}

// count is a whole number in groups of three digits: 1,234,567.
func count(x float64) string {
	s := strconv.FormatFloat(x, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size is a number of bytes with three significant digits: 12.3 MB.
func size(n uint64) string {
	x, units := float64(n), []string{"B", "kB", "MB", "GB", "TB", "PB"}
	for len(units) > 1 && x >= 999.5 {
		x, units = x/1000, units[1:]
	}
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	digits := 0
	for limit := 99.95; digits < 2 && x < limit; limit /= 10 {
		digits++
	}
	return fmt.Sprintf("%.*f %s", digits, x, units[0])
}

func seconds(d time.Duration) string { return d.Round(time.Second).String() }
