package main

// The voice of the command line, the same in every command:
//
//   - stdout carries data and nothing else; "pare … > file" is always safe.
//   - stderr carries talk: progress (a bar on a terminal, elsewhere a line every 15
//     seconds at most), statistics, errors. --quiet leaves only the errors.
//   - An error is one line, "pare: " and what is wrong with what, in lower case and
//     without a full stop. What to do about it follows in lines "hint: …".
//   - --format says how data is written: table for people, tsv for cut and awk,
//     json for programs, md for reports. Formats are never guessed from where the
//     output goes. The table may change between versions; the others are kept.
//   - Names are those of the flags and configuration keys. Times carry their unit,
//     shares are written as percentages, "-" stands for a value that does not exist.
//   - No colour or type carries meaning, nothing asks questions, and nothing is written
//     outside of the paths that the user named, but for models that "pare model get"
//     puts into the user's cache.

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"
)

// column is a named column of a table; numbers are set to the right.
type column struct {
	name   string
	number bool
}

// table is a result in rows and columns.
type table struct {
	columns []column
	rows    [][]string
}

// emit writes a result: t as table, tsv or md, the same facts in value as json.
func emit(w io.Writer, format string, t table, value any) error {
	switch format {
	case "table":
		return t.writeText(w)
	case "tsv":
		return t.writeTSV(w)
	case "md":
		return t.writeMarkdown(w)
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	default:
		return fmt.Errorf("unknown format %q", format)
	}
}

// emitAll writes the same facts as json or as tables with a line between them.
func emitAll(w io.Writer, format string, value any, tables ...table) error {
	if format == "json" {
		return emit(w, format, table{}, value)
	}
	for i, t := range tables {
		if i > 0 {
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
		}
		if err := emit(w, format, t, nil); err != nil {
			return err
		}
	}
	return nil
}

// writeText writes aligned columns under their names.
func (t table) writeText(w io.Writer) error {
	lines := [][]string{t.names(heading)}
	for _, row := range t.rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = oneLine(cell)
		}
		lines = append(lines, cells)
	}
	widths := make([]int, len(t.columns))
	for _, cells := range lines {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, cells := range lines {
		var line strings.Builder
		for i, cell := range cells {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if t.columns[i].number {
				line.WriteString(space + cell + "  ")
			} else {
				line.WriteString(cell + space + "  ")
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// heading writes a column's name in capitals, unless it is a name of its own,
// such as nDCG@10, which has its capitals already.
func heading(name string) string {
	if name != strings.ToLower(name) {
		return name
	}
	return strings.ToUpper(name)
}

// writeTSV writes a line of names and a line per row.
func (t table) writeTSV(w io.Writer) error {
	return writeTSVRows(w, slices.Concat([][]string{t.names(strings.TrimSpace)}, t.rows))
}

// writeTSVRows writes a line per row.
func writeTSVRows(w io.Writer, rows [][]string) error {
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(oneLine(cell))
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeMarkdown writes a table as GitHub renders it.
func (t table) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	line := func(cells []string) {
		for _, cell := range cells {
			b.WriteString("| " + strings.ReplaceAll(oneLine(cell), "|", `\|`) + " ")
		}
		b.WriteString("|\n")
	}
	line(t.names(strings.TrimSpace))
	rules := make([]string, len(t.columns))
	for i, c := range t.columns {
		rules[i] = "---"
		if c.number {
			rules[i] = "---:"
		}
	}
	line(rules)
	for _, row := range t.rows {
		line(row)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// names returns the names of the columns, each changed by style.
func (t table) names(style func(string) string) []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = style(c.name)
	}
	return names
}

// oneLine replaces the characters that would break a row.
func oneLine(cell string) string {
	return strings.NewReplacer("\t", " ", "\r\n", " ", "\n", " ", "\r", " ").Replace(cell)
}

// printable replaces the characters that could control a terminal by blanks of
// as many bytes.
func printable(text string) string {
	b := []byte(text)
	for i, c := range b {
		switch {
		case c < ' ' || c == 0x7f:
			b[i] = ' '
		case c >= 0x80 && c < 0xa0 && i > 0 && b[i-1] == 0xc2:
			b[i] = 0xa0 // U+0080 to U+009F become U+00A0
		}
	}
	return string(b)
}

// styled tells whether w shows bold type: a terminal whose user did not set
// NO_COLOR.
func styled(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == ""
}

// byteSize writes a number of bytes for people.
func byteSize(bytes int64) string {
	switch {
	case bytes < 1000:
		return fmt.Sprintf("%d B", bytes)
	case bytes < 1000_000:
		return fmt.Sprintf("%.1f kB", float64(bytes)/1000)
	case bytes < 1000_000_000:
		return fmt.Sprintf("%.1f MB", float64(bytes)/1000_000)
	default:
		return fmt.Sprintf("%.2f GB", float64(bytes)/1000_000_000)
	}
}

// note writes a line of talk unless --quiet is given.
func (a *app) note(stderr io.Writer, format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(stderr, format+"\n", args...)
	}
}

// formatFlag is the value of a flag --format.
type formatFlag struct {
	value   string
	allowed []string
}

// addFormat adds --format to flags; the first of the formats is the default.
func addFormat(flags *pflag.FlagSet, formats ...string) *formatFlag {
	f := &formatFlag{formats[0], formats}
	flags.Var(f, "format", "how to write the result")
	return f
}

func (f *formatFlag) String() string { return f.value }
func (f *formatFlag) Type() string   { return strings.Join(f.allowed, "|") }

func (f *formatFlag) Set(text string) error {
	if !slices.Contains(f.allowed, text) {
		return fmt.Errorf("want %s", strings.Join(f.allowed, ", "))
	}
	f.value = text
	return nil
}
