package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/pare-search/pare/eval/stats"
	"github.com/pare-search/pare/eval/sweep"
)

// sweepTable lays a report out: a line for each system, with the difference of
// the headline measure to the baseline.
func sweepTable(r *sweep.Report, ascii bool) table {
	t := table{columns: []column{{name: "system"}}}
	for _, measure := range r.Measures {
		t.columns = append(t.columns, column{measure, true})
	}
	t.columns = append(
		t.columns,
		column{"Δ " + r.Headline, true}, column{name: "90 % interval"}, column{name: "verdict"},
		column{"overlap@10", true},
	)
	searched := r.Systems[0].Stats != nil
	if searched {
		t.columns = append(t.columns, column{"candidates", true}, column{"docs scored", true}, column{"p50 ms", true})
	}
	if ascii {
		t.columns[len(r.Measures)+1].name = "diff " + r.Headline
	}
	for _, s := range r.Systems {
		row := []string{printable(s.Name)}
		for _, measure := range r.Measures {
			row = append(row, fmt.Sprintf("%.3f", s.Measures[measure]))
		}
		if s.Baseline {
			row = append(row, "-", "-", "baseline")
		} else {
			row = append(
				row,
				fmt.Sprintf("%+.4f", s.Delta[r.Headline]),
				fmt.Sprintf("%s … %s", bound(s.CI90[0]), bound(s.CI90[1])),
				verdictText(*s.Verdict, ascii),
			)
		}
		row = append(row, fmt.Sprintf("%.2f", s.Overlap10))
		if searched {
			found, scored := "-", "-"
			if s.Stats.DocumentsScored > 0 {
				found, scored = fmt.Sprintf("%.0f", s.Stats.Candidates), fmt.Sprintf("%.0f", s.Stats.DocumentsScored)
			}
			row = append(row, found, scored, fmt.Sprintf("%.2f", s.Stats.P50))
		}
		t.rows = append(t.rows, row)
	}
	if ascii {
		for _, row := range t.rows {
			for i := range row {
				row[i] = strings.ReplaceAll(row[i], "…", "to")
			}
		}
	}
	return t
}

// sweepValues lays a report out for programs: numbers alone in their columns,
// and nothing that depends on the locale.
func sweepValues(r *sweep.Report) table {
	t := table{columns: []column{{name: "system"}}}
	columns := func(names ...string) {
		for _, name := range names {
			t.columns = append(t.columns, column{name: name})
		}
	}
	columns(r.Measures...)
	columns("delta", "ci90_low", "ci90_high", "p_difference", "p_equivalence", "verdict", "overlap@10")
	searched := r.Systems[0].Stats != nil
	if searched {
		columns("rows_kept", "cells_probed", "postings", "candidates", "documents_scored", "token_pairs", "p50_ms", "p95_ms")
	}
	for _, s := range r.Systems {
		row := []string{printable(s.Name)}
		add := func(values ...float64) {
			for _, value := range values {
				text := strconv.FormatFloat(value, 'f', 6, 64)
				if math.IsInf(value, 0) {
					text = "-" // an end of an interval that few queries leave open
				}
				row = append(row, text)
			}
		}
		for _, measure := range r.Measures {
			add(s.Measures[measure])
		}
		if s.Baseline {
			row = append(row, "-", "-", "-", "-", "-", "baseline")
		} else {
			add(s.Delta[r.Headline], s.CI90[0], s.CI90[1], *s.PDifference, *s.PEquivalence)
			row = append(row, verdictWord(*s.Verdict))
		}
		add(s.Overlap10)
		if searched {
			c := s.Stats
			add(c.RowsKept, c.CellsProbed, c.Postings, c.Candidates, c.DocumentsScored, c.TokenPairs, c.P50, c.P95)
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// bound is an end of an interval, "-" where few queries leave it open.
func bound(x float64) string {
	if math.IsInf(x, 0) {
		return "-"
	}
	return fmt.Sprintf("%+.4f", x)
}

// verdictText is a verdict as a sign and a word, so that no sign must be known.
func verdictText(v stats.Verdict, ascii bool) string {
	sign := v.String()
	if ascii {
		sign = v.ASCII()
	}
	return sign + " " + verdictWord(v)
}

// verdictWord is a verdict as one word.
func verdictWord(v stats.Verdict) string {
	word, err := v.MarshalText()
	if err != nil {
		return v.String()
	}
	return string(word)
}

// asciiOnly tells whether the locale cannot show more than ASCII.
func asciiOnly() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := os.Getenv(name); value != "" {
			return !strings.Contains(strings.ToLower(strings.ReplaceAll(value, "-", "")), "utf8")
		}
	}
	return false
}

// sweepLegend says how to read the table.
func sweepLegend(r *sweep.Report) string {
	return fmt.Sprintf(`Each line is compared with the first, query by query, on %d queries. "equivalent": the 90 %% interval
of the difference lies within ±%.1f %% of the baseline's %s (TOST at 5 %%); "worse", "better": it lies on
one side of zero, but not within; "undecided": the queries are too few to tell. Each verdict is that of
its line alone.`,
		r.Queries, r.Margin*100, r.Headline)
}
