package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/pare-search/pare/eval/stats"
)

var (
	//go:embed report.gohtml
	page string
	//go:embed report.css
	styles string
)

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"count": func(n int) string { return count(float64(n)) },
	"half":  func(a, b float64) float64 { return round((a + b) / 2) },
	"add":   func(a, b float64) float64 { return round(a + b) },
	"minus": func(a, b float64) float64 { return round(a - b) },
}).Parse(page))

// view is what the page shows.
type view struct {
	Styles      template.CSS
	Title       string
	Headline    headline
	Measure     string
	Margin      string
	Method      Method
	Settings    int
	Overview    *overview
	Collections []collectionView
	Data        Study
}

// collectionView is what the page shows of a collection.
type collectionView struct {
	*collection
	ID         string
	Sentence   string
	Baseline   string
	Counts     []verdictCount
	Forest     forest
	Pareto     []*plot
	Curves     []*plot
	EqualCost  *equalTable
	EqualLevel *equalTable
	Heat       *heat
	Funnel     []funnelLine
	FunnelRest []funnelLine
	Queries    []*queryPanel
	Fields     []field
	Lines      []tableLine
	QueryCount int
}

type verdictCount struct {
	Sign, Word string
	N          int
}

// tableLine is a row of the table of settings.
type tableLine struct {
	ID, Letter, Name, Class string
	Cells                   []tableCell
}

type tableCell struct {
	Text   string
	Number bool
}

// overview is the verdict on every setting on every collection.
type overview struct {
	Collections []string
	Margin      string // for all collections together
	First       []overviewLine
	Others      []overviewLine
	Rest        int // settings that are as good nowhere, which are left out
}

// overviewLines is how many lines the overview shows at once.
const overviewLines = 16

type overviewLine struct {
	Letter, Name string
	Good         int
	Cells        []overviewCell // one for each collection, then that of all together
}

type overviewCell struct{ Sign, Word, Text, Href, Title string }

