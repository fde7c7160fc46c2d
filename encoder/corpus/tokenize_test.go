package corpus

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func split(text string, code bool) []string {
	var words []string
	splitWords(text, code, func(start, end int) { words = append(words, text[start:end]) })
	return words
}

func TestSplitWords(t *testing.T) {
	for _, test := range []struct {
		text  string
		code  string // words with SplitCode, separated by spaces
		plain string // words without it
	}{
		{"", "", ""},
		{"  .,;  ", "", ""},
		{"plain words, 42 of them", "plain words 42 of them", "plain words 42 of them"},
		{"don't", "don t", "don t"},
		{"HTTPServer", "HTTP Server", "HTTPServer"},
		{"parseHTTPHeader", "parse HTTP Header", "parseHTTPHeader"},
		{"parse_http_header", "parse http header", "parse_http_header"},
		{"MAX_INT and _under__score_", "MAX INT and under score", "MAX_INT and under__score"},
		{"userIDs URLs", "user IDs URLs", "userIDs URLs"},
		{"IPv4Addr sha256Sum int8 H2O utf8", "IPv4 Addr sha256 Sum int8 H2O utf8", "IPv4Addr sha256Sum int8 H2O utf8"},
		{"GOMAXPROCS A aB", "GOMAXPROCS A a B", "GOMAXPROCS A aB"},
		{"größeÄndern naïve", "größe Ändern naïve", "größeÄndern naïve"},
		{"e\u0301te\u0301 \u0301x", "e\u0301te\u0301 x", "e\u0301te\u0301 x"}, // combining accents
		{"東京の tower塔", "東 京 の tower 塔", "東 京 の tower 塔"},
		{"a\xff\xfeb \xc3", "a b", "a b"}, // not UTF-8
		{strings.Repeat("x", 150), strings.Repeat("x", 64) + " " + strings.Repeat("x", 64) + " " + strings.Repeat("x", 22), strings.Repeat("x", 64) + " " + strings.Repeat("x", 64) + " " + strings.Repeat("x", 22)},
	} {
		if got := strings.Join(split(test.text, true), " "); got != test.code {
			t.Errorf("code %.40q: got %q, want %q", test.text, got, test.code)
		}
		if got := strings.Join(split(test.text, false), " "); got != test.plain {
			t.Errorf("plain %.40q: got %q, want %q", test.text, got, test.plain)
		}
	}
}

func TestTerms(t *testing.T) {
	for _, test := range []struct{ language, text, want string }{
		{"english", "The running dogs' owners", "run dog owner"},
		{"english", "To be or not to be", "to be or not to be"}, // nothing else
		{"english", "the flies", "fli"},
		{"", "The running dogs", "the running dogs"},
		{"german", "Die Häuser und die Straßen", "haus strass"},
		{"french", "l'homme des chevaux", "homm cheval"},
		{"russian", "книги", "книг"},
		{"turkish", "IŞIK", "ışık"},
	} {
		var got []string
		for _, term := range newAnalyzer(test.language, true).terms(test.text) {
			got = append(got, term.word)
		}
		if !slices.Equal(got, strings.Fields(test.want)) {
			t.Errorf("%q %q: got %q, want %q", test.language, test.text, got, test.want)
		}
	}
}

func TestStopWords(t *testing.T) {
	for _, language := range []string{"english", "german", "french", "spanish", "italian", "dutch", "portuguese", "porter"} {
		words := stopWords()[language]
		if len(words) < 50 {
			t.Errorf("%s has %d stop words", language, len(words))
		}
		for word := range words {
			if got := split(word, true); len(got) != 1 || got[0] != word || word != strings.ToLower(word) {
				t.Errorf("%s: %q is no single word in lower case", language, word)
			}
		}
	}
}

func FuzzTerms(f *testing.F) {
	for _, seed := range []string{"parseHTTPHeader of IPv4_addr", "東京の tower", "a\xffb\u0301", strings.Repeat("é", 100), "Ǆ İ ß"} {
		for i := range byte(len(Languages()) + 1) {
			f.Add(seed, i, i%2 == 0)
		}
	}
	languages := append(Languages(), "")
	f.Fuzz(func(t *testing.T, text string, language byte, code bool) {
		a := newAnalyzer(languages[int(language)%len(languages)], code)
		end := 0
		for _, term := range a.terms(text) {
			if term.span.Start < end || term.span.End <= term.span.Start || term.span.End > len(text) {
				t.Fatalf("span %v after %d", term.span, end)
			}
			end = term.span.End
			if term.span.End-term.span.Start > maxWordBytes {
				t.Fatalf("word of %d bytes", term.span.End-term.span.Start)
			}
			// The saved form keeps a word's length in one byte.
			if term.word == "" || len(term.word) > 255 || !utf8.ValidString(term.word) {
				t.Fatalf("word %q of %q", term.word, text[term.span.Start:term.span.End])
			}
		}
	})
}
