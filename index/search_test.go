package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// maxSim is MaxSim as a plain loop in float64, over the given query rows.
func maxSim(query simd.Matrix, rows []int, document simd.Matrix) float64 {
	var sum float64
	for _, row := range rows {
		best := math.Inf(-1)
		for i := range document.Rows {
			var dot float64
			for d, x := range document.Row(i) {
				dot += float64(x) * float64(query.Row(row)[d])
			}
			best = max(best, dot)
		}
		sum += best
	}
	return sum
}

// reference ranks documents by maxSim: equal scores by descending id.
func reference(query simd.Matrix, rows []int, documents []Document) []Hit {
	var hits []Hit
	scores := make(map[string]float64)
	for _, d := range documents {
		if d.Tokens.Vectors.Rows > 0 {
			scores[d.ID] = maxSim(query, rows, d.Tokens.Vectors)
			hits = append(hits, Hit{ID: d.ID, Score: float32(scores[d.ID])})
		}
	}
	slices.SortFunc(hits, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(scores[b.ID], scores[a.ID]), cmp.Compare(b.ID, a.ID))
	})
	return hits
}

func allRows(query *simd.Query) querypruner.Selection {
	var selection querypruner.Selection
	for row := range query.Rows {
		selection.Probe = append(selection.Probe, row)
	}
	return selection
}

func search(t testing.TB, s *Snapshot, query *simd.Query, selection querypruner.Selection, options SearchOptions) ([]Hit, Stats) {
	t.Helper()
	hits, stats, err := NewSearcher(s).Search(t.Context(), query, selection, options)
	check(t, err)
	return hits, stats
}

// sameRanking compares hits with a reference. Neighbours in the ranking may
// change places only where the scores leave it open.
func sameRanking(t *testing.T, got, want []Hit, bound float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d hits, want %d", len(got), len(want))
	}
	scores := make(map[string]float32)
	for _, hit := range want {
		scores[hit.ID] = hit.Score
	}
	for i, hit := range got {
		score, ok := scores[hit.ID]
		if !ok {
			t.Fatalf("hit %d: %q should not be found", i, hit.ID)
		}
		delete(scores, hit.ID)
		if math.Abs(float64(hit.Score-score)) > bound || math.Abs(float64(score-want[i].Score)) > bound {
			t.Errorf("hit %d is %q with %v, want %q with %v", i, hit.ID, hit.Score, want[i].ID, want[i].Score)
		}
		if i > 0 && compareHits(got[i-1], hit) >= 0 {
			t.Errorf("hits %d and %d are out of order", i-1, i)
		}
	}
}

func TestSearchAgainstPlainLoop(t *testing.T) {
	for _, dim := range []int{8, 24, 128} {
		for _, withIDs := range []bool{true, false} {
			for _, kind := range codec.Kinds {
				t.Run(fmt.Sprintf("%d/%v/%v", dim, withIDs, kind), func(t *testing.T) {
					testSearch(t, dim, withIDs, kind)
				})
			}
		}
	}
}

