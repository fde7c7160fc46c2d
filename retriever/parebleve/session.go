package parebleve

import (
	"context"
	"sync/atomic"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/query"
)

// session is what a Query needs to know about the request that it is part of.
// It comes with the context.
type session struct {
	index *Index
	// top is the request's query if its hits and nothing else are asked for,
	// best first; size is how many of them.
	top   query.Query
	size  int
	found atomic.Uint64 // documents that top found
}

type sessionKey struct{}

func sessionOf(ctx context.Context) *session {
	s, _ := ctx.Value(sessionKey{}).(*session)
	return s
}

func newSession(x *Index, req *bleve.SearchRequest) *session {
	s := &session{index: x, size: req.Size + req.From}
	cursor := req.SearchAfter != nil || req.SearchBefore != nil
	if len(req.Facets) == 0 && !cursor && req.Score == "" && byScore(req.Sort) {
		s.top = req.Query
	}
	return s
}

// byScore tells whether an order is bleve's usual one.
func byScore(order search.SortOrder) bool {
	if len(order) != 1 {
		return false
	}
	score, ok := order[0].(*search.SortScore)
	return ok && score.Desc
}

// matches returns how many documents a query is to match.
func (s *session) matches(q *Query) int {
	switch {
	case q.matches > 0:
		return q.matches
	case s.top == query.Query(q):
		return s.size
	default:
		return max(s.index.options.Matches, s.size)
	}
}

// report notes how many documents a query has found to choose its matches from.
func (s *session) report(q *Query, found int) {
	if s.top == query.Query(q) && q.matches == 0 {
		s.found.Store(uint64(found))
	}
}
