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
	"github.com/blevesearch/bleve/v2/search/query"
	bleveindex "github.com/blevesearch/bleve_index_api"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/retriever"
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
	required restriction
	pass     *pass

	tokens encoder.Tokens
	packed *simd.Query
	groups []group
	hits   []hit // in ascending order of their numbers, as bleve wants them
	found  int
	places map[uint32]places // by document, of the hits that are explained
}

// group is the documents that are coded with one codebook, and what the query
// rows are used for there.
type group struct {
	source    *source
	selection querypruner.Selection
	packed    *simd.Query   // of the selection's vectors
	scorer    *codec.Scorer // for explanations, nil before the first

	// Of the last search.
	plan               index.Plan
	candidates, scored int
}

// hit is a document with its score.
type hit struct {
	document uint32
	id       string // "" until it is asked for
	score    float32
	lowered  float32 // what was taken from its score, see steps.go
	// How the score came about: the group it is from, or the vectors that were
	// made on the spot.
	group *group
	fresh *encoder.Tokens
	child *search.DocumentMatch // what the child query says, in a window
}

// newRun begins with the query's tokens.
func (x *Index) newRun(q *Query, tokens encoder.Tokens, snapshot *scorch.IndexSnapshot) (*run, error) {
	f, ok := x.fields[q.field]
	if !ok {
		return nil, fmt.Errorf("%w: %q is not among Options.Fields of %s", ErrField, q.field, x.Name())
	}
	return &run{index: x, query: q, field: f, snapshot: snapshot, tokens: tokens, packed: simd.PackQuery(tokens.Vectors)}, nil
}

// encodeQuery encodes the query and checks what the encoder returns.
func (x *Index) encodeQuery(ctx context.Context, q *Query) (encoder.Tokens, error) {
	tokens, err := x.options.Encoder.EncodeQuery(ctx, q.text)
	if err != nil {
		return encoder.Tokens{}, fmt.Errorf("encoding the query: %w", err)
	}
	if err := tokens.Validate(x.options.Encoder.Dim()); err != nil {
		return encoder.Tokens{}, fmt.Errorf("%w: the query: %w", ErrEncoder, err)
	}
	return tokens, nil
}

// search finds the documents that are wanted.
func (r *run) search(ctx context.Context, wanted wanted) error {
	if r.query.child == nil && r.tokens.Vectors.Rows == 0 {
		return nil
	}
	filter, err := r.filter(ctx)
	if err != nil {
		return err
	}
	if r.query.child != nil {
		r.hits, err = r.searchWindow(ctx, filter)
	} else {
		r.hits, err = r.searchAll(ctx, filter, wanted)
	}
	slices.SortFunc(r.hits, func(a, b hit) int { return cmp.Compare(a.document, b.document) })
	return err
}

// filter returns the numbers of the documents that pass the query's filter and,
// unless they are in a window, what the query stands beside; nil if all do.
func (r *run) filter(ctx context.Context) (*roaring.Bitmap, error) {
	var passing *roaring.Bitmap
	if r.query.filter != nil {
		var err error
		if passing, err = r.matching(ctx, r.query.filter, true); err != nil {
			return nil, err
		}
	}
	if r.query.child != nil {
		return passing, nil
	}
	for _, q := range r.required.must {
		matching, err := r.matching(ctx, q, true)
		switch {
		case err != nil:
			return nil, err
		case matching.IsEmpty(): // bleve decides what becomes of a query with such a clause
		case passing == nil:
			passing = matching
		default:
			passing.And(matching)
		}
	}
	for _, q := range r.required.mustNot {
		// bleve drops what has the very number of a match: that a document has a
		// nested one that matches does not drop it.
		matching, err := r.matching(ctx, q, false)
		if err != nil {
			return nil, err
		}
		if passing == nil {
			passing = roaring.New()
			passing.AddRange(0, r.documents())
		}
		passing.AndNot(matching)
	}
	return passing, nil
}

// documents is the number of document numbers of the snapshot.
func (r *run) documents() uint64 {
	var n uint64
	for _, seg := range r.snapshot.Segments() {
		n += uint64(seg.FullSize())
	}
	return n
}

// matching returns the numbers of the documents that a query matches, for nested
// ones those of the documents that they are nested in if roots is set.
func (r *run) matching(ctx context.Context, q query.Query, roots bool) (_ *roaring.Bitmap, err error) {
	s, err := q.Searcher(ctx, r.snapshot, r.mapping, search.SearcherOptions{Score: "none"})
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	matching := roaring.New()
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
			return matching, nil
		}
		number := uint32(match.IndexInternalID.Value())
		if roots {
			if number, err = r.root(match.IndexInternalID); err != nil {
				return nil, err
			}
		}
		matching.Add(number)
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
	pruner = retriever.Informed(pruner, r.index.options.Encoder)
	for i := range r.groups {
		g := &r.groups[i]
		stats.source = g.source
		var err error
		if g.selection, err = pruner.Select(stats.known(r.tokens), stats); err != nil {
			return err
		}
		g.packed = simd.PackQuery(g.selection.Vectors)
	}
	return nil
}

