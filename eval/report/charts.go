package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// forest is the differences of all settings to the baseline with their intervals,
// on one scale in percent of the baseline. Its places are in percent of the width.
type forest struct {
	Ticks          []tick
	BandAt, BandIs float64 // left edge and width of the margin
	Zero           float64
	Groups         []forestGroup
}

type forestGroup struct {
	Series string
	Lines  []forestLine
}

type forestLine struct {
	*row
	Class, Word, Text  string
	At                 float64 // of the difference
	From, Length       float64 // of the interval of this setting alone
	WideFrom, WideIs   float64 // of the interval at the corrected level
	CutLeft, CutRight  bool    // the interval goes on beyond the scale
	Outside            bool    // and the difference itself is beyond it
	Value, Low, High   float64 // in percent of the baseline
	Href, Title, Delta string
}

// forestReach is how many margins to either side the forest shows at least and at
// most.
const forestLeast, forestMost = 2.5, 10.0

func (c *collection) forest() forest {
	margin := 1.0
	ends := []float64{0}
	for _, r := range c.rows[1:] {
		if m := 100 * r.relative(r.comparison.Margin); m > 0 {
			margin = m
		}
		ends = append(ends, 100*math.Abs(r.relative(r.wide[0])), 100*math.Abs(r.relative(r.wide[1])))
	}
	// A few very bad settings must not squeeze all others.
	reach := min(max(1.1*quantile(ends, 0.9), forestLeast*margin), forestMost*margin)
	s := linear([]float64{-reach, reach}, 6)
	at := func(x float64) float64 { return round(100 * min(max(s.at(x), 0), 1)) }
	f := forest{BandAt: at(-margin), BandIs: round(at(margin) - at(-margin)), Zero: at(0)}
	for _, t := range s.ticks {
		text := minus(fmt.Sprintf("%+g", t))
		if t == 0 {
			text = "0"
		}
		f.Ticks = append(f.Ticks, tick{at(t), t, text})
	}
	for _, r := range c.rows[1:] {
		value := func(x float64) float64 { return 100 * r.relative(x) }
		low, high := value(r.comparison.CI90[0]), value(r.comparison.CI90[1])
		wideLow, wideHigh := value(r.wide[0]), value(r.wide[1])
		l := forestLine{
			row: r, Word: verdictWord(r), Text: r.Verdict.String(), Href: c.anchor(r),
			Value: value(r.comparison.Delta), Low: wideLow, High: wideHigh,
			At: at(value(r.comparison.Delta)), From: at(low), Length: round(at(high) - at(low)),
			WideFrom: at(wideLow), WideIs: round(at(wideHigh) - at(wideLow)),
			CutLeft: wideLow < s.lo, CutRight: wideHigh > s.hi,
			Outside: value(r.comparison.Delta) < s.lo || value(r.comparison.Delta) > s.hi,
			Delta:   minus(fmt.Sprintf("%+.1f", value(r.comparison.Delta))),
		}
		l.Class = l.Word
		l.Title = fmt.Sprintf("%s: %s, %s %% of unpruned; alone %s to %s %%, corrected %s to %s %%", r.Name, l.Word, l.Delta,
			endText(low), endText(high), endText(wideLow), endText(wideHigh))
		if n := len(f.Groups); n == 0 || f.Groups[n-1].Series != r.Series {
			f.Groups = append(f.Groups, forestGroup{Series: r.Series})
		}
		group := &f.Groups[len(f.Groups)-1]
		group.Lines = append(group.Lines, l)
	}
	return f
}

func endText(x float64) string {
	if math.IsInf(x, 0) {
		return noValue
	}
	return minus(fmt.Sprintf("%+.1f", x))
}

// front marks the rows that are on the front of a cost and the headline measure: no
// other row costs less and is at least as good.
func front(rows []*row, cost func(*row) float64, quality func(*row) float64) map[*row]bool {
	order := slices.Clone(rows)
	slices.SortStableFunc(order, func(a, b *row) int {
		return cmp.Or(cmp.Compare(cost(a), cost(b)), cmp.Compare(quality(b), quality(a)))
	})
	on := make(map[*row]bool)
	best := math.Inf(-1)
	for _, r := range order {
		if quality(r) > best {
			on[r], best = true, quality(r)
		}
	}
	return on
}

// quality is the mean of the headline measure.
func (c *collection) quality(r *row) float64 { return r.means[c.measures[0]] }