func testSearch(t *testing.T, dim int, withIDs bool, kind codec.Kind) {
	rng := rand.New(rand.NewPCG(uint64(dim), uint64(kind)))
	documents := randomDocuments(rng, 120, dim, withIDs)
	// Twins score alike: only their ids can order them.
	documents[1].Tokens, documents[8].Tokens = documents[0].Tokens, documents[0].Tokens
	deleted := []string{documents[5].ID, documents[77].ID, "unknown"}
	s := open(t, build(t, smallOptions(dim, kind), documents, deleted...))
	large := smallOptions(dim, kind)
	large.SegmentBytes = 1 << 20
	one := open(t, build(t, large, documents, deleted...))
	if len(s.parts) < 2 && dim > 8 || len(one.parts) != 1 {
		t.Fatalf("%d and %d segments", len(s.parts), len(one.parts))
	}

	postings := cellsOf(t, s, documents)

	// What the index stores; for float32 that is the very input.
	stored := make([]Document, 0, len(documents))
	for _, d := range documents {
		if slices.Contains(deleted, d.ID) {
			continue
		}
		number, found, err := s.Lookup(d.ID)
		if err != nil || !found {
			t.Fatal(d.ID, found, err)
		}
		payload := must[codec.Payload](t)(s.Payload(number))
		vectors := must[simd.Matrix](t)(s.Codebook().Decode(payload))
		if kind == codec.Float32 && !slices.Equal(vectors.Data, d.Tokens.Vectors.Data) {
			t.Fatalf("%s is stored differently", d.ID)
		}
		d.Tokens.Vectors = vectors
		stored = append(stored, d)
	}
	// Quantised query values are off by half a step of 1/127 of the largest
	// each, so a dot product with a unit vector by at most sqrt(dim)/254.
	bound := 1e-5 * float64(dim)
	if kind != codec.Float32 {
		bound = 1.1 * math.Sqrt(float64(dim)) / 254
	}

	for range 4 {
		queryTokens := randomTokens(rng, 1+rng.IntN(9), dim, withIDs)
		query := simd.PackQuery(queryTokens.Vectors)
		all := allRows(query)
		n := float64(query.Rows)
		want := reference(queryTokens.Vectors, all.Probe, stored)
		wide := SearchOptions{K: len(documents) + 10, Plan: Exhaustive, Neighbors: 1 << 20}

		hits, stats := search(t, s, query, all, wide)
		sameRanking(t, hits, want, n*bound)
		checkStats(t, s, postings, query, all, wide, stats)

		wide.Plan = Probe
		probed, probeStats := search(t, s, query, all, wide)
		if !slices.Equal(probed, hits) {
			t.Error("probing every cell finds other hits than looking at every document")
		}
		wide.Plan, wide.Depth = Interaction, 1<<20
		if all, _ := search(t, s, query, all, wide); !slices.Equal(all, hits) {
			t.Error("ranking every document finds other hits than scoring it")
		}
		wide.Plan = Probe
		checkStats(t, s, postings, query, all, wide, probeStats)

		// Segments make no difference to what is found.
		single, _ := search(t, one, query, all, wide)
		if !slices.Equal(single, hits) {
			t.Error("one segment gives other hits than several")
		}

		for _, k := range []int{0, 1, 3, len(hits)} {
			few, _ := search(t, s, query, all, SearchOptions{K: k, Plan: Exhaustive, Neighbors: 1})
			if !slices.Equal(few, hits[:k]) {
				t.Errorf("the best %d are not the first of all", k)
			}
		}

		testPruned(t, s, postings, query, hits, wide)

		scored := querypruner.Selection{Probe: all.Probe, Score: []int{query.Rows - 1}}
		hits, stats = search(t, s, query, scored, wide)
		sameRanking(t, hits, reference(queryTokens.Vectors, scored.Score, stored), bound)
		checkStats(t, s, postings, query, scored, wide, stats)
	}
}

// testPruned checks that wider selections find all that narrower ones find,
// with the same scores.
func testPruned(t *testing.T, s *Snapshot, postings map[uint32][]uint32, query *simd.Query, all []Hit, options SearchOptions) {
	t.Helper()
	var before []Hit
	for _, neighbors := range []int{1, 5, 20, 1 << 20} {
		var narrower []Hit
		for kept := range query.Rows + 1 {
			selection := querypruner.Selection{Probe: allRows(query).Probe[:kept]}
			options.Neighbors = neighbors
			hits, stats := search(t, s, query, selection, options)
			checkStats(t, s, postings, query, selection, options, stats)
			if kept == 0 && len(hits) > 0 {
				t.Fatal("no rows found something")
			}
			for _, hit := range narrower {
				if !slices.Contains(hits, hit) {
					t.Fatalf("%d rows do not find %v, fewer do", kept, hit)
				}
			}
			for _, hit := range hits {
				if !slices.Contains(all, hit) {
					t.Fatalf("%v is found by %d rows only", hit, kept)
				}
			}
			narrower = hits
		}
		for _, hit := range before {
			if !slices.Contains(narrower, hit) {
				t.Fatalf("%d neighbors do not find %v, fewer do", neighbors, hit)
			}
		}
		before = narrower
	}
}