// settings are those of the query's searches.
func (r *run) settings() (index.SearchOptions, error) {
	options := r.index.options.Search
	if r.query.search != nil {
		options = *r.query.search
	}
	err := r.query.tuned.apply(&options)
	options.Filter = nil
	return options, err
}

// searchAll finds candidates among all documents that have vectors.
func (r *run) searchAll(ctx context.Context, filter *roaring.Bitmap, w wanted) ([]hit, error) {
	if err := r.openGroups(); err != nil {
		return nil, err
	}
	settings, err := r.settings()
	if err != nil {
		return nil, err
	}
	return r.searchSteps(ctx, filter, w, settings)
}

// searchGroup searches the documents of a group that pass a filter, if any.
func (r *run) searchGroup(ctx context.Context, g *group, filter *roaring.Bitmap, options index.SearchOptions) ([]hit, error) {
	options.Filter = filter
	if g.plan != index.Auto {
		options.Plan = g.plan
	}
	var target index.Source = g.source
	switch {
	case filter != nil && filter.GetCardinality() <= uint64(max(options.Budget, options.Neighbors)):
		// Probing would not read less.
		target, options.Filter, options.Plan = newSubset(g.source, filter), nil, index.Exhaustive
	case g.source.book.exhaustive():
		options.Plan = index.Exhaustive
	}
	return r.searchSource(ctx, g, target, options)
}

// searchSource searches a group's source, or a part of it.
func (r *run) searchSource(ctx context.Context, g *group, target index.Source, options index.SearchOptions) ([]hit, error) {
	searcher := g.source.book.searchers.Get().(*searcher)
	defer g.source.book.searchers.Put(searcher)
	searcher.source.Source = target
	found, stats, err := searcher.Search(ctx, g.packed, g.selection, options)
	searcher.source.Source = &source{book: g.source.book} // the snapshot is not kept
	if err != nil {
		return nil, err
	}
	g.plan, g.candidates, g.scored = stats.Plan, stats.Candidates, stats.DocumentsScored
	hits := make([]hit, len(found))
	for i, h := range found {
		hits[i] = hit{document: h.Document, score: h.Score, group: g}
		if part, ok := target.(*subset); ok {
			hits[i].document = part.documents[h.Document]
		}
	}
	return hits, nil
}

// searchWindow scores the best hits of the child query.
func (r *run) searchWindow(ctx context.Context, filter *roaring.Bitmap) ([]hit, error) {
	matches, err := topHits(ctx, r.query.child, r.query.window, r.snapshot, r.mapping, search.SearcherOptions{
		Explain: r.options.Explain, IncludeTermVectors: r.options.IncludeTermVectors,
	})
	if err != nil {
		return nil, fmt.Errorf("child query: %w", err)
	}
	first := make(map[uint32]*search.DocumentMatch, len(matches))
	wanted := roaring.New()
	for _, m := range matches {
		number := uint32(m.IndexInternalID.Value())
		if filter == nil || filter.Contains(number) {
			first[number] = m
			wanted.Add(number)
		}
	}
	var hits []hit
	if r.packed.Rows > 0 {
		hits, err = r.scoreWindow(ctx, wanted)
	} else {
		for it := wanted.Iterator(); it.HasNext(); {
			hits = append(hits, hit{document: it.Next()})
		}
	}
	for i := range hits {
		hits[i].child = first[hits[i].document]
	}
	r.found = len(hits)
	return hits, err
}

// scoreWindow scores documents, by their vectors or else by their texts.
func (r *run) scoreWindow(ctx context.Context, wanted *roaring.Bitmap) ([]hit, error) {
	if err := r.openGroups(); err != nil {
		return nil, err
	}
	var hits []hit
	for i := range r.groups {
		g := &r.groups[i]
		part := newSubset(g.source, wanted)
		options, err := r.settings()
		if err != nil {
			return nil, err
		}
		options.K, options.Plan = part.Documents(), index.Exhaustive
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
	return append(hits, fresh...), err
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
		stored, err := r.index.prune(ctx, []encoder.Tokens{joinTokens(values)})
		if err != nil {
			return nil, err
		}
		all := stored[0]
		hits[i].fresh = &all
		simd.Reset(best)
		r.packed.MaxSim(all.Vectors, best)
		hits[i].score = simd.Sum(best)
	}
	return hits, nil
}

// score is what bleve is told that a hit scores.
func (r *run) score(h *hit) float64 {
	switch {
	case !r.needsScores():
		return 0
	case r.packed.Rows == 0: // in a window
		return h.child.Score * r.query.boost
	}
	return float64(h.score) * r.query.boost
}

// explains tells whether bleve asked for explanations or locations.
func (r *run) explains() bool { return r.options.Explain || r.options.IncludeTermVectors }

// needsScores tells whether bleve asked for more than membership.
func (r *run) needsScores() bool { return r.options.Score != "none" }
