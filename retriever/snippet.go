package retriever

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pare-search/pare/encoder"
)

// Snippet cuts a piece of at most width bytes out of a text, where most of the
// marked places lie, and puts before and after around each of them. The piece
// begins and ends with whole words if it can. White space is folded, so that a
// snippet is one line. Ellipses show where text was left out; they and the
// marks come on top of width. Places that do not lie in the text are ignored.
func Snippet(text string, marks []encoder.Span, width int, before, after string) string {
	marks = fitSpans(text, marks)
	start, end := window(text, marks, max(width, 0))
	var f folder
	if strings.TrimSpace(text[:start]) != "" {
		f.WriteString("…")
		f.space = true
	}
	at := start
	for _, mark := range marks {
		if mark.Start < start || mark.End > end {
			continue
		}
		f.fold(text[at:mark.Start])
		f.flush()
		f.WriteString(before)
		f.fold(text[mark.Start:mark.End])
		f.WriteString(after)
		at = mark.End
	}
	f.fold(text[at:end])
	if strings.TrimSpace(text[end:]) != "" {
		f.space = f.Len() > 0
		f.fold("…")
	}
	return f.String()
}

// fitSpans returns the spans that lie in the text, at the bounds of runes and
// without white space around them, sorted and merged.
func fitSpans(text string, spans []encoder.Span) []encoder.Span {
	fitting := make([]encoder.Span, 0, len(spans))
	for _, s := range spans {
		if s.In(text) == "" {
			continue
		}
		s.Start, s.End = runeStart(text, s.Start), runeEnd(text, s.End)
		covered := s.In(text)
		s.End -= len(covered) - len(strings.TrimRightFunc(covered, unicode.IsSpace))
		s.Start += len(covered) - len(strings.TrimLeftFunc(covered, unicode.IsSpace))
		if s.Start < s.End {
			fitting = append(fitting, s)
		}
	}
	return mergeSpans(fitting)
}

// runeStart moves a place inside a rune back to its start, runeEnd forward to
// its end. Bytes that are no UTF-8 are runes of their own.
func runeStart(text string, at int) int {
	for start := at - 1; start >= max(at-utf8.UTFMax+1, 0); start-- {
		if _, size := utf8.DecodeRuneInString(text[start:]); start+size > at {
			return start
		}
	}
	return at
}

func runeEnd(text string, at int) int {
	if start := runeStart(text, at); start < at {
		_, size := utf8.DecodeRuneInString(text[start:])
		return start + size
	}
	return at
}

// maxCut is how many bytes of a piece are given up to end it at a word.
const maxCut = 40

// window chooses the stretch of text, of at most width bytes, that holds the
// most marks, the earliest of equals.
func window(text string, marks []encoder.Span, width int) (start, end int) {
	if len(text) <= width {
		return 0, len(text)
	}
	first, last := mostMarks(marks, width)
	// Some context before the first mark makes it readable.
	context := min(width/4, width-(last-first))
	start = min(max(first-context, 0), len(text)-width)
	end = start + width
	return wordStart(text, start, first), wordEnd(text, max(last, min(start+1, end)), end)
}

// mostMarks returns the bounds of the most marks that fit into width, 0 and 0
// if none does.
func mostMarks(marks []encoder.Span, width int) (first, last int) {
	most, next := 0, 0 // marks[i:next] fit
	for i, mark := range marks {
		for next < len(marks) && marks[next].End-mark.Start <= width {
			next++
		}
		if next-i > most {
			most, first, last = next-i, mark.Start, marks[next-1].End
		}
		next = max(next, i+1)
	}
	return first, last
}

// wordStart moves the start of a piece forward to that of a word, but not
// beyond limit, or at least to that of a rune.
func wordStart(text string, start, limit int) int {
	if before, _ := utf8.DecodeLastRuneInString(text[:start]); start == 0 || unicode.IsSpace(before) {
		return start
	}
	if limit = min(limit, start+maxCut); limit > start {
		if i := strings.IndexFunc(text[start:limit], unicode.IsSpace); i >= 0 {
			return start + i
		}
	}
	return runeEnd(text, start)
}

// wordEnd moves the end of a piece back to that of a word, but not before
// limit, or at least to that of a rune.
func wordEnd(text string, limit, end int) int {
	if after, _ := utf8.DecodeRuneInString(text[end:]); end == len(text) || unicode.IsSpace(after) {
		return end
	}
	limit = max(limit, end-maxCut)
	if i := strings.LastIndexFunc(text[limit:end], unicode.IsSpace); i >= 0 {
		return limit + i
	}
	return runeStart(text, end)
}

// folder writes text with each run of white space as one space and none at
// the beginning or the end.
type folder struct {
	strings.Builder
	space bool // there is one to write before anything else
}

func (f *folder) fold(text string) {
	for _, r := range text {
		if unicode.IsSpace(r) {
			f.space = f.Len() > 0
			continue
		}
		f.flush()
		f.WriteRune(r)
	}
}

// flush writes the space that is due.
func (f *folder) flush() {
	if f.space {
		f.WriteByte(' ')
		f.space = false
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