// cellsOf lists the documents of each cell by coding the documents again.
func cellsOf(t *testing.T, s *Snapshot, documents []Document) map[uint32][]uint32 {
	t.Helper()
	postings := make(map[uint32][]uint32)
	for number, d := range documents {
		if id := must[string](t)(s.ID(uint32(number))); id != d.ID {
			t.Fatalf("document %d is %q, want %q", number, id, d.ID)
		}
		encoded, err := s.Codebook().Encode(d.Tokens.Vectors, d.Tokens.IDs)
		check(t, err)
		for _, cell := range encoded.Cells {
			postings[cell] = append(postings[cell], uint32(number))
		}
	}
	return postings
}

// cellSimilarities compares a query with all cells, as package simd, which has
// tests of its own for that, does it: in integers.
func cellSimilarities(s *Snapshot, query *simd.Query) *simd.CellRows {
	scorer := s.Codebook().NewScorer()
	if err := scorer.Reset(query, nil, nil); err != nil {
		panic(err)
	}
	return scorer.Scan()
}

// checkStats counts the work of a search again, with maps and sorts.
func checkStats(t *testing.T, s *Snapshot, postings map[uint32][]uint32, query *simd.Query, selection querypruner.Selection, options SearchOptions, got Stats) {
	t.Helper()
	want := Stats{Plan: options.Plan, Rows: query.Rows, RowsKept: len(selection.Probe)}
	found := make(map[uint32]bool)
	if options.Plan == Exhaustive {
		for document := range uint32(s.Documents()) {
			found[document] = true
		}
	} else {
		visited := make(map[uint32]bool)
		for _, row := range selection.Probe {
			cells := make([]uint32, s.Codebook().Cells())
			for i := range cells {
				cells[i] = uint32(i)
			}
			similarities := cellSimilarities(s, query)
			slices.SortStableFunc(cells, func(a, b uint32) int {
				return cmp.Compare(similarities.Value(b, row), similarities.Value(a, row))
			})
			read := 0
			for _, cell := range cells {
				if read >= options.Neighbors {
					break
				}
				read += len(postings[cell])
				if len(postings[cell]) == 0 || visited[cell] {
					continue
				}
				visited[cell] = true
				want.CellsProbed++
				want.Postings += len(postings[cell])
				for _, document := range postings[cell] {
					found[document] = true
				}
			}
		}
	}
	scoring := query.Rows
	if selection.Score != nil {
		scoring = len(selection.Score)
	}
	for document := range found {
		if !s.Live(document) {
			continue
		}
		payload := must[codec.Payload](t)(s.Payload(document))
		rows := must[int](t)(s.Codebook().Rows(payload))
		want.Candidates++
		want.DocumentsScored++
		want.TokenPairs += int64(rows * scoring)
		want.Bytes += int64(payload.Size())
	}
	if got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
}

// TestEqualScores: of documents with the same vectors those with the greatest
// ids are found, wherever they stand.
func TestEqualScores(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	tokens := randomTokens(rng, 2, 8, true)
	var documents []Document
	for _, i := range rng.Perm(60) {
		documents = append(documents, Document{ID: fmt.Sprintf("%02d", i), Tokens: tokens})
	}
	shape := smallOptions(8, codec.Residual2)
	shape.Refine = true
	s := open(t, build(t, shape, documents))
	query := simd.PackQuery(tokens.Vectors)
	for _, plan := range []Plan{Exhaustive, Interaction, Probe} {
		for _, refine := range []int{0, 1, 10, 100} {
			hits, _ := search(t, s, query, allRows(query), SearchOptions{K: 7, Plan: plan, Neighbors: 60, Refine: refine})
			var ids []string
			for _, hit := range hits {
				ids = append(ids, hit.ID)
			}
			if want := []string{"59", "58", "57", "56", "55", "54", "53"}; !slices.Equal(ids, want) {
				t.Errorf("%v, %d refined, finds %v, want %v", plan, refine, ids, want)
			}
		}
	}
}

func TestSearchNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	query := simd.PackQuery(randomTokens(rng, 3, 8, true).Vectors)
	empty := open(t, build(t, smallOptions(8, codec.Residual2), nil))
	for _, plan := range []Plan{Auto, Exhaustive, Probe} {
		if hits, stats := search(t, empty, query, allRows(query), SearchOptions{K: 3, Plan: plan, Neighbors: 1}); len(hits) > 0 || stats.Plan == Auto {
			t.Errorf("an empty index gives %v, %v", hits, stats)
		}
	}
	full := open(t, build(t, smallOptions(8, codec.Residual2), randomDocuments(rng, 20, 8, true)))
	none := querypruner.Selection{Probe: []int{}, Score: []int{}}
	for _, plan := range []Plan{Auto, Probe} {
		for _, neighbors := range []int{0, 5} {
			if hits, _ := search(t, full, query, none, SearchOptions{K: 3, Plan: plan, Neighbors: neighbors}); len(hits) > 0 {
				t.Errorf("%v without probing rows finds %v", plan, hits)
			}
		}
	}
	nothing := simd.PackQuery(simd.Matrix{})
	if hits, _ := search(t, full, nothing, querypruner.Selection{}, DefaultSearchOptions()); len(hits) > 0 {
		t.Errorf("an empty query finds %v", hits)
	}
}

// A selection that names no rows means all of them, for probing as for scoring.
func TestSearchWithoutSelection(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	s := open(t, build(t, smallOptions(8, codec.Residual2), randomDocuments(rng, 50, 8, true)))
	query := simd.PackQuery(randomTokens(rng, 3, 8, true).Vectors)
	options := SearchOptions{K: 5, Plan: Probe, Neighbors: 10}
	want, wantStats := search(t, s, query, allRows(query), options)
	got, gotStats := search(t, s, query, querypruner.Selection{}, options)
	if len(want) == 0 || !slices.Equal(got, want) || gotStats != wantStats {
		t.Errorf("got %v, %+v\nwant %v, %+v", got, gotStats, want, wantStats)
	}
}

