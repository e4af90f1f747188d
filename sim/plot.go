package sim

import (
	"bufio"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// colours tell the methods apart, also for those who see few colours (Okabe and Ito).
var colours = map[Algo]string{
	HALoS: "#d55e00", Async: "#0072b2", DiLoCo: "#009e73", DiLoCoDyn: "#56b4e9", DDP: "#cc79a7", Ideal: "#888888",
}

// The picture, in the units of its viewBox.
const (
	plotWidth, plotHeight = 1120, 460
	panelWidth            = 470
	panelTop, panelBottom = 60, 390
	legendLeft            = 70
	maxName               = 40 // runes
)

// panel is one of the two diagrams: losses over x.
type panel struct {
	left  float64 // of its area
	label string
	x     func(Point) float64
	log   bool // the x axis is logarithmic

	x0, x1, y0, y1 float64 // what the area shows
}

// WriteSVG draws the held-out losses of all runs over virtual time, on a logarithmic
// axis, and beside that over tokens. Where there is no line to draw it fails.
func (r Report) WriteSVG(w io.Writer) error {
	out := bufio.NewWriter(w)
	p := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	p(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="Helvetica, Arial, sans-serif" font-size="14" fill="#222">`, plotWidth, plotHeight)
	p(`<rect width="%d" height="%d" fill="#fff"/>`, plotWidth, plotHeight)
	r.legend(p)
	for _, panel := range []panel{
		{left: 70, label: "virtual time, seconds", x: func(p Point) float64 { return p.Seconds }, log: true},
		{left: 70 + panelWidth + 80, label: "tokens, millions", x: func(p Point) float64 { return float64(p.Tokens) / 1e6 }},
	} {
		if !panel.fit(r) {
			return errors.New("too few measurements to draw, or all the same: raise --evals")
		}
		panel.axes(p)
		panel.lines(p, r)
	}
	p("</svg>")
	return out.Flush()
}

func (r Report) legend(p func(string, ...any)) {
	x, y := legendLeft, 20
	for i, m := range r.Algorithms {
		name := printable(m.Name)
		width := 60 + 8*utf8.RuneCountInString(name)
		if x > legendLeft && x+width > plotWidth {
			x, y = legendLeft, y+20
		}
		p(`<line x1="%d" y1="%d" x2="%d" y2="%d"%s/><text x="%d" y="%d">%s</text>`, x, y, x+28, y, r.stroke(i), x+34, y+5, html.EscapeString(name))
		x += width
	}
}

// printable is a name without what XML cannot hold, and not longer than a line.
func printable(name string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, name))
	if len(runes) > maxName {
		runes = append(runes[:maxName-1], '…')
	}
	return string(runes)
}

// stroke is how the lines of a method are drawn: those of a method's first settings in
// full, others dashed.
func (r Report) stroke(method int) string {
	a, width, dashes := r.Algorithms[method].Algo, 1.8, 0
	if a == HALoS {
		width = 3
	}
	for _, m := range r.Algorithms[:method] {
		if m.Algo == a {
			dashes++
		}
	}
	stroke := fmt.Sprintf(` stroke="%s" stroke-width="%g"`, colours[a], width)
	if dashes > 0 {
		stroke += fmt.Sprintf(` stroke-dasharray="%g %d"`, 12/float64(dashes), 4)
	}
	return stroke
}

// shown are the points of a curve that are drawn: the first, before any training, is
// far above all others and has no place on a logarithmic axis.
func shown(r Result) []Point {
	if len(r.Curve) < 3 {
		return nil
	}
	return r.Curve[1:]
}

// tellApart is the share by which the ends of an axis must differ.
const tellApart = 1e-6

// fit makes the axes hold all curves but the steep beginnings of some; it is false if
// there are none.
func (a *panel) fit(r Report) bool {
	a.x0, a.x1, a.y0, a.y1 = math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, m := range r.Algorithms {
		for _, run := range m.Runs.Runs {
			for i, point := range shown(run) {
				a.x0, a.x1 = min(a.x0, a.x(point)), max(a.x1, a.x(point))
				a.y0 = min(a.y0, point.Loss)
				if i == 1 {
					a.y1 = max(a.y1, point.Loss)
				}
			}
		}
	}
	if !(a.x0 > 0 && a.x1 > a.x0*(1+tellApart) && a.y1 > a.y0*(1+tellApart)) {
		return false
	}
	if !a.log {
		a.x0 = 0
	}
	a.y0 -= 0.03 * (a.y1 - a.y0)
	return true
}

// at places a point.
func (a *panel) at(x, y float64) (float64, float64) {
	share := (x - a.x0) / (a.x1 - a.x0)
	if a.log {
		share = math.Log(x/a.x0) / math.Log(a.x1/a.x0)
	}
	return a.left + panelWidth*share, panelBottom - (panelBottom-panelTop)*(y-a.y0)/(a.y1-a.y0)
}

func (a *panel) axes(p func(string, ...any)) {
	for _, y := range ticks(a.y0, a.y1) {
		_, py := a.at(a.x0, y)
		p(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
			a.left, py, a.left+panelWidth, py, a.left-8, py+5, number(y))
	}
	marks := ticks(a.x0, a.x1)
	if a.log {
		marks = decades(a.x0, a.x1)
	}
	for _, x := range marks {
		px, _ := a.at(x, a.y0)
		p(`<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`,
			px, panelTop, px, panelBottom, px, panelBottom+20, number(x))
	}
	p(`<path d="M%.1f %dV%dh%d" fill="none" stroke="#222"/>`, a.left, panelTop, panelBottom, panelWidth)
	p(`<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, a.left+panelWidth/2, panelBottom+48, a.label)
	p(`<text transform="translate(%.1f %d) rotate(-90)" text-anchor="middle">held-out loss, nats per token</text>`, a.left-48, (panelTop+panelBottom)/2)
}

// lines draws the curves, the first method's on top.
func (a *panel) lines(p func(string, ...any), r Report) {
	p(`<clipPath id="area%.0f"><rect x="%.1f" y="%d" width="%d" height="%d"/></clipPath><g clip-path="url(#area%.0f)" fill="none" stroke-linejoin="round">`,
		a.left, a.left, panelTop, panelWidth+2, panelBottom-panelTop, a.left)
	for i := range r.Algorithms {
		method := len(r.Algorithms) - 1 - i
		for _, run := range r.Algorithms[method].Runs.Runs {
			path := ""
			for _, point := range shown(run) {
				x, y := a.at(a.x(point), point.Loss)
				path += fmt.Sprintf(" %.1f,%.1f", x, y)
			}
			if path != "" {
				p(`<polyline points="%s"%s/>`, path[1:], r.stroke(method))
			}
		}
	}
	p("</g>")
}

// ticks are round numbers from lo to hi, about five.
func ticks(lo, hi float64) []float64 {
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/4)))
	for _, f := range []float64{5, 2} {
		if (hi-lo)/(f*step) >= 4 {
			step *= f
			break
		}
	}
	var at []float64
	for i := math.Ceil(lo / step); i*step <= hi; i++ {
		at = append(at, i*step)
	}
	return at
}

// decades are the powers of ten from lo to hi, and where these are few 2 and 5 times
// them.
func decades(lo, hi float64) []float64 {
	factors := []float64{1}
	if hi/lo < 1e3 {
		factors = []float64{1, 2, 5}
	}
	var at []float64
	for unit := math.Pow(10, math.Floor(math.Log10(lo))); unit <= hi; unit *= 10 {
		for _, f := range factors {
			if x := f * unit; lo <= x && x <= hi {
				at = append(at, x)
			}
		}
	}
	return at
}

// number prints a tick without the rounding of its last digits.
func number(x float64) string {
	return strconv.FormatFloat(math.Round(x*1e6)/1e6, 'f', -1, 64)
}
