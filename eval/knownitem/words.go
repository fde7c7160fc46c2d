package knownitem

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// words returns the runs of letters and digits of text.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	})
}

// contentWords returns the lower-case words of text that are no English stop
// words, with identifiers cut where a capital follows a small letter.
func contentWords(text string) []string {
	var content []string
	for _, word := range words(text) {
		start := 0
		var previous rune
		for i, r := range word {
			if unicode.IsUpper(r) && unicode.IsLower(previous) {
				content = appendContent(content, word[start:i])
				start = i
			}
			previous = r
		}
		content = appendContent(content, word[start:])
	}
	return content
}

func appendContent(content []string, word string) []string {
	word = strings.ToLower(word)
	if stopWords[word] {
		return content
	}
	return append(content, word)
}

// normal is the form in which texts count as the same: lower-case words.
func normal(text string) string {
	return strings.ToLower(strings.Join(words(text), " "))
}

// removeWord takes every whole-word occurrence of name out of a sentence and
// tidies what is left.
func removeWord(sentence, name string) string {
	isPart := func(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }
	var kept strings.Builder
	for rest := sentence; ; {
		at := strings.Index(rest, name)
		if at < 0 {
			kept.WriteString(rest)
			break
		}
		end := at + len(name)
		before, _ := utf8.DecodeLastRuneInString(sentence[:len(sentence)-len(rest)+at])
		after, _ := utf8.DecodeRuneInString(rest[end:])
		if isPart(before) || isPart(after) {
			kept.WriteString(rest[:end])
		} else {
			kept.WriteString(rest[:at])
		}
		rest = rest[end:]
	}
	return strings.Join(strings.Fields(kept.String()), " ")
}

// stopWords is the English list of the Snowball project
// (snowballstem.org/algorithms/english/stop.txt), with the pieces that
// contractions leave when cut at the apostrophe.
var stopWords = func() map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(`
		i me my myself we us our ours ourselves you your yours yourself yourselves
		he him his himself she her hers herself it its itself they them their theirs themselves
		what which who whom this that these those
		am is are was were be been being have has had having do does did doing
		would should could ought cannot
		ll m re ve d s t don doesn didn isn aren wasn weren hasn haven hadn won wouldn shouldn couldn mustn
		a an the and but if or because as until while of at by for with about against between into
		through during before after above below to from up down in out on off over under
		again further then once here there when where why how all any both each few more most
		other some such no nor not only own same so than too very`) {
		set[word] = true
	}
	return set
}()