func TestSearchRefuses(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	s := open(t, build(t, smallOptions(8, codec.Int8), randomDocuments(rng, 20, 8, true)))
	query := simd.PackQuery(randomTokens(rng, 3, 8, true).Vectors)
	wider := simd.PackQuery(randomTokens(rng, 3, 16, true).Vectors)
	large := randomTokens(rng, 3, 8, true).Vectors
	large.Data[13] = 1e38 // finite, but its products overflow
	overflowing := simd.PackQuery(large)
	good := DefaultSearchOptions()
	for name, test := range map[string]struct {
		query     *simd.Query
		selection querypruner.Selection
		options   SearchOptions
	}{
		"width":         {wider, allRows(wider), good},
		"large values":  {overflowing, allRows(overflowing), good},
		"probe row":     {query, querypruner.Selection{Probe: []int{3}}, good},
		"negative row":  {query, querypruner.Selection{Probe: []int{-1}}, good},
		"score row":     {query, querypruner.Selection{Score: []int{0, 3}}, good},
		"negative hits": {query, allRows(query), SearchOptions{K: -1, Neighbors: 1}},
		"neighbors":     {query, allRows(query), SearchOptions{K: 1, Budget: 1, Neighbors: -1}},
		"refine":        {query, allRows(query), SearchOptions{K: 1, Budget: 1, Refine: -1}},
		"plan":          {query, allRows(query), SearchOptions{K: 1, Neighbors: 1, Plan: 9}},
		"budget":        {query, allRows(query), SearchOptions{K: 1, Neighbors: 1, Budget: -1}},
		"depth":         {query, allRows(query), SearchOptions{K: 1, Neighbors: 1, Depth: -1}},
		"margin share":  {query, allRows(query), SearchOptions{K: 1, Neighbors: 1, MarginShare: math.NaN()}},
		"cells":         {query, allRows(query), SearchOptions{K: 1, Neighbors: 1, Cells: -1}},
		"peak":          {query, allRows(query), SearchOptions{K: 1, Neighbors: 1, Peak: 1.5}},
		"power":         {query, allRows(query), SearchOptions{K: 1, Budget: 1, RarityPower: -1}},
		"rarities":      {query, querypruner.Selection{Rarity: []float64{1}}, good},
	} {
		if _, _, err := NewSearcher(s).Search(t.Context(), test.query, test.selection, test.options); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (SearchOptions{K: -1, Plan: 9, Budget: -1, Neighbors: -1, MarginShare: 2, RarityPower: 9, RankPower: -1, Cells: -1, Peak: 2, Depth: -1, Refine: -1, Workers: -1}).Validate(); len(unjoin(err)) != 12 {
		t.Errorf("Validate reports %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	searcher := NewSearcher(s)
	if _, _, err := searcher.Search(ctx, query, allRows(query), good); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if hits, _, err := searcher.Search(t.Context(), query, allRows(query), good); err != nil || len(hits) != 10 {
		t.Errorf("after a cancelled search: %d hits, %v", len(hits), err)
	}
}

func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

func TestParsePlan(t *testing.T) {
	for _, plan := range []Plan{Auto, Exhaustive, Interaction, Probe} {
		if got, err := ParsePlan(plan.String()); err != nil || got != plan {
			t.Errorf("%v is read as %v, %v", plan, got, err)
		}
	}
	if _, err := ParsePlan("best"); !errors.Is(err, ErrInvalid) {
		t.Errorf("unknown plan: %v", err)
	}
}

// sized is a Source of any size: the planner looks at no more.
type sized struct {
	Source
	codebook  *codec.Codebook
	documents int
}

func (s sized) Codebook() *codec.Codebook { return s.codebook }
func (s sized) Documents() int            { return s.documents }
func (s sized) Vectors() int64            { return 100 * int64(s.documents) }

// The plans follow one another as collections grow, as budgets fall and as
// filters let fewer documents through.
func TestPlan(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	tokens := randomTokens(rng, 2000, 128, false)
	options := codec.DefaultOptions()
	options.Cells = 500
	codebook := must[*codec.Codebook](t)(codec.Train(t.Context(), tokens.Vectors, nil, options, nil))
	few := roaring.BitmapOf(3, 5, 8)
	for _, test := range []struct {
		documents, rows int
		options         SearchOptions
		want            Plan
	}{
		{documents: 100, rows: 32, options: DefaultSearchOptions(), want: Exhaustive},
		{documents: 100, rows: 4, options: SearchOptions{K: 10, Neighbors: 1, Depth: 20}, want: Probe},
		{documents: 5000, rows: 32, options: DefaultSearchOptions(), want: Interaction},
		{documents: 6000, rows: 32, options: SearchOptions{K: 10, Budget: 100}, want: Probe},
		{documents: 6000, rows: 32, options: SearchOptions{K: 10, Budget: 100, Depth: AllCandidates}, want: Probe},
		{documents: 1_000_000, rows: 32, options: DefaultSearchOptions(), want: Probe},
		{documents: 1_000_000, rows: 32, options: SearchOptions{K: 10, Budget: 1 << 30}, want: Interaction},
		{documents: 1_000_000, rows: 32, options: SearchOptions{K: 10, Neighbors: 1_000_000, Depth: AllCandidates}, want: Exhaustive},
		{documents: 1_000_000, rows: 32, options: SearchOptions{K: 10, Budget: 4000, Depth: 256, Filter: few}, want: Exhaustive},
	} {
		searcher := NewSearcher(sized{codebook: codebook, documents: test.documents})
		if got := searcher.plan(test.rows, test.rows, test.options); got != test.want {
			t.Errorf("%d documents, %d rows, %+v: %v, want %v", test.documents, test.rows, test.options, got, test.want)
		}
	}
}

// A filter finds what all of the collection gives without the others, whatever
// the plan.
func TestFilter(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	documents := randomDocuments(rng, 200, 24, true)
	s := open(t, build(t, smallOptions(24, codec.Residual2), documents, documents[12].ID))
	query := simd.PackQuery(randomTokens(rng, 5, 24, true).Vectors)
	filter := roaring.New()
	for document := range uint32(200) {
		if document%3 == 0 || document == 12 {
			filter.Add(document)
		}
	}
	everything, _ := search(t, s, query, allRows(query), SearchOptions{K: 200, Plan: Exhaustive, Budget: 1})
	var want []Hit
	for _, hit := range everything {
		if filter.Contains(hit.Document) {
			want = append(want, hit)
		}
	}
	for _, plan := range []Plan{Auto, Exhaustive, Interaction, Probe} {
		options := SearchOptions{K: 200, Plan: plan, Budget: 1 << 20, Filter: filter}
		if got, _ := search(t, s, query, allRows(query), options); !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", plan, got, want)
		}
		wide := filter.Clone()
		wide.AddRange(200, 100_000) // numbers that no document has
		options.Filter = wide
		if got, _ := search(t, s, query, allRows(query), options); !slices.Equal(got, want) {
			t.Errorf("%v, numbers beyond the collection: %v, want %v", plan, got, want)
		}
		options.Filter = roaring.BitmapOf(100_000)
		if got, stats := search(t, s, query, allRows(query), options); len(got) > 0 || stats.Postings > 0 {
			t.Errorf("%v: nobody passes, but %v is found with %+v", plan, got, stats)
		}
		options.Filter = filter
		// The budget counts postings that may be found.
		options.Plan, options.Budget = Probe, 60
		_, filtered := search(t, s, query, allRows(query), options)
		options.Filter = nil
		_, free := search(t, s, query, allRows(query), options)
		if filtered.Postings <= free.Postings {
			t.Errorf("%d postings read for a third of the documents, %d for all", filtered.Postings, free.Postings)
		}
	}
}

// Refined scores are those of int8 vectors, and hits come in their order.
func TestRefine(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	documents := randomDocuments(rng, 150, 24, true)
	refined := smallOptions(24, codec.Residual1)
	refined.Refine = true
	s := open(t, build(t, refined, documents))
	plain := open(t, build(t, smallOptions(24, codec.Int8), documents))
	query := simd.PackQuery(randomTokens(rng, 5, 24, true).Vectors)
	want, _ := search(t, plain, query, allRows(query), ExhaustiveSearch(150))
	options := SearchOptions{K: 3, Plan: Exhaustive, Budget: 1, Refine: 150}
	got, stats := search(t, s, query, allRows(query), options)
	if !slices.Equal(got, want[:3]) || stats.DocumentsRefined != stats.Candidates-countEmpty(documents) {
		t.Errorf("hits %v with %+v, want %v", got, stats, want[:3])
	}
	// Of fewer refined documents come the best that coarse scores offer.
	options.Refine = 0
	coarse, _ := search(t, s, query, allRows(query), SearchOptions{K: 20, Plan: Exhaustive, Budget: 1})
	options.Refine = 20
	got, stats = search(t, s, query, allRows(query), options)
	if stats.DocumentsRefined != 20 {
		t.Errorf("%d documents refined, want 20", stats.DocumentsRefined)
	}
	var offered []Hit
	for _, hit := range want {
		if slices.ContainsFunc(coarse, func(c Hit) bool { return c.ID == hit.ID }) {
			offered = append(offered, hit)
		}
	}
	if !slices.Equal(got, offered[:3]) {
		t.Errorf("hits %v, want %v", got, offered[:3])
	}
	// Hits past the refined ones follow in the order of their coarse scores.
	options = SearchOptions{K: 50, Plan: Exhaustive, Refine: 5}
	mixed, _ := search(t, s, query, allRows(query), options)
	options.Refine = 0
	plainOrder, _ := search(t, s, query, allRows(query), options)
	options.K, options.Refine = 5, 5
	first, _ := search(t, s, query, allRows(query), options)
	if !slices.Equal(mixed[:5], first) {
		t.Errorf("the first 5 are %v, want %v", mixed[:5], first)
	}
	var rest []string
	for _, hit := range plainOrder {
		if !slices.ContainsFunc(first, func(f Hit) bool { return f.ID == hit.ID }) {
			rest = append(rest, hit.ID)
		}
	}
	for i, hit := range mixed[5:] {
		if hit.ID != rest[i] || hit.Score >= mixed[4].Score {
			t.Errorf("hit %d is %v after %v, want %s", 5+i, hit, mixed[4], rest[i])
		}
	}
	// As many hits as there are documents, however many are asked for.
	for _, plan := range []Plan{Exhaustive, Interaction, Probe} {
		everything := SearchOptions{K: math.MaxInt, Plan: plan, Budget: 1 << 20, Refine: 1000}
		if got, _ := search(t, s, query, allRows(query), everything); !slices.Equal(got, want) {
			t.Errorf("%v gives %d hits of %d", plan, len(got), len(want))
		}
	}
	// Without refinements nothing is refined.
	if _, stats := search(t, plain, query, allRows(query), options); stats.DocumentsRefined != 0 {
		t.Errorf("%d documents refined without refinements", stats.DocumentsRefined)
	}
}

func countEmpty(documents []Document) (n int) {
	for _, d := range documents {
		if d.Tokens.Vectors.Rows == 0 {
			n++
		}
	}
	return n
}

// TestSelectLargest and the order of keys, against sorting.
func TestSelectLargest(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 15))
	scores := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 1.5, -1.5, math.MaxFloat32, -math.MaxFloat32, 1e-45}
	for _, n := range []int{0, 1, 2, 3, 50, 300} {
		for _, size := range []int{0, 1, 2, 7, 64, 300} {
			var keys []uint64
			var documents []uint32
			of := make([]float32, n)
			for document := range uint32(n) {
				of[document] = scores[rng.IntN(len(scores))]
				keys = append(keys, key(of[document], document))
				documents = append(documents, document)
			}
			slices.SortStableFunc(documents, func(a, b uint32) int { return cmp.Compare(of[b], of[a]) })
			selectLargest(keys, size)
			first := keys[:min(size, n)]
			slices.SortFunc(first, func(a, b uint64) int { return cmp.Compare(b, a) })
			for i, key := range first {
				if documentOf(key) != documents[i] || scoreOf(key) != of[documents[i]] {
					t.Errorf("%d of %d: document %d with %v at %d, want %d with %v",
						size, n, documentOf(key), scoreOf(key), i, documents[i], of[documents[i]])
				}
			}
		}
	}
}

