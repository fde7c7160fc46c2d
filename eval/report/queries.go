package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// queryPanel is what a setting does query by query.
type queryPanel struct {
	*row
	Href                string
	Plot                *plot
	Wins, Ties, Losses  int
	Hurt                []hurtQuery
	DropsTokens, Caring bool // some tokens did not look for candidates; words are known
}

// hurtQuery is a query that lost.
type hurtQuery struct {
	ID, Before, After string
	Words             []hurtWord
	Text              string
	Lost              Lost
	LostText          string
}

type hurtWord struct {
	Space, Text string
	Dropped     bool
}

// mostHurt is how many queries a panel lists.
const mostHurt = 10

// queryPanels looks at two settings: the cheapest that may take the baseline's place,
// or else the one that loses least of those on the front, and one that drops query
// tokens.
func (c *collection) queryPanels() []*queryPanel {
	var chosen []*row
	estimate := func(r *row) float64 { return r.estimate }
	first := c.cheapest(estimate)
	if first == nil {
		for _, r := range c.rows[1:] {
			if r.modelled() && (first == nil || r.pEquivalence+r.comparison.PEquivalence < first.pEquivalence+first.comparison.PEquivalence) {
				first = r
			}
		}
	}
	if first != nil {
		chosen = append(chosen, first)
	}
	var dropping *row
	for _, r := range c.rows[1:] {
		if r == first || r.kept > 0.7 || r.Probed == nil {
			continue
		}
		// As good ones by cost, others by what they keep.
		better := func(a, b *row) bool {
			if a.asGood() != b.asGood() {
				return a.asGood()
			}
			if a.asGood() {
				return a.candidates < b.candidates
			}
			return a.comparison.PEquivalence < b.comparison.PEquivalence
		}
		if dropping == nil || better(r, dropping) {
			dropping = r
		}
	}
	if dropping != nil && (first == nil || first.kept > 0.7) {
		chosen = append(chosen, dropping)
	}
	var panels []*queryPanel
	for _, r := range chosen {
		panels = append(panels, c.queryPanel(r))
	}
	return panels
}

func (c *collection) queryPanel(r *row) *queryPanel {
	measure := c.measures[0]
	before, after := c.rows[0].Measures[measure], r.Measures[measure]
	p := &queryPanel{row: r, Href: c.anchor(r), Wins: r.comparison.Wins, Ties: r.comparison.Ties, Losses: r.comparison.Losses}
	p.Plot = c.differencesPlot(r, differences(before, after))
	order := make([]int, len(before))
	for q := range order {
		order[q] = q
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(after[a]-before[a], after[b]-before[b]) })
	for _, q := range order[:min(mostHurt, len(order))] {
		if after[q]-before[q] >= -1e-9 {
			break
		}
		query := c.Queries[q]
		hurt := hurtQuery{ID: query.ID, Text: query.Text, Before: fmt.Sprintf("%.3f", before[q]), After: fmt.Sprintf("%.3f", after[q])}
		if r.Probed != nil {
			for i, word := range query.Words {
				text := strings.TrimLeft(word, " ")
				if isSpecial(text) {
					continue
				}
				dropped := !slices.Contains(r.Probed[q], i)
				hurt.Words = append(hurt.Words, hurtWord{word[:len(word)-len(text)], text, dropped})
				p.DropsTokens = p.DropsTokens || dropped
			}
		}
		if r.Lost != nil && r.Lost[q].ID != "" {
			hurt.Lost = r.Lost[q]
			hurt.LostText = fmt.Sprintf("rank %d", hurt.Lost.Rank)
			if hurt.Lost.Relevant {
				hurt.LostText += ", relevant"
			}
		}
		p.Hurt = append(p.Hurt, hurt)
	}
	return p
}

// isSpecial tells whether a word is a token that an encoder adds, as [CLS].
func isSpecial(word string) bool {
	return strings.HasPrefix(word, "[") && strings.HasSuffix(word, "]") && word == strings.ToUpper(word)
}

// differencesPlot draws the difference of every query, the greatest loss first.
func (c *collection) differencesPlot(r *row, diffs []float64) *plot {
	sorted := slices.Sorted(slices.Values(diffs))
	n := float64(len(sorted))
	x := scale{lo: 0, hi: n}
	for _, t := range linear([]float64{0, n}, 5).ticks {
		if t <= n && t == math.Trunc(t) {
			x.ticks = append(x.ticks, t)
		}
	}
	p := newPlot("Differences by query", "queries, most hurt first", "difference in "+c.measures[0], x, linear(append(slices.Clone(sorted), 0), 6), 0)
	p.Height = 240
	p.Bottom = p.Height - plotBottom
	p.layY()
	p.addRule(0, "")
	var lost, won strings.Builder
	zero := p.atY(0)
	for i, d := range sorted {
		if math.Abs(d) < 1e-9 {
			continue
		}
		b := &won
		if d < 0 {
			b = &lost
		}
		left, right := p.atX(float64(i)), p.atX(float64(i+1))
		fmt.Fprintf(b, "M%g %gH%gV%gH%gZ", left, zero, right, p.atY(d), left)
	}
	p.Lines = []line{{Class: "loss", Path: lost.String()}, {Class: "gain", Path: won.String()}}
	p.Summary = fmt.Sprintf("Differences of %s between %s and unpruned, query by query: %d queries lose, at most %.3f, %d gain, at most %.3f, %d stay.",
		c.measures[0], r.Name, r.comparison.Losses, -min(sorted[0], 0), r.comparison.Wins, max(sorted[len(sorted)-1], 0), r.comparison.Ties)
	return p
}
