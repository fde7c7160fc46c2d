package knownitem

import (
	"cmp"
	"iter"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/pare-search/pare/internal/reservoir"
)

// Sentences makes queries for documents that stay as they are: it draws up to n
// of those that have a sentence of 6 to 25 words, and of each one such sentence.
// Documents without capital letters are cut at full stops, question and
// exclamation marks. It goes through the documents once, and keeps n queries in
// memory; queries are in the order of the documents. An error of documents is
// returned.
//
// The document that a sentence is from, which source gives by query id, is bound
// to be found, so it must not count among the results. The others that a search
// finds tell what it finds.
func Sentences(documents iter.Seq2[Document, error], n int, seed uint64) (queries []Query, source map[string]string, err error) {
	type drawn struct {
		place    int
		id, text string
	}
	random := rand.New(rand.NewPCG(seed, 0))
	sample := reservoir.New[drawn](n, random)
	for document, err := range documents {
		if err != nil {
			return nil, nil, err
		}
		found := sentencesOf(document.Text)
		if len(found) == 0 {
			continue
		}
		sample.Add(drawn{sample.Offered(), document.ID, found[random.IntN(len(found))]})
	}
	slices.SortFunc(sample.Items, func(a, b drawn) int { return cmp.Compare(a.place, b.place) })
	source = make(map[string]string, len(sample.Items))
	asked := make(map[string]bool, len(sample.Items))
	for _, d := range sample.Items {
		if asked[normal(d.text)] {
			continue // one sentence in two documents
		}
		asked[normal(d.text)] = true
		query := Query{ID: "q:" + d.id, Text: d.text}
		queries = append(queries, query)
		source[query.ID] = d.id
	}
	return queries, source, nil
}

var sentenceEnd = regexp.MustCompile(`[.!?]\s+`)

// sentencesOf returns the sentences of a text that could be queries.
func sentencesOf(text string) []string {
	split := splitter{minContentWords: 3}
	var found []string
	if strings.ContainsFunc(text, unicode.IsUpper) {
		for _, c := range split.join(textBlocks(text)).candidates {
			found = append(found, c.query)
		}
		return found
	}
	for _, sentence := range sentenceEnd.Split(text, -1) {
		sentence = strings.Join(strings.Fields(sentence), " ")
		n := len(words(sentence))
		if n >= minQueryWords && n <= maxQueryWords && len(contentWords(sentence)) >= split.minContentWords {
			found = append(found, sentence)
		}
	}
	return found
}
