package report

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// TextOptions say what a terminal can show.
type TextOptions struct {
	// ASCII keeps to the characters that every terminal has.
	ASCII bool
	// Bold sets the settings that may take the baseline's place in bold type.
	Bold bool
}

// The widths of the columns of WriteText, 46 in all with the spaces between them.
const (
	letterWidth = 2
	nameWidth   = 16
	barWidth    = 17
	deltaWidth  = 6
)

// WriteText writes the headline and, for each collection, a line per setting that
// fits a terminal of 46 columns: its letter, its verdict, its name, the interval of
// its difference to the baseline at the corrected level between marks for the
// margin, and the difference in percent.
func (r *Report) WriteText(w io.Writer, options TextOptions) error {
	signs := barSigns{'·', '─', '├', '┤', '●', '│'}
	if options.ASCII {
		signs = barSigns{'.', '-', '[', ']', 'o', '|'}
	}
	var b strings.Builder
	b.WriteString(wrap(r.headline().text(), 80))
	for _, c := range r.collections {
		fmt.Fprintf(&b, "\n%s: %s documents, %d queries, %s of unpruned %.3f\n", c.Name, count(float64(c.Documents)), len(c.Queries), c.measures[0], c.rows[0].means[c.measures[0]])
		for _, row := range c.rows[1:] {
			verdict := row.Verdict.String()
			if options.ASCII {
				verdict = row.Verdict.ASCII()
			}
			line := fmt.Sprintf("%s %s %s %s %s", pad(row.Letter, letterWidth), verdict, pad(row.Name, nameWidth), bar(row, signs),
				fmt.Sprintf("%*s", deltaWidth, fmt.Sprintf("%+.1f%%", 100*row.relative(row.comparison.Delta))))
			if options.Bold && row.asGood() {
				line = "\x1b[1m" + line + "\x1b[0m"
			}
			b.WriteString(line + "\n")
		}
	}
	legend := "\nequivalent ≈, worse ▼, better ▲, undecided ?: the bar is the interval of the difference, at a level\ncorrected for the number of settings; the marks │ are the margin of ±%s.\n"
	text := fmt.Sprintf(legend, percentOf(r.study.Method.Stats.Margin))
	if options.ASCII {
		text = strings.NewReplacer("≈", "=", "▼", "v", "▲", "^", "│", "|", "±", "+-").Replace(text)
	}
	b.WriteString(text)
	text = strings.ReplaceAll(b.String(), "\u00a0", " ")
	if options.ASCII {
		text = strings.Map(func(r rune) rune {
			if r > unicodeLimit {
				return '?'
			}
			return r
		}, strings.NewReplacer("−", "-", "–", "-", "±", "+-", "×", "x").Replace(text))
	}
	_, err := io.WriteString(w, text)
	return err
}

// unicodeLimit is the last character of ASCII.
const unicodeLimit = 0x7f

type barSigns struct{ outside, line, from, to, middle, margin rune }

// bar draws an interval over three margins to either side.
func bar(r *row, signs barSigns) string {
	cells := []rune(strings.Repeat(string(signs.outside), barWidth))
	reach := 3 * r.comparison.Margin
	at := func(x float64) int {
		if reach == 0 {
			return barWidth / 2
		}
		place := (x/reach + 1) / 2 * (barWidth - 1)
		return int(math.Round(min(max(place, 0), barWidth-1)))
	}
	lo, hi := at(r.wide[0]), at(r.wide[1])
	for i := lo; i <= hi; i++ {
		cells[i] = signs.line
	}
	for _, edge := range []float64{-r.comparison.Margin, r.comparison.Margin} {
		cells[at(edge)] = signs.margin
	}
	if r.wide[0] >= -reach {
		cells[lo] = signs.from
	}
	if r.wide[1] <= reach {
		cells[hi] = signs.to
	}
	cells[at(r.comparison.Delta)] = signs.middle
	return string(cells)
}

// pad makes text just as wide, cut if need be.
func pad(text string, width int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
	if n := utf8.RuneCountInString(text); n <= width {
		return text + strings.Repeat(" ", width-n)
	}
	return string([]rune(text)[:width-1]) + "…"
}

// wrap breaks a text into lines.
func wrap(text string, width int) string {
	var b strings.Builder
	column := 0
	for word := range strings.SplitSeq(text, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case column == 0:
		case column+1+n > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String() + "\n"
}

// percentOf writes a share that was chosen, such as 2 % or 0.5 %.
func percentOf(x float64) string { return fmt.Sprintf("%g"+percentSign, math.Round(1e6*x)/1e4) }
