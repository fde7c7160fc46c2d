package parebleve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/search"
	bleveindex "github.com/blevesearch/bleve_index_api"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// run is one execution of a Query.
type run struct {
	index    *Index
	query    *Query
	field    *field
	snapshot *scorch.IndexSnapshot
	mapping  mapping.IndexMapping
	options  search.SearcherOptions

	tokens encoder.Tokens
	packed *simd.Query
	groups []group
	found  int
}

// group is the documents that are coded with one codebook, and what the query
// rows are used for there.
type group struct {
	source    *source
	selection querypruner.Selection
	scorer    *codec.Scorer // for explanations, nil before the first
}

// hit is a document with its score.
type hit struct {
	document uint32
	id       string
	score    float32
	// How the score came about: the group it is from, or the vectors that were
	// made on the spot.
	group *group
	fresh *encoder.Tokens
	first float64 // the child's score in a window
}

// newRun encodes the query.
func (x *Index) newRun(ctx context.Context, q *Query, snapshot *scorch.IndexSnapshot) (*run, error) {
	f, ok := x.fields[q.field]
	if !ok {
		return nil, fmt.Errorf("%w: %q is not among Options.Fields of %s", ErrField, q.field, x.Name())
	}
	tokens, err := x.options.Encoder.EncodeQuery(ctx, q.text)
	if err != nil {
		return nil, fmt.Errorf("encoding the query: %w", err)
	}
	if err := tokens.Validate(x.options.Encoder.Dim()); err != nil {
		return nil, fmt.Errorf("%w: the query: %w", ErrEncoder, err)
	}
	return &run{index: x, query: q, field: f, snapshot: snapshot, tokens: tokens, packed: simd.PackQuery(tokens.Vectors)}, nil
}

// search returns the best k documents in ascending order of their numbers, as
// bleve wants them.
func (r *run) search(ctx context.Context, k int) ([]hit, error) {
	if r.tokens.Vectors.Rows == 0 {
		return nil, nil
	}
	filter, err := r.filter(ctx)
	if err != nil {
		return nil, err
	}
	var hits []hit
	if r.query.child != nil {
		hits, err = r.searchWindow(ctx, filter)
	} else {
		hits, err = r.searchAll(ctx, filter, k)
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(hits, func(a, b hit) int { return cmp.Compare(a.document, b.document) })
	return hits, nil
}

// filter returns the numbers of the documents that pass the query's filter,
// nil without one.
func (r *run) filter(ctx context.Context) (_ *roaring.Bitmap, err error) {
	if r.query.filter == nil {
		return nil, nil
	}
	s, err := r.query.filter.Searcher(ctx, r.snapshot, r.mapping, search.SearcherOptions{Score: "none"})
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	passing := roaring.New()
	sc := &search.SearchContext{DocumentMatchPool: search.NewDocumentMatchPool(s.DocumentMatchPoolSize()+1, 0), IndexReader: r.snapshot}
	for n := 0; ; n++ {
		if n%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		match, err := s.Next(sc)
		if err != nil {
			return nil, fmt.Errorf("filter: %w", err)
		}
		if match == nil {
			return passing, nil
		}
		number, err := r.root(match.IndexInternalID)
		if err != nil {
			return nil, err
		}
		passing.Add(number)
		sc.DocumentMatchPool.Put(match)
	}
}

// root returns the number of a document, or of the document that it is nested
// in.
func (r *run) root(id bleveindex.IndexInternalID) (uint32, error) {
	ancestors, err := r.snapshot.Ancestors(id, nil)
	if err != nil || len(ancestors) == 0 {
		return uint32(id.Value()), err
	}
	return uint32(ancestors[len(ancestors)-1]), nil
}

// openGroups makes a source and a selection for every codebook in use.
func (r *run) openGroups() error {
	for _, book := range r.index.library.all() {
		src, err := newSource(r.snapshot, r.index.shelf, r.field.hidden, book)
		if err != nil {
			return err
		}
		if src.count() > 0 {
			r.groups = append(r.groups, group{source: src})
		}
	}
	// The largest comes first: what is said about the query's rows is about it.
	slices.SortStableFunc(r.groups, func(a, b group) int { return cmp.Compare(b.source.vectors, a.source.vectors) })
	stats := statistics{run: r}
	pruner := r.index.options.Pruner
	if r.query.pruner != nil {
		pruner = *r.query.pruner
	}
	for i := range r.groups {
		g := &r.groups[i]
		stats.source = g.source
		var err error
		if g.selection, err = pruner.Select(stats.known(r.tokens), stats); err != nil {
			return err
		}
	}
	return nil
}

// settings are those of a search for k documents.
func (r *run) settings(k int) index.SearchOptions {
	options := r.index.options.Search
	if r.query.search != nil {
		options = *r.query.search
	}
	options.K, options.Filter = k, nil
	return options
}

// searchAll finds candidates among all documents that have vectors.
func (r *run) searchAll(ctx context.Context, filter *roaring.Bitmap, k int) ([]hit, error) {
	if err := r.openGroups(); err != nil {
		return nil, err
	}
	var best []hit
	for i := range r.groups {
		g := &r.groups[i]
		options := r.settings(k)
		options.Filter = filter
		var target index.Source = g.source
		switch {
		case filter != nil && filter.GetCardinality() <= uint64(max(options.Budget, options.Neighbors)):
			// Probing would not read less.
			target, options.Filter, options.Plan = newSubset(g.source, filter), nil, index.Exhaustive
		case g.source.book.exhaustive():
			options.Plan = index.Exhaustive
		}
		hits, err := r.searchSource(ctx, g, target, options)
		if err != nil {
			return nil, err
		}
		best = append(best, hits...)
	}
	slices.SortFunc(best, compareHits)
	return best[:min(k, len(best))], nil
}

// compareHits orders hits as package index does: best first, equals by
// descending id.
func compareHits(a, b hit) int {
	return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.id, a.id))
}

