package corpus

import (
	"embed"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/arabic"
	"github.com/blevesearch/snowballstem/danish"
	"github.com/blevesearch/snowballstem/dutch"
	"github.com/blevesearch/snowballstem/english"
	"github.com/blevesearch/snowballstem/finnish"
	"github.com/blevesearch/snowballstem/french"
	"github.com/blevesearch/snowballstem/german"
	"github.com/blevesearch/snowballstem/hungarian"
	"github.com/blevesearch/snowballstem/irish"
	"github.com/blevesearch/snowballstem/italian"
	"github.com/blevesearch/snowballstem/norwegian"
	"github.com/blevesearch/snowballstem/porter"
	"github.com/blevesearch/snowballstem/portuguese"
	"github.com/blevesearch/snowballstem/romanian"
	"github.com/blevesearch/snowballstem/russian"
	"github.com/blevesearch/snowballstem/spanish"
	"github.com/blevesearch/snowballstem/swedish"
	"github.com/blevesearch/snowballstem/tamil"
	"github.com/blevesearch/snowballstem/turkish"
)

var stemmers = map[string]func(*snowballstem.Env) bool{
	"arabic":     arabic.Stem,
	"danish":     danish.Stem,
	"dutch":      dutch.Stem,
	"english":    english.Stem,
	"finnish":    finnish.Stem,
	"french":     french.Stem,
	"german":     german.Stem,
	"hungarian":  hungarian.Stem,
	"irish":      irish.Stem,
	"italian":    italian.Stem,
	"norwegian":  norwegian.Stem,
	"porter":     porter.Stem, // the first English stemmer, for comparisons
	"portuguese": portuguese.Stem,
	"romanian":   romanian.Stem,
	"russian":    russian.Stem,
	"spanish":    spanish.Stem,
	"swedish":    swedish.Stem,
	"tamil":      tamil.Stem,
	"turkish":    turkish.Stem,
}

// Languages lists the values of Options.Language in alphabetical order.
func Languages() []string { return slices.Sorted(maps.Keys(stemmers)) }

// StopWords returns the list of a language's stop words in alphabetical order,
// nil where there is none.
func StopWords(language string) []string {
	words, ok := stopWords()[language]
	if !ok {
		return nil
	}
	return slices.Sorted(maps.Keys(words))
}

//go:embed stopwords/*.txt
var stopFiles embed.FS

// stopWords reads the embedded lists once: words by language. Lines that start
// with # are comments.
var stopWords = sync.OnceValue(func() map[string]map[string]bool {
	lists := map[string]map[string]bool{}
	for language := range stemmers {
		text, err := stopFiles.ReadFile("stopwords/" + language + ".txt")
		if err != nil {
			continue // no list for this language
		}
		words := map[string]bool{}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "#") {
				continue
			}
			for _, word := range strings.Fields(line) {
				words[word] = true
			}
		}
		lists[language] = words
	}
	lists["porter"] = lists["english"]
	return lists
})
