package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pare-search/pare/eval/stats"
)

// plot is a chart of points in a plane, ready for the template: all lengths are in
// the units of its view box.
type plot struct {
	Title, Summary                   string // a heading, and what the chart shows for those who cannot see it
	XLabel, YLabel                   string
	Width, Height                    float64
	Left, Right, Top, Bottom, Middle float64 // of the area of the points; Middle is its horizontal middle
	XTicks, YTicks                   []tick
	Band                             *band // the margin
	Rules                            []rule
	Lines                            []line
	Points                           []point
	Labels                           []label

	x, y scale
}

type tick struct {
	At    float64
	Value float64
	Text  string
}

// band is the part of the area between two values of y.
type band struct{ Top, Height float64 }

// rule is a horizontal line at a value.
type rule struct {
	At   float64
	Text string
}

// line joins points; Colour is the number of a colour of the style sheet.
type line struct {
	Colour int
	Class  string
	Path   string
}

// point is a setting in a plot.
type point struct {
	X, Y         float64
	XValue       float64
	YValue       float64
	Path         string // its shape
	Class        string
	Colour       int
	Href, Letter string
	Title        string

	row   *row
	front bool
}

type label struct {
	X, Y   float64
	Text   string
	Anchor string
	Class  string
	Colour int
}

// The size of a plot, and the room for its axes.
const (
	plotWidth, plotHeight = 460, 330
	plotLeft, plotBottom  = 54, 46
	plotTop, plotRight    = 14, 14
)

// newPlot lays out axes that hold all values; room is what the right side keeps for
// labels.
func newPlot(title, xLabel, yLabel string, x, y scale, room float64) *plot {
	p := &plot{
		Title: title, XLabel: xLabel, YLabel: yLabel, Width: plotWidth, Height: plotHeight,
		Left: plotLeft, Right: plotWidth - plotRight - room, Top: plotTop, Bottom: plotHeight - plotBottom, x: x, y: y,
	}
	p.Middle = (p.Left + p.Right) / 2
	for i, text := range tickTexts(x.ticks) {
		p.XTicks = append(p.XTicks, tick{p.atX(x.ticks[i]), x.ticks[i], text})
	}
	p.layY()
	return p
}

// layY lays out the vertical axis.
func (p *plot) layY() {
	p.YTicks = nil
	for i, text := range tickTexts(p.y.ticks) {
		p.YTicks = append(p.YTicks, tick{p.atY(p.y.ticks[i]), p.y.ticks[i], text})
	}
}

func (p *plot) atX(v float64) float64 { return round(p.Left + p.x.at(v)*(p.Right-p.Left)) }
func (p *plot) atY(v float64) float64 { return round(p.Bottom - p.y.at(v)*(p.Bottom-p.Top)) }

// round keeps the text of an SVG short.
func round(x float64) float64 { return math.Round(x*10) / 10 }

// addBand shades what lies between two values, as far as it is in the plot.
func (p *plot) addBand(from, to float64) {
	top, bottom := max(p.atY(to), p.Top), min(p.atY(from), p.Bottom)
	if bottom > top {
		p.Band = &band{top, round(bottom - top)}
	}
}

func (p *plot) addRule(value float64, text string) {
	if at := p.atY(value); at >= p.Top && at <= p.Bottom {
		p.Rules = append(p.Rules, rule{at, text})
	}
}

// path joins places by straight lines, or by steps that go right first.
func path(places [][2]float64, steps bool) string {
	var b strings.Builder
	for i, at := range places {
		switch {
		case i == 0:
			fmt.Fprintf(&b, "M%g %g", at[0], at[1])
		case steps:
			fmt.Fprintf(&b, "H%gV%g", at[0], at[1])
		default:
			fmt.Fprintf(&b, "L%g %g", at[0], at[1])
		}
	}
	return b.String()
}

// shape draws the sign of a row's verdict around a place: a full circle for
// equivalent, an empty one for undecided, triangles for worse and better, a square
// for the baseline.
func shape(r *row, x, y, size float64) (path, class string) {
	polygon := func(corners ...[2]float64) string {
		var b strings.Builder
		for i, c := range corners {
			fmt.Fprintf(&b, "%c%g %g", "ML"[min(i, 1)], round(x+c[0]*size), round(y+c[1]*size))
		}
		return b.String() + "Z"
	}
	switch {
	case r.Baseline:
		return polygon([2]float64{-1, -1}, [2]float64{1, -1}, [2]float64{1, 1}, [2]float64{-1, 1}), "baseline"
	case r.Verdict == stats.Worse:
		return polygon([2]float64{-1.1, -.9}, [2]float64{1.1, -.9}, [2]float64{0, 1.1}), "worse"
	case r.Verdict == stats.Better:
		return polygon([2]float64{-1.1, .9}, [2]float64{1.1, .9}, [2]float64{0, -1.1}), "better"
	}
	class = "undecided"
	if r.Verdict == stats.Equivalent {
		class = "equivalent"
	}
	return fmt.Sprintf("M%g %ga%g %g 0 1 0 %g 0a%g %g 0 1 0 %g 0Z", round(x-size), y, size, size, 2*size, size, size, -2*size), class
}

