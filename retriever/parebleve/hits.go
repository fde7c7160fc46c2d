package parebleve

import (
	"context"
	"slices"

	"github.com/blevesearch/bleve/v2/search"
	bleveindex "github.com/blevesearch/bleve_index_api"
)

// hitSearcher hands out the hits of a run, in ascending order of their numbers.
type hitSearcher struct {
	ctx  context.Context // of the search
	run  *run
	hits []hit
	next int
}

var _ search.Searcher = (*hitSearcher)(nil)

// Next returns the next hit, nil after the last.
func (s *hitSearcher) Next(ctx *search.SearchContext) (*search.DocumentMatch, error) {
	if s.next == len(s.hits) {
		return nil, nil
	}
	h := &s.hits[s.next]
	s.next++
	match := ctx.DocumentMatchPool.Get()
	match.IndexInternalID = internalID(match.IndexInternalID, h.document)
	if s.run.needsScores() {
		match.Score = float64(h.score) * s.run.query.boost
	}
	if !s.run.options.Explain && !s.run.options.IncludeTermVectors {
		return match, nil
	}
	return match, s.run.explain(s.ctx, h, match)
}

// Advance returns the first hit from id on.
func (s *hitSearcher) Advance(ctx *search.SearchContext, id bleveindex.IndexInternalID) (*search.DocumentMatch, error) {
	number := id.Value()
	i, _ := slices.BinarySearchFunc(s.hits[s.next:], number, func(h hit, n uint64) int {
		switch {
		case uint64(h.document) < n:
			return -1
		case uint64(h.document) > n:
			return 1
		}
		return 0
	})
	s.next += i
	return s.Next(ctx)
}

// Close does nothing: the snapshot is the caller's.
func (s *hitSearcher) Close() error { return nil }

// Weight is what the query adds to the sum that bleve makes its query norm of.
// It must not be zero: the norm is one divided by the root of the sum.
func (s *hitSearcher) Weight() float64 { return s.run.query.boost * s.run.query.boost }

// SetQueryNorm is ignored, so that scores stay what they are.
func (s *hitSearcher) SetQueryNorm(float64) {}

// Count is the number of hits; bleve begins a conjunction with the shortest.
func (s *hitSearcher) Count() uint64 { return uint64(len(s.hits)) }

// Min is the number of clauses that must match, 0 for a query without any.
func (s *hitSearcher) Min() int { return 0 }

// Size is about how many bytes of memory the searcher takes.
func (s *hitSearcher) Size() int { return len(s.hits) * 96 }

// DocumentMatchPoolSize is the number of matches that are in use at a time.
func (s *hitSearcher) DocumentMatchPoolSize() int { return 1 }