// pareto plots the headline measure against a cost on a logarithmic scale.
func (c *collection) pareto(title, costName string, cost func(*row) float64) *plot {
	var rows []*row
	var xs, ys []float64
	for _, r := range c.rows {
		if cost(r) > 0 {
			rows = append(rows, r)
			xs, ys = append(xs, cost(r)), append(ys, c.quality(r))
		}
	}
	if len(rows) < 2 {
		return nil
	}
	margin := c.rows[0].comparison.Margin
	base := c.quality(c.rows[0])
	// What is far below is not worth the height it would take from all others.
	floor := min(base-4*margin, quantile(ys, 0.1))
	for i := range ys {
		ys[i] = max(ys[i], floor)
	}
	p := newPlot(title, costName, c.measures[0], logarithmic(xs), linear(append(ys, base-margin, base+margin), 6), 0)
	p.addBand(base-margin, base+margin)
	p.addRule(base, "unpruned")
	var pure []*row
	for _, r := range rows {
		if r.pure() {
			pure = append(pure, r)
		}
	}
	on, onAll := front(pure, cost, c.quality), front(rows, cost, c.quality)
	hidden := 0
	for _, r := range sortedBy(rows, cost) {
		if c.quality(r) < p.y.lo {
			hidden++
			continue
		}
		p.addPoint(c, r, cost(r), c.quality(r), 0, !on[r] && !onAll[r] && !r.Baseline)
	}
	p.addFront("front mixed", c, onAll, cost)
	p.addFront("front", c, on, cost)
	p.letterPoints()
	var names []string
	for _, r := range sortedBy(rows, cost) {
		if on[r] {
			names = append(names, fmt.Sprintf("%s %s (%s %s, %.3f)", r.Letter, r.Name, short(cost(r)), costName, c.quality(r)))
		}
	}
	p.Summary = fmt.Sprintf("%s against %s. On the front, cheapest first: %s.", c.measures[0], costName, strings.Join(names, "; "))
	if hidden > 0 {
		p.Summary += fmt.Sprintf(" %d settings lie below the chart.", hidden)
	}
	return p
}

// pure tells whether a row is a search by MaxSim alone.
func (r *row) pure() bool { return r.Probed != nil && r.Reach != nil || r.Baseline }

// addFront joins rows by steps.
func (p *plot) addFront(class string, c *collection, on map[*row]bool, cost func(*row) float64) {
	var steps [][2]float64
	for _, r := range sortedBy(slices.Collect(maps.Keys(on)), cost) {
		if c.quality(r) >= p.y.lo {
			steps = append(steps, [2]float64{p.atX(cost(r)), p.atY(c.quality(r))})
		}
	}
	if len(steps) > 0 {
		steps = append(steps, [2]float64{p.Right, steps[len(steps)-1][1]})
		p.Lines = append(p.Lines, line{Class: class, Path: path(steps, true)})
	}
}

func sortedBy(rows []*row, cost func(*row) float64) []*row {
	order := slices.Clone(rows)
	slices.SortStableFunc(order, func(a, b *row) int { return cmp.Compare(cost(a), cost(b)) })
	return order
}

// quantile returns the value below which a share of the values is.
func quantile(values []float64, share float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(share*float64(len(sorted)-1))]
}

// series is the settings that a line joins, by ascending cost.
type series struct {
	name string
	rows []*row
}

// seriesOf returns the series of at least two settings that differ in a cost, of
// those rows that a panel is about.
func (c *collection) seriesOf(about func(*row) bool, cost func(*row) float64) []series {
	var all []series
	for _, r := range c.rows[1:] {
		if !about(r) {
			continue
		}
		i := slices.IndexFunc(all, func(s series) bool { return s.name == r.Series })
		if i < 0 {
			i = len(all)
			all = append(all, series{name: r.Series})
		}
		all[i].rows = append(all[i].rows, r)
	}
	return slices.DeleteFunc(all, func(s series) bool {
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, r := range s.rows {
			lo, hi = min(lo, cost(r)), max(hi, cost(r))
		}
		return len(s.rows) < 2 || hi <= lo*1.02
	})
}

// colours is how many colours the style sheet has for series.
const colours = 10