// addPoint adds a row at its values.
func (p *plot) addPoint(c *collection, r *row, x, y float64, colour int, faint bool) {
	at := point{X: p.atX(x), Y: p.atY(y), XValue: x, YValue: y, Colour: colour, Href: c.anchor(r), Letter: r.Letter, row: r, front: !faint}
	at.Path, at.Class = shape(r, at.X, at.Y, 4.2)
	if faint {
		at.Class += " faint"
	}
	at.Title = fmt.Sprintf("%s, %s: %s %s, %s %s", r.Letter, r.Name, short(x), p.XLabel, yText(y), p.YLabel)
	if !r.Baseline {
		at.Title += ", " + verdictWord(r)
	}
	p.Points = append(p.Points, at)
}

func yText(y float64) string { return fmt.Sprintf("%.3f", y) }

// box is an area that nothing else may cover.
type box struct{ left, top, right, bottom float64 }

func (b box) overlaps(o box) bool {
	return b.left < o.right && o.left < b.right && b.top < o.bottom && o.top < b.bottom
}

// The size of letters in a plot.
const (
	letterHeight   = 10.0
	letterAdvance  = 7.5
	pointClearance = 4.5
)

// letterPoints puts the letters of points beside them where there is room: first
// those that matter most. A letter without room is left out; the point still links
// to its row.
func (p *plot) letterPoints() {
	var taken []box
	for _, at := range p.Points {
		taken = append(taken, box{at.X - pointClearance, at.Y - pointClearance, at.X + pointClearance, at.Y + pointClearance})
	}
	for _, l := range p.Labels {
		taken = append(taken, l.box())
	}
	order := slices.Clone(p.Points)
	rank := func(at point) int {
		switch {
		case at.row.Baseline:
			return 0
		case at.front:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(order, func(a, b point) int { return cmp.Compare(rank(a), rank(b)) })
	area := box{p.Left, p.Top - 8, p.Right + 10, p.Bottom}
	for _, at := range order {
		for _, try := range []struct {
			dx, dy float64
			anchor string
		}{
			{6.5, 3.5, "start"},
			{0, -7, "middle"},
			{0, 14.5, "middle"},
			{-6.5, 3.5, "end"},
			{5, -5, "start"},
			{5, 12, "start"},
			{-5, -5, "end"},
			{-5, 12, "end"},
		} {
			l := label{X: round(at.X + try.dx), Y: round(at.Y + try.dy), Text: at.Letter, Anchor: try.anchor, Class: "letter"}
			if strings.Contains(at.Class, "faint") {
				l.Class += " faint"
			}
			space := l.box()
			if space.left < area.left || space.right > area.right || space.top < area.top || space.bottom > area.bottom ||
				slices.ContainsFunc(taken, func(b box) bool { return b.overlaps(space) }) {
				continue
			}
			taken = append(taken, space)
			p.Labels = append(p.Labels, l)
			break
		}
	}
}

// box is the area that a label covers.
func (l label) box() box {
	width := letterAdvance * float64(len([]rune(l.Text)))
	left := l.X
	switch l.Anchor {
	case "middle":
		left -= width / 2
	case "end":
		left -= width
	}
	return box{left, l.Y - letterHeight, left + width, l.Y + 1}
}

// labelEnds puts the names of lines to the right of the plot, each as near to the
// end of its line as the others allow.
func (p *plot) labelEnds(names []label) {
	const spacing = 13.0
	slices.SortStableFunc(names, func(a, b label) int { return cmp.Compare(a.Y, b.Y) })
	for i := range names {
		if i > 0 {
			names[i].Y = max(names[i].Y, names[i-1].Y+spacing)
		}
	}
	// What has been pushed out at the bottom pushes the others up.
	floor := p.Bottom
	for i := len(names) - 1; i >= 0; i-- {
		names[i].Y = min(names[i].Y, floor)
		floor = names[i].Y - spacing
	}
	p.Labels = append(p.Labels, names...)
}
