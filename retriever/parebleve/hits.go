package parebleve

import (
	"cmp"
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

// matchSearcher hands out matches that are complete, in the same order.
type matchSearcher struct {
	matches []*search.DocumentMatch
	boost   float64
	next    int
}

var (
	_ search.Searcher = (*hitSearcher)(nil)
	_ search.Searcher = (*matchSearcher)(nil)
)

// Next returns the next hit, nil after the last.
func (s *hitSearcher) Next(ctx *search.SearchContext) (*search.DocumentMatch, error) {
	if s.next == len(s.hits) {
		return nil, nil
	}
	h := &s.hits[s.next]
	s.next++
	match := ctx.DocumentMatchPool.Get()
	match.IndexInternalID = internalID(match.IndexInternalID, h.document)
	match.Score = s.run.score(h)
	if !s.run.explains() {
		return match, nil
	}
	return match, s.run.explain(s.ctx, h, match)
}

// Next returns the next match, nil after the last. Matches belong to bleve once
// they are handed out, so it returns copies.
func (s *matchSearcher) Next(ctx *search.SearchContext) (*search.DocumentMatch, error) {
	if s.next == len(s.matches) {
		return nil, nil
	}
	m := s.matches[s.next]
	s.next++
	match := ctx.DocumentMatchPool.Get()
	match.IndexInternalID = append(match.IndexInternalID[:0], m.IndexInternalID...)
	match.Score, match.Expl = m.Score, m.Expl
	match.FieldTermLocations = append(match.FieldTermLocations, m.FieldTermLocations...)
	return match, nil
}

// Advance returns the first hit from id on.
func (s *hitSearcher) Advance(ctx *search.SearchContext, id bleveindex.IndexInternalID) (*search.DocumentMatch, error) {
	skip, _ := slices.BinarySearchFunc(s.hits[s.next:], id.Value(), func(h hit, n uint64) int {
		return cmp.Compare(uint64(h.document), n)
	})
	s.next += skip
	return s.Next(ctx)
}

// Advance returns the first match from id on.
func (s *matchSearcher) Advance(ctx *search.SearchContext, id bleveindex.IndexInternalID) (*search.DocumentMatch, error) {
	skip, _ := slices.BinarySearchFunc(s.matches[s.next:], id.Value(), func(m *search.DocumentMatch, n uint64) int {
		return cmp.Compare(m.IndexInternalID.Value(), n)
	})
	s.next += skip
	return s.Next(ctx)
}

// Close does nothing: the snapshot is the caller's.
func (s *hitSearcher) Close() error   { return nil }
func (s *matchSearcher) Close() error { return nil }

// Weight is what the query adds to the sum that bleve makes its query norm of.
// It must not be zero: the norm is one divided by the root of the sum.
func (s *hitSearcher) Weight() float64   { return s.run.query.boost * s.run.query.boost }
func (s *matchSearcher) Weight() float64 { return s.boost * s.boost }

// SetQueryNorm is ignored, so that scores stay what they are.
func (s *hitSearcher) SetQueryNorm(float64)   {}
func (s *matchSearcher) SetQueryNorm(float64) {}

// Count is the number of hits; bleve begins a conjunction with the shortest.
func (s *hitSearcher) Count() uint64   { return uint64(len(s.hits)) }
func (s *matchSearcher) Count() uint64 { return uint64(len(s.matches)) }

// Min is the number of clauses that must match, 0 for a query without any.
func (s *hitSearcher) Min() int   { return 0 }
func (s *matchSearcher) Min() int { return 0 }

// Size is about how many bytes of memory the searcher takes.
func (s *hitSearcher) Size() int   { return len(s.hits) * 96 }
func (s *matchSearcher) Size() int { return len(s.matches) * 256 }

// DocumentMatchPoolSize is the number of matches that are in use at a time.
func (s *hitSearcher) DocumentMatchPoolSize() int   { return 1 }
func (s *matchSearcher) DocumentMatchPoolSize() int { return 1 }