// curves plots what is left of a quality against a budget, a line per series.
func (c *collection) curves(title, costName, qualityName string, all []series, cost, quality func(*row) float64, band float64) *plot {
	if len(all) == 0 {
		return nil
	}
	var xs, ys []float64
	for _, s := range all {
		for _, r := range s.rows {
			xs, ys = append(xs, cost(r)), append(ys, quality(r))
		}
	}
	floor := min(1-4*band, quantile(ys, 0.08))
	if band == 0 {
		floor, _ = limits(ys)
	}
	for i := range ys {
		ys[i] = max(ys[i], floor)
	}
	x := logarithmic(xs)
	if lo, hi := limits(xs); hi < 3*lo {
		x = linear(xs, 5)
	}
	p := newPlot(title, costName, qualityName, x, linear(append(ys, 1), 6), 92)
	if band > 0 {
		p.addBand(1-band, 1+band)
	}
	p.addRule(1, "")
	var ends []label
	var sums []string
	for i, s := range all {
		colour := i%colours + 1
		var places [][2]float64
		for _, r := range sortedBy(s.rows, cost) {
			if quality(r) < p.y.lo {
				continue
			}
			p.addPoint(c, r, cost(r), quality(r), colour, false)
			places = append(places, [2]float64{p.atX(cost(r)), p.atY(quality(r))})
		}
		if len(places) == 0 {
			continue
		}
		p.Lines = append(p.Lines, line{Colour: colour, Class: "curve", Path: path(places, false)})
		last := places[len(places)-1]
		ends = append(ends, label{X: p.Right + 8, Y: last[1] + 4, Text: clip(s.name, 15), Anchor: "start", Class: "series", Colour: colour})
		sums = append(sums, s.name)
	}
	p.labelEnds(ends)
	p.letterPoints()
	p.Summary = fmt.Sprintf("%s against %s for %s.", qualityName, costName, strings.Join(sums, ", "))
	return p
}

