package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/pare-search/pare/eval/stats"
)

// field is a column of the table of settings: what it is called and says to people,
// and the columns that it is in CSV.
type field struct {
	Name   string
	Number bool
	text   func(*row) string
	csv    []csvColumn
}

type csvColumn struct {
	name  string
	value func(*row) float64
}

// noValue stands for a value that does not exist.
const noValue = "–"

// fields are the columns of the table of settings.
func (c *collection) fields() []field {
	headline := c.measures[0]
	one := func(name string, value func(*row) float64) []csvColumn { return []csvColumn{{name, value}} }
	fields := []field{
		{"verdict", false, verdictText, nil},
		{"tokens kept", true, func(r *row) string { return searched(r, percent(r.kept)) }, one("tokens_kept", func(r *row) float64 { return r.kept })},
		{"vectors stored", true, func(r *row) string { return indexed(r, percent(r.stored)) }, one("vectors_stored", func(r *row) float64 { return r.stored })},
		{"bytes per token", true, func(r *row) string { return indexed(r, fmt.Sprintf("%.1f", r.perToken)) }, one("bytes_per_token", func(r *row) float64 { return r.perToken })},
		{"bytes per document", true, func(r *row) string { return indexed(r, count(r.perDoc)) }, one("bytes_per_document", func(r *row) float64 { return r.perDoc })},
		{"candidates", true, func(r *row) string { return indexed(r, count(r.candidates)) }, one("candidates", func(r *row) float64 { return r.candidates })},
		{"documents scored", true, func(r *row) string { return indexed(r, count(r.scored)) }, one("documents_scored", func(r *row) float64 { return r.scored })},
		{"token pairs", true, func(r *row) string { return indexed(r, count(r.pairs)) }, one("token_pairs", func(r *row) float64 { return r.pairs })},
		{"p50 ms", true, func(r *row) string { return short(r.p50) }, one("p50_ms", func(r *row) float64 { return r.p50 })},
		{"p95 ms", true, func(r *row) string { return short(r.p95) }, one("p95_ms", func(r *row) float64 { return r.p95 })},
		{"model ms", true, func(r *row) string { return modelled(r, short(r.estimate)) }, one("model_ms", func(r *row) float64 { return r.estimate })},
	}
	for _, m := range c.measures {
		fields = append(fields, field{m, true, func(r *row) string { return fmt.Sprintf("%.3f", r.means[m]) }, one(m, func(r *row) float64 { return r.means[m] })})
	}
	return append(fields,
		field{
			"difference in " + headline, true, compared(func(r *row) string { return signed(r.comparison.Delta) }),
			one("delta", func(r *row) float64 { return r.comparison.Delta }),
		},
		field{
			"90 % interval", true, compared(func(r *row) string { return interval(r.comparison.CI90) }),
			[]csvColumn{{"ci90_low", func(r *row) float64 { return r.comparison.CI90[0] }}, {"ci90_high", func(r *row) float64 { return r.comparison.CI90[1] }}},
		},
		field{
			"corrected interval", true, compared(func(r *row) string { return interval(r.wide) }),
			[]csvColumn{{"corrected_low", func(r *row) float64 { return r.wide[0] }}, {"corrected_high", func(r *row) float64 { return r.wide[1] }}},
		},
		field{
			"wins/ties/losses", true, compared(winsTiesLosses),
			[]csvColumn{
				{"wins", func(r *row) float64 { return float64(r.comparison.Wins) }},
				{"ties", func(r *row) float64 { return float64(r.comparison.Ties) }},
				{"losses", func(r *row) float64 { return float64(r.comparison.Losses) }},
			},
		},
		field{
			"p (difference)", true, compared(func(r *row) string { return probability(r.pDifference) }),
			one("p_difference", func(r *row) float64 { return r.pDifference }),
		},
		field{
			"p (equivalence)", true, compared(func(r *row) string { return probability(r.pEquivalence) }),
			one("p_equivalence", func(r *row) float64 { return r.pEquivalence }),
		},
		field{"overlap@10", true, func(r *row) string { return fmt.Sprintf("%.3f", r.overlap) }, one("overlap@10", func(r *row) float64 { return r.overlap })},
	)
}

// interval writes an interval of differences.
func interval(i stats.Interval) string { return signed(i[0]) + " to " + signed(i[1]) }

func winsTiesLosses(r *row) string {
	return fmt.Sprintf("%d/%d/%d", r.comparison.Wins, r.comparison.Ties, r.comparison.Losses)
}

// compared leaves out what the baseline cannot be asked.
func compared(f func(*row) string) func(*row) string {
	return func(r *row) string {
		if r.Baseline {
			return noValue
		}
		return f(r)
	}
}

