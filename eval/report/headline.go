package report

import (
	"fmt"
	"math"
	"strings"
)

// headline is what the report says first.
type headline struct {
	// Claim is one sentence, Details are some more.
	Claim   string
	Details []string
}

func (h headline) text() string { return strings.Join(append([]string{h.Claim}, h.Details...), " ") }

// asGoodOn returns, by collection, the rows that may take the baseline's place.
func (r *Report) asGoodOn() map[string][]*row {
	good := make(map[string][]*row)
	for _, c := range r.collections {
		for _, row := range c.rows {
			if row.asGood() && row.modelled() {
				good[c.Name] = append(good[c.Name], row)
			}
		}
	}
	return good
}

// best returns the setting that saves most: the sum, over the collections on which
// it may take the baseline's place, of the logarithm of how many times cheaper it is,
// by the model of the time. It returns "" if there is none.
func (r *Report) best() (name string, on int) {
	saved := make(map[string]float64)
	good := r.asGoodOn()
	for _, c := range r.collections {
		for _, row := range good[c.Name] {
			saved[row.Name] += math.Log(c.rows[0].estimate / row.estimate)
		}
	}
	for _, c := range r.collections {
		for _, row := range c.rows {
			if s, some := saved[row.Name]; some && (name == "" || s > saved[name]) {
				name = row.Name
			}
		}
	}
	for _, c := range r.collections {
		if row := c.row(name); row != nil && row.asGood() {
			on++
		}
	}
	return name, on
}

// headline says what can be dropped and what that saves, or that nothing can.
func (r *Report) headline() headline {
	measure, margin := r.study.Method.Measures[0], percentOf(r.study.Method.Stats.Margin)
	name, on := r.best()
	all := len(r.collections)
	if name == "" {
		return r.nothing(measure, margin)
	}
	var where string
	switch {
	case all == 1:
		where = "On " + r.collections[0].Name
	case on == all:
		where = fmt.Sprintf("On all %d collections", all)
	default:
		where = fmt.Sprintf("On %d of %d collections", on, all)
	}
	var speed, size, scored span
	var others []string
	for _, c := range r.collections {
		row, base := c.row(name), c.rows[0]
		if row == nil || !row.asGood() {
			if row != nil {
				others = append(others, fmt.Sprintf("%s (%s, %s)", c.Name, verdictWord(row), signedPercent(row.relative(row.comparison.Delta))))
			}
			continue
		}
		speed.add(base.p50 / row.p50)
		size.add(base.perDoc / row.perDoc)
		scored.add(1 - row.scored/base.scored)
	}
	var saves []string
	if scored.hi >= 0.005 {
		saves = append(saves, "scores "+scored.percent()+" fewer documents")
	}
	if speed.hi >= 1.05 {
		saves = append(saves, "answers "+speed.text()+" times as fast")
	}
	if size.hi >= 1.05 {
		saves = append(saves, "has an index "+size.text()+" times smaller")
	}
	if len(saves) == 0 {
		saves = append(saves, "saves nothing")
	}
	h := headline{Claim: fmt.Sprintf("%s, “%s” keeps %s within %s of the unpruned search and %s.", where, name, measure, margin, listed(saves))}
	if len(others) > 0 {
		h.Details = append(h.Details, "It is not shown to be as good on "+strings.Join(others, " and ")+".")
	}
	if together := r.together(); together != "" {
		h.Details = append(h.Details, together)
	}
	if len(r.collections) > 1 {
		for _, c := range r.collections {
			if cheapest := c.cheapest(func(row *row) float64 { return row.estimate }); cheapest != nil && cheapest.Name != name {
				h.Details = append(h.Details, fmt.Sprintf("On %s alone, “%s” is the cheapest that is (%s).", c.Name, cheapest.Name, signedPercent(cheapest.relative(cheapest.comparison.Delta))))
			}
		}
	}
	return h
}

// nothing says that nothing can be dropped, and how far the best is from it.
func (r *Report) nothing(measure, margin string) headline {
	h := headline{Claim: fmt.Sprintf("No setting is shown to keep %s within %s of the unpruned search on %s.", measure, margin, r.names())}
	for _, c := range r.collections {
		var near *row
		for _, row := range c.rows[1:] {
			if row.modelled() && (near == nil || row.pEquivalence < near.pEquivalence || row.pEquivalence == near.pEquivalence && row.comparison.PEquivalence < near.comparison.PEquivalence) {
				near = row
			}
		}
		if near == nil {
			continue
		}
		text := fmt.Sprintf("On %s, “%s” comes nearest: %s, interval %s to %s on %d queries", c.Name, near.Name,
			signedPercent(near.relative(near.comparison.Delta)), signedPercent(near.relative(near.wide[0])), signedPercent(near.relative(near.wide[1])), len(c.Queries))
		if n := near.neededQueries(); n > 0 {
			text += fmt.Sprintf("; about %s such queries would show it", count(float64(n)))
		}
		h.Details = append(h.Details, text+".")
	}
	if together := r.together(); together != "" {
		h.Details = append(h.Details, together)
	}
	return h
}

// listed joins parts of a sentence.
func listed(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

func (r *Report) names() string {
	var names []string
	for _, c := range r.collections {
		names = append(names, c.Name)
	}
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// row returns the row of a setting, or nil.
func (c *collection) row(name string) *row {
	for _, r := range c.rows {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// cheapest returns the row that costs least of those that may take the baseline's
// place, or nil.
func (c *collection) cheapest(cost func(*row) float64) *row {
	var best *row
	for _, r := range c.rows {
		if r.asGood() && r.modelled() && (best == nil || cost(r) < cost(best)) {
			best = r
		}
	}
	return best
}

// span is the range of some values.
type span struct {
	lo, hi float64
	some   bool
}

func (s *span) add(x float64) {
	if !s.some {
		s.lo, s.hi, s.some = x, x, true
		return
	}
	s.lo, s.hi = min(s.lo, x), max(s.hi, x)
}

func (s *span) text() string { return joined(short(s.lo), short(s.hi)) }

func (s *span) percent() string {
	lo, hi := fmt.Sprintf("%.0f", 100*s.lo), fmt.Sprintf("%.0f", 100*s.hi)
	return joined(lo, hi) + "\u00a0%"
}

func joined(lo, hi string) string {
	if lo == hi {
		return lo
	}
	return lo + " to " + hi
}
