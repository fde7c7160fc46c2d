package parebleve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/collector"
	"github.com/blevesearch/bleve/v2/search/query"
	bleveindex "github.com/blevesearch/bleve_index_api"

	"github.com/pare-search/pare/retriever/fusion"
)

// Fusion is a bleve query that merges the hits of several queries by
// reciprocal rank fusion, such as those of a match query and a Query: a
// document scores the sum of 1/(60+rank) over the lists it is in. Unlike
// bleve's "rrf", which fuses a query with bleve's own vectors, it is a query
// like any other. It must be set up before it is used.
type Fusion struct {
	queries []query.Query
	window  int
	boost   float64
}

var (
	_ query.BoostableQuery   = (*Fusion)(nil)
	_ query.ValidatableQuery = (*Fusion)(nil)
	_ query.FieldableQuery   = (*Fusion)(nil)
)

// Fuse returns a query for the best window hits of each query.
func Fuse(window int, queries ...query.Query) *Fusion {
	return &Fusion{queries: queries, window: window, boost: 1}
}

// SetBoost multiplies the scores.
func (f *Fusion) SetBoost(b float64) { f.boost = b }

// Boost returns the factor of the scores.
func (f *Fusion) Boost() float64 { return f.boost }

// SetField does nothing.
func (f *Fusion) SetField(string) {}

// Field returns "_id", as Query.Field does.
func (f *Fusion) Field() string { return "_id" }

// Validate reports settings that make no sense.
func (f *Fusion) Validate() error {
	var faults []error
	if len(f.queries) == 0 {
		faults = append(faults, fmt.Errorf("%w: nothing to fuse", ErrQuery))
	}
	if f.window <= 0 {
		faults = append(faults, fmt.Errorf("%w: a window of %d hits", ErrQuery, f.window))
	}
	for _, q := range f.queries {
		if v, ok := q.(query.ValidatableQuery); ok {
			faults = append(faults, v.Validate())
		}
	}
	return errors.Join(faults...)
}

// Searcher runs the queries one after the other.
func (f *Fusion) Searcher(ctx context.Context, reader bleveindex.IndexReader, m mapping.IndexMapping, options search.SearcherOptions) (search.Searcher, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	snapshot, err := snapshotOf(reader)
	if err != nil {
		return nil, err
	}
	matches := make(map[string]*search.DocumentMatch)
	lists := make([]fusion.List, len(f.queries))
	explanations := make(map[string][]*search.Explanation)
	for i, q := range f.queries {
		top, err := topHits(ctx, q, f.window, snapshot, m, options)
		if err != nil {
			return nil, err
		}
		// Equals are ranked as the fusion ranks them.
		slices.SortFunc(top, func(a, b *search.DocumentMatch) int {
			return fusion.Compare(fusion.Hit{ID: a.ID, Score: a.Score}, fusion.Hit{ID: b.ID, Score: b.Score})
		})
		for rank, hit := range top {
			lists[i] = append(lists[i], fusion.Hit{ID: hit.ID, Score: hit.Score})
			if matches[hit.ID] == nil {
				matches[hit.ID] = &search.DocumentMatch{IndexInternalID: hit.IndexInternalID}
			}
			matches[hit.ID].FieldTermLocations = append(matches[hit.ID].FieldTermLocations, flatten(hit.Locations)...)
			if options.Explain {
				explanations[hit.ID] = append(explanations[hit.ID], &search.Explanation{
					Value:    1 / float64(fusion.DefaultK+rank+1),
					Message:  fmt.Sprintf("rank %d of query %d", rank+1, i+1),
					Children: []*search.Explanation{hit.Expl},
				})
			}
		}
	}
	fused, err := fusion.ReciprocalRank(fusion.DefaultK, nil, lists...)
	if err != nil {
		return nil, err
	}
	previous := math.Inf(1)
	for _, hit := range fused {
		match := matches[hit.ID]
		match.Score = hit.Score * f.boost
		// bleve orders equals by their numbers, which change when segments are merged.
		if match.Score > 0 && match.Score >= previous {
			match.Score = math.Nextafter(previous, 0)
		}
		previous = match.Score
		if options.Explain {
			match.Expl = &search.Explanation{Value: match.Score, Message: fmt.Sprintf("reciprocal rank fusion, boost %v, sum of:", f.boost), Children: explanations[hit.ID]}
		}
	}
	ordered := slices.SortedFunc(maps.Values(matches), func(a, b *search.DocumentMatch) int {
		return cmp.Compare(a.IndexInternalID.Value(), b.IndexInternalID.Value())
	})
	return &matchSearcher{matches: ordered, boost: f.boost}, nil
}

// topHits runs a query and returns its best n hits.
func topHits(ctx context.Context, q query.Query, n int, snapshot *scorch.IndexSnapshot, m mapping.IndexMapping, options search.SearcherOptions) (_ search.DocumentMatchCollection, err error) {
	// What the context says about the request is about its own hits.
	ctx = context.WithValue(ctx, search.MakeDocumentMatchHandlerKey, nil)
	if s := sessionOf(ctx); s != nil {
		ctx = context.WithValue(ctx, sessionKey{}, s.within(q, n))
	}
	s, err := q.Searcher(ctx, snapshot, m, options)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	best := search.SortOrder{&search.SortScore{Desc: true}}
	top := collector.NewTopNCollector(n, 0, best)
	if nested, _ := ctx.Value(search.NestedSearchKey).(bool); nested {
		top = collector.NewNestedTopNCollector(n, 0, best, snapshot)
	}
	if err := top.Collect(ctx, s, snapshot); err != nil {
		return nil, err
	}
	return top.Results(), nil
}

// flatten undoes search.DocumentMatch.Complete.
func flatten(locations search.FieldTermLocationMap) []search.FieldTermLocation {
	var list []search.FieldTermLocation
	for _, field := range slices.Sorted(maps.Keys(locations)) {
		for _, term := range slices.Sorted(maps.Keys(locations[field])) {
			for _, l := range locations[field][term] {
				list = append(list, search.FieldTermLocation{Field: field, Term: term, Location: *l})
			}
		}
	}
	return list
}