// indexed leaves out what only a search of an index has, searched what only one
// that looks for candidates with tokens has, modelled what only one has whose time
// is modelled as a whole.
func indexed(r *row, text string) string {
	if r.Index == nil {
		return noValue
	}
	return text
}

func searched(r *row, text string) string {
	if r.Probed == nil {
		return noValue
	}
	return text
}

func modelled(r *row, text string) string {
	if !r.modelled() {
		return noValue
	}
	return text
}

// modelled tells whether the model of the time counts all of the work: it knows
// nothing of BM25.
func (r *row) modelled() bool { return r.estimate > 0 && r.pure() }

func verdictText(r *row) string {
	if r.Baseline {
		return "baseline"
	}
	return r.Verdict.String() + " " + verdictWord(r)
}

func verdictWord(r *row) string {
	if r.Baseline {
		return "baseline"
	}
	return wordOf(r.Verdict)
}

// wordOf is a verdict as one word.
func wordOf(v stats.Verdict) string {
	word, err := v.MarshalText()
	if err != nil {
		return v.String()
	}
	return string(word)
}

// signed writes a difference of a measure.
func signed(x float64) string {
	if math.IsInf(x, 0) {
		return noValue
	}
	return minus(fmt.Sprintf("%+.4f", x))
}

// percentSign follows a number in a format, with a space at which no line ends.
const percentSign = "\u00a0%%"

// signedPercent writes a share with its sign.
func signedPercent(x float64) string {
	if math.IsInf(x, 0) {
		return noValue
	}
	return minus(fmt.Sprintf("%+.1f"+percentSign, 100*x))
}

// minus replaces the hyphen before a number.
func minus(text string) string { return strings.Replace(text, "-", "−", 1) }

func percent(x float64) string {
	if x > 0 && x < 0.0995 {
		return fmt.Sprintf("%.1f"+percentSign, 100*x)
	}
	return fmt.Sprintf("%.0f"+percentSign, 100*x)
}

// short writes a number with three digits that count.
func short(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x < 0.0995:
		return fmt.Sprintf("%.3f", x)
	case x < 9.95:
		return fmt.Sprintf("%.2f", x)
	case x < 99.5:
		return fmt.Sprintf("%.1f", x)
	default:
		return count(x)
	}
}

// count writes a whole number in groups of three digits, as 12,345.
func count(x float64) string {
	digits := strconv.FormatFloat(math.Round(x), 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// probability writes a p value.
func probability(p float64) string {
	if p < 0.001 {
		return "<0.001"
	}
	return fmt.Sprintf("%.3f", p)
}

// WriteCSV writes all settings of all collections with a line of names. Shares are
// numbers from 0 to 1; a value that does not exist is an empty cell. The separator
// is a comma or a tab.
func (r *Report) WriteCSV(w io.Writer, separator rune) error {
	out := csv.NewWriter(w)
	out.Comma = separator
	names := []string{"collection", "letter", "setting", "series", "queries", "verdict"}
	for _, f := range r.collections[0].fields() {
		for _, column := range f.csv {
			names = append(names, column.name)
		}
	}
	if err := out.Write(names); err != nil {
		return err
	}
	for _, c := range r.collections {
		fields := c.fields()
		for _, row := range c.rows {
			line := []string{c.Name, row.Letter, row.Name, row.Series, strconv.Itoa(len(c.Queries)), verdictWord(row)}
			for _, f := range fields {
				exists := f.text(row) != noValue
				for _, column := range f.csv {
					cell, value := "", column.value(row)
					if exists && !math.IsInf(value, 0) {
						cell = strconv.FormatFloat(value, 'g', 6, 64)
					}
					line = append(line, cell)
				}
			}
			if err := out.Write(line); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

// WriteMarkdown writes the headline and a table for each collection, as GitHub
// renders it.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	cell := func(text string) {
		b.WriteString("| " + strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ").Replace(text) + " ")
	}
	b.WriteString(r.headline().text() + "\n")
	for _, c := range r.collections {
		fmt.Fprintf(&b, "\n### %s: %s documents, %d queries\n\n", c.Name, count(float64(c.Documents)), len(c.Queries))
		cell("")
		cell("setting")
		rules := "| --- | --- "
		for _, f := range c.fields() {
			cell(f.Name)
			if rules += "| --- "; f.Number {
				rules = rules[:len(rules)-1] + ": "
			}
		}
		b.WriteString("|\n" + rules + "|\n")
		for _, row := range c.rows {
			cell(row.Letter)
			cell(row.Name)
			for _, f := range c.fields() {
				cell(f.text(row))
			}
			b.WriteString("|\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
