package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// equalTable compares series where they cost the same, or where they agree with the
// baseline to the same degree, interpolating between the settings of a series.
type equalTable struct {
	Levels []string
	Lines  []equalLine
}

type equalLine struct {
	Series string
	Cells  []equalCell
}

// equalCell has two figures: what there is at a cost (the ratio and the overlap), or
// what a quality costs (mean and 95th percentile).
type equalCell struct {
	First, Second string
	Best          bool

	sort float64
}

// costLevels are the numbers of candidates at which series are compared.
var costLevels = []float64{100, 200, 500, 1000, 2000, 5000, 10000}

// overlapLevels are the overlaps at which costs are compared.
var overlapLevels = []float64{0.7, 0.8, 0.9, 0.95, 0.98}

// comparedSeries returns the series of searches that look for candidates and differ
// in a cost, but for those that are there for the heat map alone.
func (c *collection) comparedSeries(cost func(*row) float64) []series {
	return slices.DeleteFunc(c.seriesOf(probing, cost), func(s series) bool {
		return !slices.ContainsFunc(s.rows, func(r *row) bool { return r.Row == "" })
	})
}

// equalCost says what each series keeps at some numbers of candidates.
func (c *collection) equalCost() *equalTable {
	t := new(equalTable)
	all := c.comparedSeries(candidatesOf)
	for _, level := range costLevels {
		if slices.ContainsFunc(all, func(s series) bool { _, ok := s.at(level, candidatesOf, (*row).ratio); return ok }) {
			t.Levels = append(t.Levels, count(level))
		} else {
			continue
		}
		for i, s := range all {
			if len(t.Lines) <= i {
				t.Lines = append(t.Lines, equalLine{Series: s.name})
			}
			overlap, ok := s.at(level, candidatesOf, func(r *row) float64 { return r.overlap })
			ratio, _ := s.at(level, candidatesOf, (*row).ratio)
			cell := equalCell{First: noValue, sort: math.Inf(1)}
			if ok {
				cell = equalCell{First: fmt.Sprintf("%.3f", overlap), Second: fmt.Sprintf("%.1f"+percentSign, 100*ratio), sort: -overlap}
			}
			t.Lines[i].Cells = append(t.Lines[i].Cells, cell)
		}
	}
	return t.finish()
}

// equalOverlap says what an overlap with the baseline costs in each series, on
// average and at the 95th percentile of the queries.
func (c *collection) equalOverlap() *equalTable {
	t := new(equalTable)
	all := c.comparedSeries(candidatesOf)
	for _, level := range overlapLevels {
		cells := make([]equalCell, len(all))
		some := false
		for i, s := range all {
			cells[i] = equalCell{First: noValue, sort: math.Inf(1)}
			mean, ok := s.cost(level, candidatesOf)
			p95, _ := s.cost(level, func(r *row) float64 { return percentile(floats(r.Work.Candidates), 95) })
			if ok {
				cells[i] = equalCell{First: count(mean), Second: count(p95), sort: mean}
				some = true
			}
		}
		if !some {
			continue
		}
		t.Levels = append(t.Levels, fmt.Sprintf("%.2f", level))
		for i, s := range all {
			if len(t.Lines) <= i {
				t.Lines = append(t.Lines, equalLine{Series: s.name})
			}
			t.Lines[i].Cells = append(t.Lines[i].Cells, cells[i])
		}
	}
	return t.finish()
}

func candidatesOf(r *row) float64 { return max(r.candidates, 0.5) }

func floats(values []int) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

// finish marks the best of each column and orders the lines by the middle one.
func (t *equalTable) finish() *equalTable {
	t.Lines = slices.DeleteFunc(t.Lines, func(l equalLine) bool {
		return !slices.ContainsFunc(l.Cells, func(c equalCell) bool { return !math.IsInf(c.sort, 1) })
	})
	if len(t.Levels) == 0 || len(t.Lines) < 2 {
		return nil
	}
	for column := range t.Levels {
		best := -1
		for i, l := range t.Lines {
			if !math.IsInf(l.Cells[column].sort, 1) && (best < 0 || l.Cells[column].sort < t.Lines[best].Cells[column].sort) {
				best = i
			}
		}
		if best >= 0 {
			t.Lines[best].Cells[column].Best = true
		}
	}
	middle := len(t.Levels) / 2
	slices.SortStableFunc(t.Lines, func(a, b equalLine) int { return cmp.Compare(a.Cells[middle].sort, b.Cells[middle].sort) })
	return t
}

// at interpolates a quality at a cost, by the logarithm of the cost; ok is false
// outside of the costs of the series.
func (s series) at(level float64, cost, quality func(*row) float64) (value float64, ok bool) {
	rows := sortedBy(s.rows, cost)
	for i := 1; i < len(rows); i++ {
		from, to := cost(rows[i-1]), cost(rows[i])
		if level < from || level > to {
			continue
		}
		if from == to {
			return quality(rows[i]), true
		}
		share := math.Log(level/from) / math.Log(to/from)
		return quality(rows[i-1]) + share*(quality(rows[i])-quality(rows[i-1])), true
	}
	return 0, false
}

// cost interpolates the cost at which a series first reaches an overlap.
func (s series) cost(overlap float64, cost func(*row) float64) (value float64, ok bool) {
	rows := sortedBy(s.rows, candidatesOf)
	for i := 1; i < len(rows); i++ {
		from, to := rows[i-1].overlap, rows[i].overlap
		if overlap < from || overlap > to || from == to {
			continue
		}
		share := (overlap - from) / (to - from)
		lo, hi := max(cost(rows[i-1]), 0.5), max(cost(rows[i]), 0.5)
		return lo * math.Pow(hi/lo, share), true
	}
	return 0, false
}
