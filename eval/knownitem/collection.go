package knownitem

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/pare-search/pare/eval"
)

// ErrEmpty reports that no document or no query could be made.
var ErrEmpty = errors.New("knownitem: nothing usable found")

// ErrOptions reports options that Validate refuses.
var ErrOptions = errors.New("knownitem: invalid option")

// Document is one retrievable text. Title and Text together are what should be
// searched; Title alone heads a snippet.
type Document struct{ ID, Title, Text string }

// Query is one known-item query.
type Query struct{ ID, Text string }

// Collection is a test collection. Ids hold no white space, as TREC files
// demand.
type Collection struct {
	Name      string
	Documents []Document
	Queries   []Query
	// Qrels has for each query the one relevant document, with grade 1.
	Qrels eval.Qrels
	Stats Stats
}

// Stats counts what went into a collection and what was left out, and why.
// Each map goes from a reason to a count.
type Stats struct {
	Files            int // files read
	SkippedFiles     map[string]int
	SkippedDocuments map[string]int
	SkippedQueries   map[string]int
	UsableQueries    int // queries there were before sampling
}

func newStats() Stats {
	return Stats{
		SkippedFiles:     map[string]int{},
		SkippedDocuments: map[string]int{},
		SkippedQueries:   map[string]int{},
	}
}

// String is one line for people: "12 files read; skipped files: 3 binary; …".
func (s Stats) String() string {
	parts := []string{fmt.Sprintf("%d files read", s.Files)}
	for _, skipped := range []struct {
		what   string
		counts map[string]int
	}{
		{"files", s.SkippedFiles},
		{"documents", s.SkippedDocuments},
		{"queries", s.SkippedQueries},
	} {
		if len(skipped.counts) == 0 {
			continue
		}
		var reasons []string
		for _, reason := range slices.Sorted(maps.Keys(skipped.counts)) {
			reasons = append(reasons, fmt.Sprintf("%d %s", skipped.counts[reason], reason))
		}
		parts = append(parts, fmt.Sprintf("skipped %s: %s", skipped.what, strings.Join(reasons, ", ")))
	}
	return strings.Join(parts, "; ")
}

// Sample returns the collection with n of its queries, drawn by seed and kept
// in order; all of them when there are no more than n. The documents are
// shared with c.
func (c *Collection) Sample(n int, seed uint64) *Collection {
	sampled := *c
	sampled.Queries = nil
	sampled.Qrels = eval.Qrels{}
	for _, i := range draw(len(c.Queries), n, seed) {
		query := c.Queries[i]
		sampled.Queries = append(sampled.Queries, query)
		sampled.Qrels[query.ID] = c.Qrels[query.ID]
	}
	return &sampled
}

// draw returns min(n, total) distinct numbers below total in ascending order.
func draw(total, n int, seed uint64) []int {
	chosen := rand.New(rand.NewPCG(seed, 0)).Perm(total)
	chosen = chosen[:max(0, min(n, total))]
	slices.Sort(chosen)
	return chosen
}

// ask adds a query for a document.
func (c *Collection) ask(document, text string) {
	// Not the id of the document itself: some tools take a hit with the
	// query's own id out of every ranking.
	id := "q:" + document
	c.Queries = append(c.Queries, Query{ID: id, Text: text})
	c.Qrels[id] = map[string]int{document: 1}
}
