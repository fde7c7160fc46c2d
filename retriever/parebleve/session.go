package parebleve

import (
	"context"
	"math"
	"strconv"
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
	// top is the request's query and wanted what is asked for of its hits; size is
	// how many hits of the whole are asked for. counted tells whether what top
	// found is the total.
	top      query.Query
	wanted   wanted
	size     int
	counted  bool
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
	wanted   wanted
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

// wanted says which hits of a query are asked for.
type wanted struct {
	n     int     // the best n
	below float64 // of those that score less; +Inf for all
	ties  bool    // and all that score like the last of them, for another order of equals
	least int     // the fewest that any request asks for, see steps
}

// newSession says what a request asks for.
func newSession(x *Index, req *bleve.SearchRequest, p *pass) *session {
	s := &session{index: x, top: req.Query, size: req.Size + req.From, required: restrictions(req.Query), pass: p}
	if w, ok := s.bestOf(req); ok {
		s.wanted, s.counted = w, true
	} else {
		s.wanted = best(max(s.size, x.options.Matches))
	}
	return s
}

// within returns the session of a query whose best n hits are part of another
// one.
func (s *session) within(q query.Query, n int) *session {
	return &session{index: s.index, top: q, wanted: best(n), size: n, counted: true, required: restrictions(q), pass: s.pass}
}

// best is the best n hits.
func best(n int) wanted { return wanted{n: n, below: math.Inf(1)} }

// bestOf returns which hits a request asks for of a query that is alone in it,
// if it asks for the best of all, or for those beside the cursor of another
// page, and for nothing else.
func (s *session) bestOf(req *bleve.SearchRequest) (wanted, bool) {
	if len(req.Sort) == 0 || len(req.Facets) > 0 || req.Score != "" {
		return wanted{}, false
	}
	score, ok := req.Sort[0].(*search.SortScore)
	if !ok {
		return wanted{}, false
	}
	w := best(max(s.size, 1)) // a request for no hits asks for their number
	w.ties = len(req.Sort) > 1
	cursor := req.SearchAfter
	switch {
	case req.SearchBefore == nil && req.SearchAfter == nil:
		return w, score.Desc
	case req.SearchBefore != nil && score.Desc:
		w.n, cursor = 0, req.SearchBefore
	case req.SearchAfter != nil && !score.Desc: // an alias turns the order round for what is before
		w.n = 0
	case req.SearchBefore != nil:
		return wanted{}, false
	}
	var err error
	w.below, err = strconv.ParseFloat(cursor[0], 64)
	return w, err == nil
}

// asked returns what is asked for of a query.
func (s *session) asked(q *Query) wanted {
	w := s.wanted
	switch {
	case q.matches > 0:
		w = best(q.matches)
		w.least = q.matches
	case s.top != query.Query(q):
		w = best(max(s.index.options.Matches, s.size))
		w.least = s.index.options.Matches
	}
	return w
}

// report notes how many documents a query has found to choose its matches from.
func (s *session) report(q *Query, found int) {
	if s.counted && s.top == query.Query(q) && q.matches == 0 {
		s.found.Store(uint64(found))
	}
}