func clip(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// probing tells whether a row's search looks for candidates and scores a few.
func probing(r *row) bool { return r.Reach != nil && !r.Baseline }

// budgetCurves are the panels of budget curves: query, depth, corpus and bits.
func (c *collection) budgetCurves() []*plot {
	margin := c.rows[0].relative(c.rows[0].comparison.Margin)
	measure := c.measures[0] + " / unpruned"
	candidates := candidatesOf
	scored := func(r *row) float64 { return max(r.scored, 0.5) }
	overlap := func(r *row) float64 { return r.overlap }
	ratio := (*row).ratio
	query := c.comparedSeries(candidates)
	depth := c.comparedSeries(scored)
	depth = slices.DeleteFunc(depth, func(s series) bool {
		return slices.ContainsFunc(query, func(q series) bool { return q.name == s.name })
	})
	corpus := c.seriesOf(func(r *row) bool { return r.Index != nil }, func(r *row) float64 { return r.stored })
	bits := c.seriesOf(func(r *row) bool { return r.Index != nil }, func(r *row) float64 { return r.perToken })
	bits = slices.DeleteFunc(bits, func(s series) bool {
		return slices.ContainsFunc(corpus, func(q series) bool { return q.name == s.name })
	})
	panels := []*plot{
		c.curves("Query: documents found", "candidates per query", measure, query, candidates, ratio, margin),
		c.curves("Query: the same by agreement", "candidates per query", "overlap@10", query, candidates, overlap, 0),
		c.curves("Depth: documents scored", "documents scored per query", measure, depth, scored, ratio, margin),
		c.curves("Corpus: vectors stored", "share of vectors stored", measure, corpus, func(r *row) float64 { return r.stored }, ratio, margin),
		c.curves("Corpus: bytes", "bytes per token of the corpus", measure, corpus, func(r *row) float64 { return r.perToken }, ratio, margin),
		c.curves("Bits", "bytes per token of the corpus", measure, bits, func(r *row) float64 { return r.perToken }, ratio, margin),
	}
	return slices.DeleteFunc(panels, func(p *plot) bool { return p == nil })
}

// heat is the headline measure where document pruning meets query pruning.
type heat struct {
	Columns []string
	Rows    []heatRow
}

type heatRow struct {
	Name  string
	Cells []heatCell
}

// heatCell is a setting; its borders are those of the region of settings that may
// take the baseline's place.
type heatCell struct {
	*row
	Text, Class, Sign, Href  string
	Top, Right, Bottom, Left bool
}

// heat returns the heat map, nil where no block of the grid crosses the two.
func (c *collection) heat() *heat {
	h := new(heat)
	place := make(map[[2]string]*row)
	var rows []string
	for _, r := range c.rows {
		if r.Row == "" {
			continue
		}
		if !slices.Contains(h.Columns, r.Column) {
			h.Columns = append(h.Columns, r.Column)
		}
		if !slices.Contains(rows, r.Row) {
			rows = append(rows, r.Row)
		}
		place[[2]string{r.Row, r.Column}] = r
	}
	if len(rows) == 0 {
		return nil
	}
	sortByNumber(h.Columns)
	inside := func(row, column int) bool {
		if row < 0 || column < 0 || row >= len(rows) || column >= len(h.Columns) {
			return false
		}
		r := place[[2]string{rows[row], h.Columns[column]}]
		return r != nil && r.asGood()
	}
	for i, name := range rows {
		line := heatRow{Name: name}
		for j, column := range h.Columns {
			r := place[[2]string{name, column}]
			if r == nil {
				line.Cells = append(line.Cells, heatCell{Text: noValue, Class: "empty"})
				continue
			}
			cell := heatCell{row: r, Text: fmt.Sprintf("%.1f"+percentSign, 100*r.ratio()), Sign: r.Verdict.String(), Href: c.anchor(r), Class: heatClass(r)}
			if inside(i, j) {
				cell.Top, cell.Bottom = !inside(i-1, j), !inside(i+1, j)
				cell.Left, cell.Right = !inside(i, j-1), !inside(i, j+1)
			}
			line.Cells = append(line.Cells, cell)
		}
		h.Rows = append(h.Rows, line)
	}
	return h
}

// sortByNumber orders labels such as "budget 500" by their numbers, if all have one.
func sortByNumber(labels []string) {
	number := func(label string) float64 {
		var x float64
		if _, err := fmt.Sscanf(label[strings.LastIndexAny(label, " :")+1:], "%g", &x); err != nil {
			return math.NaN()
		}
		return x
	}
	if slices.ContainsFunc(labels, func(l string) bool { return math.IsNaN(number(l)) }) {
		return
	}
	slices.SortStableFunc(labels, func(a, b string) int { return cmp.Compare(number(a), number(b)) })
}

// heatClass is the depth of a cell's colour: how many margins are lost.
func heatClass(r *row) string {
	if r.comparison.Margin == 0 {
		return "h2"
	}
	lost := -r.comparison.Delta / r.comparison.Margin
	switch {
	case lost < -0.5:
		return "h0"
	case lost < 0.5:
		return "h1"
	case lost < 1:
		return "h2"
	case lost < 2:
		return "h3"
	case lost < 4:
		return "h4"
	default:
		return "h5"
	}
}

// funnelLine is what is left of the baseline's first ten after each stage of a
// setting, and how much went through it.
type funnelLine struct {
	*row
	Href                       string
	Tokens, Kept, Cells        string
	Postings, Found, Scored    string
	Stages                     []funnelStage
	LostFinding, LostScoring   string
	LostRanking, AllStagesText string
}

type funnelStage struct {
	Name  string
	Share float64 // in percent
	Text  string
}

func (c *collection) funnel(rows []*row) []funnelLine {
	var lines []funnelLine
	for _, r := range rows {
		if r.Reach == nil {
			continue
		}
		line := funnelLine{row: r, Href: c.anchor(r), Cells: count(mean(r.Work.Cells)), Postings: count(mean(r.Work.Postings)), Found: count(r.candidates), Scored: count(r.scored), Tokens: noValue, Kept: noValue}
		if r.Probed != nil {
			line.Kept = short(mean(r.Work.RowsKept))
			line.Tokens = short(mean(r.Work.RowsKept) / max(r.kept, 1e-9))
		}
		for _, s := range []struct {
			name   string
			values []float64
		}{{"candidates", r.Reach.Candidates}, {"scored", r.Reach.Scored}, {"top 10", r.Reach.Top}} {
			share := 100 * mean(s.values)
			line.Stages = append(line.Stages, funnelStage{s.name, round(share), fmt.Sprintf("%.1f", share)})
		}
		lines = append(lines, line)
	}
	return lines
}

// notable returns the rows that a reader looks at first: those on one of the
// fronts, and of every series the one that finds about as many candidates as the
// others.
func (c *collection) notable() []*row {
	on := make(map[*row]bool)
	for _, cost := range []func(*row) float64{func(r *row) float64 { return r.estimate }, func(r *row) float64 { return r.candidates }} {
		var rows []*row
		for _, r := range c.rows[1:] {
			if r.modelled() && r.Reach != nil {
				rows = append(rows, r)
			}
		}
		for r := range front(rows, cost, func(r *row) float64 { return r.overlap }) {
			on[r] = true
		}
	}
	query := c.comparedSeries(candidatesOf)
	var middle []float64
	for _, s := range query {
		for _, r := range s.rows {
			middle = append(middle, r.candidates)
		}
	}
	if len(middle) > 0 {
		target := quantile(middle, 0.5)
		for _, s := range query {
			nearest := s.rows[0]
			for _, r := range s.rows {
				if math.Abs(math.Log(r.candidates/target)) < math.Abs(math.Log(nearest.candidates/target)) {
					nearest = r
				}
			}
			on[nearest] = true
		}
	}
	var rows []*row
	for _, r := range c.rows {
		if on[r] {
			rows = append(rows, r)
		}
	}
	return rows
}
