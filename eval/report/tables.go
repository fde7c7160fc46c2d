package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/eval/stats"
	"github.com/pare-search/pare/eval/tablebench"
)

//go:embed tables.gohtml
var tablesPage string

var tablesTemplate = template.Must(template.Must(pageTemplate.Clone()).Funcs(template.FuncMap{
	"figure": func(x float64) string { return fmt.Sprintf("%.4f", x) },
}).New("tables").Parse(tablesPage))

// tablesView is what the page of compressed embedding matrices shows.
type tablesView struct {
	Styles                              template.CSS
	Title, Claim, Measure, Margin, None string
	Report                              *tablebench.Report
	Method                              Method
	Factors                             []string
	Lines                               []verdictLine // a line for each method
	Best                                *plot         // methods that are best at a budget
	Plots                               []*plot       // one for each method
	Fields                              []string
	Details                             []tableDetail // a line for each table
	Known                               []table.Method
}

// WordOf is the word for a verdict's sign.
func (tablesView) WordOf(sign stats.Verdict) string { return wordOf(sign) }

type verdictLine struct {
	Letter, Name string
	Cells        []verdictCell
}

// verdictCell is what is left with a table; Sign is nil where there is none.
type verdictCell struct {
	Text, Href, Title string
	Sign              *stats.Verdict
	Best              bool
}

type tableDetail struct {
	ID, Letter, Name string
	Cells            []string
	Sign             *stats.Verdict
}

// compressor is a method with its tables, largest first.
type compressor struct {
	name, letter string
	rows         []tablebench.Row
	ids          []string // of the rows in the page
}