// searchSource searches a group's source, or a part of it.
func (r *run) searchSource(ctx context.Context, g *group, target index.Source, options index.SearchOptions) ([]hit, error) {
	searcher := g.source.book.searchers.Get().(*searcher)
	defer g.source.book.searchers.Put(searcher)
	searcher.source.Source = target
	found, stats, err := searcher.Search(ctx, r.packed, g.selection, options)
	searcher.source.Source = &source{book: g.source.book} // the snapshot is not kept
	if err != nil {
		return nil, err
	}
	r.found += stats.Candidates
	hits := make([]hit, len(found))
	for i, h := range found {
		hits[i] = hit{document: h.Document, id: h.ID, score: h.Score, group: g}
		if part, ok := target.(*subset); ok {
			hits[i].document = part.documents[h.Document]
		}
	}
	return hits, nil
}

// searchWindow scores the best hits of the child query.
func (r *run) searchWindow(ctx context.Context, filter *roaring.Bitmap) ([]hit, error) {
	matches, err := topHits(ctx, r.query.child, r.query.window, r.snapshot, r.mapping, search.SearcherOptions{})
	if err != nil {
		return nil, fmt.Errorf("child query: %w", err)
	}
	first := make(map[uint32]float64, len(matches))
	wanted := roaring.New()
	for _, m := range matches {
		number := uint32(m.IndexInternalID.Value())
		if filter == nil || filter.Contains(number) {
			first[number] = m.Score
			wanted.Add(number)
		}
	}
	if err := r.openGroups(); err != nil {
		return nil, err
	}
	var hits []hit
	for i := range r.groups {
		g := &r.groups[i]
		part := newSubset(g.source, wanted)
		options := r.settings(part.Documents())
		options.Plan = index.Exhaustive
		scored, err := r.searchSource(ctx, g, part, options)
		if err != nil {
			return nil, err
		}
		hits = append(hits, scored...)
		for _, h := range scored {
			wanted.Remove(h.document)
		}
	}
	fresh, err := r.scoreTexts(ctx, wanted)
	if err != nil {
		return nil, err
	}
	hits = append(hits, fresh...)
	for i := range hits {
		hits[i].first = first[hits[i].document]
	}
	r.found = len(hits)
	return hits, nil
}

// scoreTexts encodes the stored texts of documents and scores them exactly.
func (r *run) scoreTexts(ctx context.Context, documents *roaring.Bitmap) ([]hit, error) {
	hits := make([]hit, 0, documents.GetCardinality())
	var texts []string
	var first []int
	for it := documents.Iterator(); it.HasNext(); {
		number := it.Next()
		values, err := storedTexts(r.snapshot, r.field.name, number)
		if err != nil {
			return nil, err
		}
		first = append(first, len(texts))
		for _, v := range values {
			texts = append(texts, v.text)
		}
		hits = append(hits, hit{document: number})
	}
	first = append(first, len(texts))
	tokens, err := r.index.encodeDocuments(ctx, texts)
	if err != nil {
		return nil, err
	}
	best := make([]float32, r.packed.Rows)
	for i := range hits {
		values := tokens[first[i]:first[i+1]]
		if len(values) == 0 {
			continue
		}
		all := joinTokens(values)
		hits[i].fresh = &all
		simd.Reset(best)
		r.packed.MaxSim(all.Vectors, best)
		hits[i].score = simd.Sum(best)
	}
	return hits, nil
}

// needsScores tells whether bleve asked for more than membership.
func (r *run) needsScores() bool { return r.options.Score != "none" }
