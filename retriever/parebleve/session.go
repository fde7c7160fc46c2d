package parebleve

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/query"

	"github.com/pare-search/pare/encoder"
)

// session is what a Query needs to know about the request that it is part of.
// It comes with the context.
type session struct {
	index *Index
	// top is the request's query if its hits and nothing else are asked for,
	// best first; size is how many of them.
	top      query.Query
	size     int
	required map[*Query]restriction
	pass     *pass
	found    atomic.Uint64 // documents that top found
}

// pass goes through a request, once if nothing is to be explained. To say
// which tokens of a document matched takes encoding it again, and which of the
// matches bleve is going to return shows only in the end. So a request for
// explanations or locations is executed twice: to see which hits are returned,
// and to explain these.
type pass struct {
	explains atomic.Bool     // explanations or locations were asked for
	page     map[string]bool // the ids of the hits to explain, nil the first time

	// Of the first time, for the second. There are no runs of the same snapshot
	// the second time if the index has changed.
	mu     sync.Mutex
	runs   map[runKey]*run
	tokens map[*Query]encoder.Tokens
}

// runKey is all that the hits of a run depend on.
type runKey struct {
	query    *Query
	snapshot *scorch.IndexSnapshot
	matches  int
	options  search.SearcherOptions
}

// again tells whether the request is to be executed again, now that its hits
// are known.
func (p *pass) again(result *bleve.SearchResult) bool {
	if p.page != nil || !p.explains.Load() || len(result.Hits) == 0 {
		return false
	}
	p.page = make(map[string]bool, len(result.Hits))
	for _, hit := range result.Hits {
		p.page[hit.ID] = true
	}
	return true
}

// known returns the run of the first time, nil if there is none.
func (p *pass) known(key runKey) *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runs[key]
}

// keep keeps a run for the second time, if there is going to be one.
func (p *pass) keep(key runKey, r *run) {
	if !r.explains() {
		return
	}
	p.explains.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs == nil {
		p.runs, p.tokens = make(map[runKey]*run), make(map[*Query]encoder.Tokens)
	}
	p.runs[key], p.tokens[key.query] = r, r.tokens
}

// tokensOf returns the tokens of a query.
func (s *session) tokensOf(ctx context.Context, q *Query) (encoder.Tokens, error) {
	s.pass.mu.Lock()
	tokens, ok := s.pass.tokens[q]
	s.pass.mu.Unlock()
	if ok {
		return tokens, nil
	}
	return s.index.encodeQuery(ctx, q)
}

type sessionKey struct{}

func sessionOf(ctx context.Context) *session {
	s, _ := ctx.Value(sessionKey{}).(*session)
	return s
}

func newSession(x *Index, req *bleve.SearchRequest, p *pass) *session {
	s := &session{index: x, size: req.Size + req.From, required: restrictions(req.Query), pass: p}
	cursor := req.SearchAfter != nil || req.SearchBefore != nil
	if len(req.Facets) == 0 && !cursor && req.Score == "" && byScore(req.Sort) {
		s.top = req.Query
	}
	return s
}

// within returns the session of a query whose best n hits are part of another
// one.
func (s *session) within(q query.Query, n int) *session {
	return &session{index: s.index, top: q, size: n, required: restrictions(q), pass: s.pass}
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
		return max(s.size, 1) // a request for no hits asks for their number
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