// WriteTables writes a comparison of compressed embedding matrices as one page that
// needs nothing else: no script, no font, no image. It is UTF-8. Of method it shows
// the command, the version and the machine.
func WriteTables(w io.Writer, r *tablebench.Report, method Method) error {
	v := tablesView{
		Styles: template.CSS(styles), Measure: r.Measures[0], Margin: percentOf(r.Margin), None: noValue,
		Report: r, Method: method, Known: table.Methods(),
	}
	var names []string
	for _, q := range r.Baseline {
		names = append(names, q.Collection)
	}
	v.Title = "Compressed embedding matrices on " + strings.Join(names, " and ")
	all, factors := compressors(r)
	for _, f := range factors {
		v.Factors = append(v.Factors, table.FormatFactor(f))
	}
	best := bestRows(r)
	for _, c := range all {
		v.Lines = append(v.Lines, c.verdicts(factors, best))
		v.Details = append(v.Details, c.details(r)...)
	}
	v.Fields = tableFields(r)
	v.Claim = tablesClaim(r, factors, best)
	v.Best, v.Plots = tablePlots(r, all, best)
	var b bytes.Buffer
	if err := tablesTemplate.ExecuteTemplate(&b, "tables", v); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// compressors returns the methods in the order of the report, and all factors,
// smallest first.
func compressors(r *tablebench.Report) (all []*compressor, factors []float64) {
	for i, row := range r.Tables {
		at := slices.IndexFunc(all, func(c *compressor) bool { return c.name == row.Method })
		if at < 0 {
			at = len(all)
			all = append(all, &compressor{name: row.Method, letter: letter(at)})
		}
		all[at].rows = append(all[at].rows, row)
		all[at].ids = append(all[at].ids, fmt.Sprintf("table-%d", i+1))
		if !slices.Contains(factors, row.Factor) {
			factors = append(factors, row.Factor)
		}
	}
	slices.Sort(factors)
	return all, factors
}

// bestRows returns the table with the largest ratio for each factor.
func bestRows(r *tablebench.Report) map[float64]tablebench.Row {
	best := make(map[float64]tablebench.Row)
	for _, row := range r.Best() {
		best[row.Factor] = row
	}
	return best
}

// tablesClaim says how small a matrix may be.
func tablesClaim(r *tablebench.Report, factors []float64, best map[float64]tablebench.Row) string {
	for _, f := range slices.Backward(factors) {
		for _, row := range append([]tablebench.Row{best[f]}, r.Tables...) { // the best one, else the first
			if row.Factor == f && row.Fault == "" && (row.Verdict == stats.Equivalent || row.Verdict == stats.Better) {
				return fmt.Sprintf("%s times smaller, the embedding matrix keeps %s of %s (%s; 90"+percentSign+" interval %s)",
					strings.TrimSuffix(table.FormatFactor(f), "x"), fmt.Sprintf("%.1f"+percentSign, 100*row.Ratio), r.Measures[0], row.Method, intervalText(row.CI90))
			}
		}
	}
	return "No compressed matrix is shown to be as good within " + percentOf(r.Margin)
}

func intervalText(ci stats.Interval) string {
	text := func(x float64) string {
		if math.IsInf(x, 0) {
			return noValue
		}
		return fmt.Sprintf("%.4f", x)
	}
	return text(ci[0]) + " to " + text(ci[1])
}

func (c *compressor) verdicts(factors []float64, best map[float64]tablebench.Row) verdictLine {
	line := verdictLine{Letter: c.letter, Name: c.name}
	for _, f := range factors {
		at := slices.IndexFunc(c.rows, func(row tablebench.Row) bool { return row.Factor == f })
		if at < 0 {
			line.Cells = append(line.Cells, verdictCell{Text: noValue})
			continue
		}
		row := c.rows[at]
		if row.Fault != "" {
			line.Cells = append(line.Cells, verdictCell{Text: noValue, Href: c.ids[at], Title: row.Fault})
			continue
		}
		line.Cells = append(line.Cells, verdictCell{
			Text: fmt.Sprintf("%.1f"+percentSign, 100*row.Ratio), Href: c.ids[at], Title: intervalText(row.CI90),
			Sign: &row.Verdict, Best: row.Ratio == best[f].Ratio,
		})
	}
	return line
}

// tableFields are the columns of details.
func tableFields(r *tablebench.Report) []string {
	names := []string{"smaller", "bytes", "fit s", "load ms", "row ns", "error"}
	for _, q := range r.Baseline {
		for _, m := range append([]string{"cosine", "overlap@10"}, r.Measures...) {
			if len(r.Baseline) > 1 {
				m = q.Collection + " " + m
			}
			names = append(names, m)
		}
	}
	return append(names, "ratio", "90\u00a0% interval")
}

func (c *compressor) details(r *tablebench.Report) []tableDetail {
	var lines []tableDetail
	for i, row := range c.rows {
		line := tableDetail{ID: c.ids[i], Letter: c.letter, Name: c.name, Cells: []string{table.FormatFactor(row.Factor)}}
		if row.Fault != "" {
			line.Cells = append(line.Cells, slices.Repeat([]string{noValue}, len(tableFields(r))-1)...)
			lines = append(lines, line)
			continue
		}
		line.Sign = &row.Verdict
		line.Cells = append(line.Cells, count(float64(row.Bytes)), fmt.Sprintf("%.1f", row.FitSeconds), fmt.Sprintf("%.2f", 1000*row.LoadSeconds),
			fmt.Sprintf("%.0f", row.LookupNanoseconds), fmt.Sprintf("%.4f", row.Error))
		for _, q := range row.Qualities {
			line.Cells = append(line.Cells, fmt.Sprintf("%.4f", q.Cosine), fmt.Sprintf("%.3f", q.Overlap10))
			for _, m := range r.Measures {
				line.Cells = append(line.Cells, fmt.Sprintf("%.4f", q.Measures[m]))
			}
		}
		line.Cells = append(line.Cells, fmt.Sprintf("%.4f", row.Ratio), intervalText(row.CI90))
		lines = append(lines, line)
	}
	return lines
}

// tablePlots returns a chart of the methods that are best at one of the budgets, and
// one of each method, all with the same axes; nil where there is no table.
func tablePlots(r *tablebench.Report, all []*compressor, best map[float64]tablebench.Row) (*plot, []*plot) {
	var xs []float64
	ys := []float64{1, 1 + r.Margin, 1 - r.Margin}
	for _, row := range r.Tables {
		if row.Fault == "" {
			xs, ys = append(xs, float64(row.Bytes)), append(ys, row.Ratio)
		}
	}
	if len(xs) == 0 {
		return nil, nil
	}
	x, y := logarithmic(xs), linear(ys, 6)
	if lo, hi := limits(xs); lo == hi {
		x = linear(xs, 5)
	}
	// What is best has a chart with higher steps.
	top := []float64{1, 1 + 2*r.Margin, 1 - 2*r.Margin}
	for _, row := range best {
		top = append(top, row.Ratio)
	}
	name := r.Measures[0] + " / uncompressed"
	overview := newPlot("The best at a budget", "bytes", name, x, linear(top, 6), 124)
	overview.addMargin(r.Margin)
	var ends []label
	var winners []string
	for i, c := range all {
		if !slices.ContainsFunc(c.rows, func(row tablebench.Row) bool { return best[row.Factor].Method == c.name }) {
			continue
		}
		colour := i%colours + 1
		if last, ok := overview.addCompressor(c, colour); ok {
			ends = append(ends, label{X: overview.Right + 8, Y: last + 4, Text: c.letter + " " + clip(c.name, 16), Anchor: "start", Class: "series", Colour: colour})
			winners = append(winners, c.name)
		}
	}
	overview.labelEnds(ends)
	overview.letterPoints()
	overview.Summary = fmt.Sprintf("%s against bytes of %s, each of which is the best at a budget.", name, strings.Join(winners, ", "))

	var plots []*plot
	for i, c := range all {
		p := newPlot(c.letter+" "+c.name, "bytes", name, x, y, 0)
		p.addMargin(r.Margin)
		p.Lines = append(p.Lines, line{Class: "front mixed", Path: p.bestPath(best)})
		if _, ok := p.addCompressor(c, i%colours+1); ok {
			p.Summary = fmt.Sprintf("%s against bytes of %s, and of the best of all methods.", name, c.name)
			plots = append(plots, p)
		}
	}
	return overview, plots
}

func (p *plot) addMargin(margin float64) {
	p.addBand(1-margin, 1+margin)
	p.addRule(1, "")
}

// bestPath joins the best tables of all budgets.
func (p *plot) bestPath(best map[float64]tablebench.Row) string {
	var places [][2]float64
	for _, row := range slices.SortedFunc(maps.Values(best), func(a, b tablebench.Row) int { return cmp.Compare(a.Bytes, b.Bytes) }) {
		places = append(places, [2]float64{p.atX(float64(row.Bytes)), p.atY(row.Ratio)})
	}
	return path(places, false)
}

// addCompressor adds a method's tables with their intervals, as far as they are in
// the plot, and returns the height of the one with the most bytes.
func (p *plot) addCompressor(c *compressor, colour int) (last float64, ok bool) {
	var places [][2]float64
	most := 0
	for i, r := range c.rows {
		if r.Fault != "" || r.Ratio < p.y.lo {
			continue
		}
		at := point{
			X: p.atX(float64(r.Bytes)), Y: p.atY(r.Ratio), XValue: float64(r.Bytes), YValue: r.Ratio, Colour: colour,
			Href: c.ids[i], Letter: c.letter, row: &row{Result: &Result{}, Verdict: r.Verdict}, front: true,
		}
		at.Path, at.Class = shape(at.row, at.X, at.Y, 4.2)
		at.Title = fmt.Sprintf("%s %s: %s bytes, ratio %.4f (%s), %s", c.name, table.FormatFactor(r.Factor), count(float64(r.Bytes)), r.Ratio,
			intervalText(r.CI90), wordOf(r.Verdict))
		p.Points = append(p.Points, at)
		inside := func(v float64) float64 { return min(max(p.atY(min(v, p.y.hi)), p.Top), p.Bottom) }
		p.Lines = append(p.Lines, line{Colour: colour, Class: "curve", Path: fmt.Sprintf("M%g %gV%g", at.X, inside(r.CI90[0]), inside(r.CI90[1]))})
		places = append(places, [2]float64{at.X, at.Y})
		if r.Bytes > most {
			most, last = r.Bytes, at.Y
		}
	}
	if len(places) == 0 {
		return 0, false
	}
	slices.SortFunc(places, func(a, b [2]float64) int { return cmp.Compare(a[0], b[0]) })
	p.Lines = append(p.Lines, line{Colour: colour, Class: "curve", Path: path(places, false)})
	return last, true
}