// WriteHTML writes the report as one page that needs nothing else: no script, no
// font, no image. It is UTF-8.
func (r *Report) WriteHTML(w io.Writer) error {
	v := view{
		Styles: template.CSS(styles), Headline: r.headline(), Measure: r.study.Method.Measures[0],
		Margin: percentOf(r.study.Method.Stats.Margin), Method: r.study.Method, Overview: r.overview(), Data: r.raw(),
	}
	v.Title = "Pruning on " + strings.ReplaceAll(r.names(), " or ", " and ")
	for _, c := range r.collections {
		v.Settings = max(v.Settings, len(c.rows))
		v.Collections = append(v.Collections, r.viewOf(c))
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, v); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (r *Report) viewOf(c *collection) collectionView {
	v := collectionView{
		collection: c, ID: c.id, Forest: c.forest(), Curves: c.budgetCurves(), EqualCost: c.equalCost(), EqualLevel: c.equalOverlap(),
		Heat: c.heat(), Queries: c.queryPanels(), Fields: c.fields(), QueryCount: len(c.Queries),
		Baseline: fmt.Sprintf("%.3f", c.quality(c.rows[0])), Sentence: c.sentence(r.study.Method),
	}
	for _, p := range []*plot{
		c.pareto("Quality and time", "ms, median", func(r *row) float64 { return r.p50 }),
		c.pareto("Quality and size", "bytes per document", func(r *row) float64 { return r.perDoc }),
	} {
		if p != nil {
			v.Pareto = append(v.Pareto, p)
		}
	}
	notable := c.notable()
	v.Funnel = c.funnel(notable)
	var rest []*row
	for _, row := range c.rows[1:] {
		if !contains(notable, row) {
			rest = append(rest, row)
		}
	}
	v.FunnelRest = c.funnel(rest)
	for _, verdict := range []stats.Verdict{stats.Equivalent, stats.Better, stats.Worse, stats.Undecided} {
		n := 0
		for _, row := range c.rows[1:] {
			if row.Verdict == verdict {
				n++
			}
		}
		v.Counts = append(v.Counts, verdictCount{verdict.String(), wordOf(verdict), n})
	}
	for _, row := range c.rows {
		line := tableLine{ID: c.anchor(row), Letter: row.Letter, Name: row.Name, Class: verdictWord(row)}
		for _, f := range v.Fields {
			line.Cells = append(line.Cells, tableCell{f.text(row), f.Number})
		}
		v.Lines = append(v.Lines, line)
	}
	return v
}

func contains(rows []*row, r *row) bool {
	for _, other := range rows {
		if other == r {
			return true
		}
	}
	return false
}

// sentence says which setting is the cheapest here, and which the smallest.
func (c *collection) sentence(method Method) string {
	margin := percentOf(method.Stats.Margin)
	fast := c.cheapest(func(r *row) float64 { return r.estimate })
	if fast == nil {
		return fmt.Sprintf("No setting is shown to be within %s of the unpruned search.", margin)
	}
	base := c.rows[0]
	text := fmt.Sprintf("Cheapest within %s: “%s”, %s × faster (%s ms in place of %s), %s of %s documents scored.",
		margin, fast.Name, short(base.p50/fast.p50), short(fast.p50), short(base.p50), count(fast.scored), count(base.scored))
	if small := c.cheapest(func(r *row) float64 { return r.perDoc }); small != nil {
		text += fmt.Sprintf(" Smallest within %s: “%s”, %.1f bytes per token in place of %.1f.", margin, small.Name, small.perToken, base.perToken)
	}
	return text
}

// anchor is the address of a row in the table of settings.
func (c *collection) anchor(r *row) string { return c.id + "-" + r.Letter }

// overview returns the settings that may take the baseline's place somewhere or over
// all collections, those that may in most places first; nil where there is one
// collection only.
func (r *Report) overview() *overview {
	if len(r.collections) < 2 {
		return nil
	}
	o := &overview{Margin: percentOf(r.pooledMargin())}
	pool := r.pool()
	seen := make(map[string]bool)
	for _, c := range r.collections {
		o.Collections = append(o.Collections, c.Name)
	}
	byGood := make([][]overviewLine, len(r.collections)+2)
	for _, c := range r.collections {
		for _, row := range c.rows[1:] {
			if !seen[row.Name] {
				seen[row.Name] = true
				line := r.overviewLine(row, pool[row.Name])
				byGood[line.Good] = append(byGood[line.Good], line)
			}
		}
	}
	var lines []overviewLine
	for good := len(byGood) - 1; good > 0; good-- {
		lines = append(lines, byGood[good]...)
	}
	shown := min(len(lines), overviewLines)
	o.First, o.Others = lines[:shown], lines[shown:]
	o.Rest = len(byGood[0])
	return o
}

func (r *Report) overviewLine(first *row, together *pooled) overviewLine {
	line := overviewLine{Letter: first.Letter, Name: first.Name}
	for _, c := range r.collections {
		row := c.row(first.Name)
		if row == nil {
			line.Cells = append(line.Cells, overviewCell{Text: noValue})
			continue
		}
		if row.asGood() {
			line.Good++
		}
		line.Cells = append(line.Cells, overviewCell{
			Sign: row.Verdict.String(), Word: verdictWord(row), Text: signedPercent(row.relative(row.comparison.Delta)), Href: c.anchor(row),
			Title: signedPercent(row.relative(row.wide[0])) + " to " + signedPercent(row.relative(row.wide[1])),
		})
	}
	if together == nil {
		line.Cells = append(line.Cells, overviewCell{Text: noValue})
		return line
	}
	if together.verdict == stats.Equivalent || together.verdict == stats.Better {
		line.Good++
	}
	line.Cells = append(line.Cells, overviewCell{
		Sign: together.verdict.String(), Word: wordOf(together.verdict), Text: signedPercent(together.ratio - 1), Title: together.text(),
	})
	return line
}

// raw is the study as it is embedded in the page: all values by query, without what
// the page shows in other ways.
func (r *Report) raw() Study {
	study := Study{Method: r.study.Method}
	for _, c := range r.study.Collections {
		copied := c
		copied.Queries = make([]Query, len(c.Queries))
		for i, q := range c.Queries {
			copied.Queries[i] = Query{ID: q.ID}
		}
		copied.Results = make([]Result, len(c.Results))
		for i, result := range c.Results {
			result.Probed, result.Lost, result.Top = nil, nil, nil
			copied.Results[i] = result
		}
		study.Collections = append(study.Collections, copied)
	}
	return study
}
