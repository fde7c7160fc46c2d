package report

import (
	"fmt"

	"github.com/pare-search/pare/eval/stats"
)

// pooled is what all collections together say of a setting: the ratio of the mean
// over collections of their means, each collection counting the same, to the
// baseline's (stats.Ratio). The p values are adjusted for the number of settings.
type pooled struct {
	ratio        float64
	lower, upper float64 // bounds at the level of the adjustment
	pDifference  float64
	pEquivalence float64
	verdict      stats.Verdict
}

// pooledMargin is the margin for all collections together: half of that for one,
// since their queries together show more.
func (r *Report) pooledMargin() float64 { return r.study.Method.Stats.Margin / 2 }

// pool tests the settings that were measured on all of at least two collections.
func (r *Report) pool() map[string]*pooled {
	if len(r.collections) < 2 {
		return nil
	}
	measure := r.study.Method.Measures[0]
	var names []string
	var all [][]stats.Stratum
	for _, first := range r.collections[0].rows[1:] {
		var strata []stats.Stratum
		for _, c := range r.collections {
			if row := c.row(first.Name); row != nil {
				strata = append(strata, stats.Stratum{Baseline: c.rows[0].Measures[measure], System: row.Measures[measure]})
			}
		}
		if len(strata) == len(r.collections) {
			names, all = append(names, first.Name), append(all, strata)
		}
	}
	equivalence, difference := make([]float64, len(all)), make([]float64, len(all))
	for i, strata := range all {
		equivalence[i] = stats.Ratio(strata, r.pooledMargin()).TOST()
		against := stats.Ratio(strata, 0)
		difference[i] = min(1, 2*min(against.PBelow, against.PAbove))
	}
	levels := holmLevels(equivalence)
	equivalence, difference = stats.Holm(equivalence), stats.Holm(difference)
	out := make(map[string]*pooled, len(all))
	for i, strata := range all {
		p := &pooled{ratio: stats.Ratio(strata, 0).Ratio, pEquivalence: equivalence[i], pDifference: difference[i]}
		p.lower, p.upper = stats.RatioBounds(strata, 1-levels[i])
		switch {
		case p.pEquivalence < alpha:
			p.verdict = stats.Equivalent
		case p.pDifference < alpha && p.ratio < 1:
			p.verdict = stats.Worse
		case p.pDifference < alpha:
			p.verdict = stats.Better
		}
		out[names[i]] = p
	}
	return out
}

// text writes the interval.
func (p *pooled) text() string {
	return fmt.Sprintf("%s to %s", signedPercent(p.lower-1), signedPercent(p.upper-1))
}

// together is the sentence on the cheapest setting that may take the baseline's
// place over all collections, "" if there is none or only one collection.
func (r *Report) together() string {
	pool := r.pool()
	var best *row
	var cost float64
	for _, row := range r.collections[0].rows[1:] {
		p := pool[row.Name]
		if p == nil || !row.modelled() || p.verdict != stats.Equivalent && p.verdict != stats.Better {
			continue
		}
		total := 0.0
		for _, c := range r.collections {
			total += c.row(row.Name).estimate / c.rows[0].estimate
		}
		if best == nil || total < cost {
			best, cost = row, total
		}
	}
	switch {
	case pool == nil:
		return ""
	case best == nil:
		return fmt.Sprintf("Over all collections together no setting is shown to be within %s.", percentOf(r.pooledMargin()))
	}
	p := pool[best.Name]
	return fmt.Sprintf("Over all collections together, each counting the same, “%s” is the cheapest within %s: %s, interval %s.",
		best.Name, percentOf(r.pooledMargin()), signedPercent(p.ratio-1), p.text())
}