// Several workers find what one finds, with the same statistics.
func TestWorkers(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	s := open(t, build(t, smallOptions(8, codec.Residual2), randomDocuments(rng, 3000, 8, true)))
	query := simd.PackQuery(randomTokens(rng, 5, 8, true).Vectors)
	one, several := NewSearcher(s), NewSearcher(s)
	for _, selection := range []querypruner.Selection{{}, {Probe: []int{1, 3}, Score: []int{3}}} {
		for _, plan := range []Plan{Exhaustive, Interaction, Probe} {
			for workers := range 5 {
				options := SearchOptions{K: 50, Plan: plan, Budget: 5000, Depth: 1500}
				want, wantStats, err := one.Search(t.Context(), query, selection, options)
				check(t, err)
				options.Workers = workers
				got, stats, err := several.Search(t.Context(), query, selection, options)
				check(t, err)
				if !slices.Equal(got, want) || stats != wantStats {
					t.Errorf("%v, %d workers: %v, %+v; want %v, %+v", plan, workers, got, stats, want, wantStats)
				}
			}
		}
	}
}

// TestSearchDoesNotAllocate: a warm searcher needs no memory but for its
// results: the hits, and their ids' strings.
func TestSearchDoesNotAllocate(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	shape := smallOptions(24, codec.Residual2)
	shape.Refine = true
	s := open(t, build(t, shape, randomDocuments(rng, 300, 24, true)))
	query := simd.PackQuery(randomTokens(rng, 9, 24, true).Vectors)
	selection := querypruner.Selection{Probe: []int{1, 4, 7}}
	searcher := NewSearcher(s)
	for _, plan := range []Plan{Exhaustive, Interaction, Probe} {
		for _, neighbors := range []int{0, 20} {
			options := SearchOptions{K: 5, Plan: plan, Budget: 200, Neighbors: neighbors, Depth: 20, Refine: 10}
			run := func() {
				hits, _, err := searcher.Search(context.Background(), query, selection, options)
				if err != nil || len(hits) != 5 {
					t.Fatal(len(hits), err)
				}
			}
			run()
			if allocs := testing.AllocsPerRun(20, run); allocs > 1+5 {
				t.Errorf("%v, %d neighbors: %g allocations for 5 hits", plan, neighbors, allocs)
			}
		}
	}
}
