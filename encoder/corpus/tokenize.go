package corpus

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/snowballstem"
	"github.com/pare-search/pare/encoder"
)

// maxWordBytes bounds a word: longer runs of letters are no words of any
// language but encoded data, and are cut into pieces.
const maxWordBytes = 64

// maxCachedWords bounds the surface forms an analyzer remembers.
const maxCachedWords = 1 << 16

// term is one word of a text, lower-cased and stemmed, and where it stood.
type term struct {
	word string
	span encoder.Span
}

// analyzer turns texts into terms. It remembers the forms it has met, because
// stemming costs more than everything else, and so serves one goroutine.
type analyzer struct {
	splitCode bool
	lower     func(rune) rune
	stem      func(*snowballstem.Env) bool // nil for none
	stop      map[string]bool
	cache     map[string]form // by the bytes in the text
}

type form struct {
	word string
	stop bool
}

func newAnalyzer(language string, splitCode bool) *analyzer {
	a := &analyzer{
		splitCode: splitCode,
		lower:     unicode.ToLower,
		stem:      stemmers[language],
		stop:      stopWords()[language],
		cache:     map[string]form{},
	}
	if language == "turkish" {
		a.lower = unicode.TurkishCase.ToLower // I and İ are different letters
	}
	return a
}

// terms returns the terms of text in order, without stop words unless there is
// nothing else.
func (a *analyzer) terms(text string) []term {
	var terms, stops []term
	splitWords(text, a.splitCode, func(start, end int) {
		f := a.form(text[start:end])
		t := term{f.word, encoder.Span{Start: start, End: end}}
		switch {
		case !f.stop:
			terms = append(terms, t)
		case len(terms) == 0:
			stops = append(stops, t)
		}
	})
	if len(terms) == 0 {
		return stops
	}
	return terms
}

func (a *analyzer) form(surface string) form {
	if f, ok := a.cache[surface]; ok {
		return f
	}
	if len(a.cache) >= maxCachedWords {
		clear(a.cache)
	}
	// Clones, so that the cache does not keep whole texts in memory.
	word := strings.Clone(strings.Map(a.lower, surface))
	f := form{word, a.stop[word]}
	if a.stem != nil && !f.stop {
		env := snowballstem.NewEnv(word)
		a.stem(env)
		if stemmed := env.Current(); stemmed != "" {
			f.word = strings.Clone(stemmed)
		}
	}
	a.cache[strings.Clone(surface)] = f
	return f
}

// splitWords calls yield with the byte range of every word of text, in order.
//
// With code, words end at underscores and where the case changes: before a
// capital that follows a small letter (readAll), and before the last capital
// of a run when two small letters follow it (HTTPServer, but IDs and IPv4 stay
// whole). A digit is part of the word before it (sha256Sum, int8).
func splitWords(text string, code bool, yield func(start, end int)) {
	start := -1     // of the current word
	previous := ' ' // the last letter or digit of the current word
	flush := func(end int) {
		if start < 0 {
			return
		}
		if !code {
			end = start + len(strings.TrimRight(text[start:end], "_"))
		}
		yield(start, end)
		start = -1
	}
	for i, size := 0, 0; i < len(text); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(text[i:])
		mark := unicode.IsMark(r)
		if !isWordRune(r) && (start < 0 || !mark && (r != '_' || code)) {
			flush(i)
			continue
		}
		if start >= 0 && !mark {
			cut := isIdeograph(r) || isIdeograph(previous)
			cut = cut || code && caseChanges(previous, r, text[i+size:])
			if cut {
				flush(i)
			}
		}
		if start >= 0 && i+size-start > maxWordBytes {
			flush(i)
			if !isWordRune(r) {
				continue // no word starts with a mark or an underscore
			}
		}
		if start < 0 {
			start = i
		}
		if !mark {
			previous = r
		}
	}
	flush(len(text))
}

func isWordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

// isIdeograph reports letters of the scripts that are split into characters.
func isIdeograph(r rune) bool {
	return r >= 0x2E80 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana)
}

// caseChanges reports whether a part of an identifier starts at r, given the
// letter before it and the text after it.
func caseChanges(previous, r rune, rest string) bool {
	if !unicode.IsUpper(r) {
		return false
	}
	next, size := utf8.DecodeRuneInString(rest)
	switch {
	case unicode.IsLower(previous):
		return true
	case unicode.IsDigit(previous):
		return unicode.IsLower(next)
	case unicode.IsUpper(previous):
		afterNext, _ := utf8.DecodeRuneInString(rest[size:])
		return unicode.IsLower(next) && unicode.IsLower(afterNext)
	}
	return false
}
