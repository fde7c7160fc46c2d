package retriever

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pare-search/pare/encoder"
)

// Snippet cuts a piece of at most about width bytes out of a text, where most
// of the marked places lie, and puts before and after around each of them.
// White space is folded, so that a snippet is one line. Ellipses show where
// text was left out.
func Snippet(text string, marks []encoder.Span, width int, before, after string) string {
	marks = mergeSpans(marks)
	start, end := window(text, marks, width)
	var b strings.Builder
	if start > 0 {
		b.WriteString("… ")
	}
	at := start
	for _, mark := range marks {
		if mark.Start < at || mark.End > end {
			continue
		}
		writeFolded(&b, text[at:mark.Start])
		b.WriteString(before)
		writeFolded(&b, text[mark.Start:mark.End])
		b.WriteString(after)
		at = mark.End
	}
	writeFolded(&b, text[at:end])
	snippet := strings.TrimSpace(b.String())
	if end < len(text) {
		snippet += " …"
	}
	return snippet
}

// window chooses the stretch of text that holds the most marks, the earliest
// of equals, and widens it to whole words.
func window(text string, marks []encoder.Span, width int) (start, end int) {
	if len(text) <= width {
		return 0, len(text)
	}
	most, first := 0, 0
	for i, mark := range marks {
		count := 0
		for _, other := range marks[i:] {
			if other.End-mark.Start <= width {
				count++
			}
		}
		if count > most {
			most, first = count, mark.Start
		}
	}
	// Some context before the first mark makes it readable.
	start = min(max(first-width/4, 0), len(text)-width)
	end = start + width
	if most > 0 && first+width/2 < start {
		start = first
	}
	return wordStart(text, start), wordEnd(text, end)
}

// wordStart moves a cut forward to the beginning of a word, wordEnd moves one
// back to the end of a word; both leave cuts in very long words at a rune.
func wordStart(text string, at int) int {
	if at == 0 {
		return 0
	}
	if i := strings.IndexFunc(text[at:min(at+40, len(text))], unicode.IsSpace); i >= 0 {
		return at + i
	}
	for at < len(text) && !utf8.RuneStart(text[at]) {
		at++
	}
	return at
}

func wordEnd(text string, at int) int {
	if at >= len(text) {
		return len(text)
	}
	low := max(at-40, 0)
	if i := strings.LastIndexFunc(text[low:at], unicode.IsSpace); i >= 0 {
		return low + i
	}
	for at > 0 && !utf8.RuneStart(text[at]) {
		at--
	}
	return at
}

// writeFolded writes text with each run of white space as one space.
func writeFolded(b *strings.Builder, text string) {
	space := false
	for _, r := range text {
		if unicode.IsSpace(r) {
			space = true
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	if space {
		b.WriteByte(' ')
	}
}

// mergeSpans sorts spans and joins those that overlap.
func mergeSpans(spans []encoder.Span) []encoder.Span {
	sorted := slices.SortedFunc(slices.Values(spans), func(a, b encoder.Span) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End))
	})
	merged := sorted[:0]
	for _, s := range sorted {
		if last := len(merged) - 1; last >= 0 && s.Start < merged[last].End {
			merged[last].End = max(merged[last].End, s.End)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}
