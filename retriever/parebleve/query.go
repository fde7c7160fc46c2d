package parebleve

import (
	"context"
	"errors"
	"fmt"

	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/query"
	bleveindex "github.com/blevesearch/bleve_index_api"

	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/querypruner"
)

// Query is a bleve query that scores documents by MaxSim: for each token of
// its text the largest similarity with a token of the document's field, summed
// up. It must be set up before it is used, and may then be used by any number
// of searches at once. It needs an index that parebleve opened, alone or in an
// alias.
//
// Scores of a Query are absolute: they are the same in every composition, times
// the boost, but for hits of later pages, which never score more than those of
// earlier ones (steps.go). So bleve's query norm does not apply to them. (The factor that a
// bleve disjunction applies for clauses that do not match does; a boolean query
// with must and should clauses has no such factor.)
//
// A Query that is alone in a request matches as many documents as the request
// asks for. In any other place it matches the best Options.Matches of them, or
// as many as SetMatches says, and those that rank lower do not count, neither in
// Total nor in facets. Which clauses stand beside it makes no difference to that:
// where a Query is a must, should or filter clause of a BooleanQuery or part of
// a ConjunctionQuery, also one within the other, it looks for the best documents
// among those that pass the other must clauses, the filter and must_not. These
// clauses are executed to the end then, which takes about 0.1 µs for each document
// that they match. Not so with a Rescore, whose window is what its child says, in
// must_not clauses, and in queries of a kind that bleve does not have.
type Query struct {
	field, text string
	boost       float64
	filter      query.Query
	child       query.Query
	window      int
	pruner      *querypruner.Pruner
	search      *index.SearchOptions
	tuned       searchJSON // in place of some of the index's options
	matches     int
}

var (
	_ query.BoostableQuery   = (*Query)(nil)
	_ query.FieldableQuery   = (*Query)(nil)
	_ query.ValidatableQuery = (*Query)(nil)
)

// NewQuery returns a query for the documents whose field is most similar to
// text.
func NewQuery(field, text string) *Query {
	return &Query{field: field, text: text, boost: 1}
}

// Rescore returns a query for the best window hits of any bleve query, scored
// by MaxSim. Documents that have no vectors are encoded on the spot, from their
// stored text, and scored exactly; those that have no stored text either score
// zero. A text without any tokens leaves the hits and their scores as they are.
func Rescore(child query.Query, field, text string, window int) *Query {
	q := NewQuery(field, text)
	q.Window(child, window)
	return q
}

// Window makes the query score the best n hits of child, instead of looking
// for candidates itself. See Rescore.
func (q *Query) Window(child query.Query, n int) { q.child, q.window = child, n }

// SetFilter restricts the query to what another query matches. Unlike a bleve
// filter, which drops hits that are scored already, it does so before
// candidates are looked for, so that as many are found as without it.
func (q *Query) SetFilter(filter query.Query) { q.filter = filter }

// SetBoost multiplies the scores; with 0 the query matches without scoring.
func (q *Query) SetBoost(b float64) { q.boost = b }

// Boost returns the factor of the scores.
func (q *Query) Boost() float64 { return q.boost }

// SetPruning says which query tokens look for candidates, in place of
// Options.Pruner.
func (q *Query) SetPruning(p querypruner.Pruner) { q.pruner = &p }

// SetSearch says how much work the query may do, in place of Options.Search.
func (q *Query) SetSearch(options index.SearchOptions) { q.search, q.tuned = &options, searchJSON{} }

// SetMatches says how many documents the query matches, whatever request it
// is in; see Options.Matches.
func (q *Query) SetMatches(n int) { q.matches = n }

// SetField sets the field.
func (q *Query) SetField(f string) { q.field = f }

// Field returns "_id", whatever the field: it tells bleve that what the query
// matches are whole documents, also in an index with nested mappings. In such
// an index bleve asks each part of a conjunction for its field, and would look
// for a hit within one nested document otherwise.
func (q *Query) Field() string { return "_id" }

// Validate reports settings that make no sense.
func (q *Query) Validate() error {
	var faults []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrQuery}, args...)...))
		}
	}
	bad(q.field != "", "no field")
	bad(q.boost >= 0, "boost %v, want 0 or more", q.boost)
	bad(q.child == nil || q.window > 0, "a window of %d hits", q.window)
	bad(q.matches >= 0, "%d matches", q.matches)
	if q.pruner != nil {
		faults = append(faults, q.pruner.Validate())
	}
	options := index.DefaultSearchOptions()
	if q.search != nil {
		options = *q.search
	}
	faults = append(faults, q.tuned.apply(&options), options.Validate())
	for _, sub := range []query.Query{q.child, q.filter} {
		if v, ok := sub.(query.ValidatableQuery); ok {
			faults = append(faults, v.Validate())
		}
	}
	return errors.Join(faults...)
}

// Searcher does the search, on the snapshot that reader is, and returns what
// hands out the hits.
func (q *Query) Searcher(ctx context.Context, reader bleveindex.IndexReader, m mapping.IndexMapping, options search.SearcherOptions) (search.Searcher, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	s := sessionOf(ctx)
	if s == nil {
		return nil, fmt.Errorf("%w: search what parebleve.Open, New or Wrap returned", ErrNotOpen)
	}
	snapshot, err := snapshotOf(reader)
	if err != nil {
		return nil, err
	}
	key := runKey{q, snapshot, s.asked(q), options}
	r := s.pass.known(key)
	if r == nil {
		tokens, err := s.tokensOf(ctx, q)
		if err != nil {
			return nil, err
		}
		if r, err = s.index.newRun(q, tokens, snapshot); err != nil {
			return nil, err
		}
		r.mapping, r.options, r.required, r.pass = m, options, s.required[q], s.pass
		if err := r.search(ctx, key.wanted); err != nil {
			return nil, err
		}
		s.pass.keep(key, r)
	}
	s.report(q, r.found)
	return &hitSearcher{ctx: ctx, run: r, hits: r.hits}, nil
}
