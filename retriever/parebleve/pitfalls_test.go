package parebleve_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/document"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/query"
	bleveindex "github.com/blevesearch/bleve_index_api"

	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/retriever/parebleve"
)

// The tests of this file are about what is easily done wrong in a custom bleve
// query. Each says what goes wrong then.

// kinds returns a term query for the field kind.
func kinds(value string) query.Query {
	q := bleve.NewTermQuery(value)
	q.SetField("kind")
	return q
}

// spy passes a query's searcher to see.
type spy struct {
	query.Query
	see func(search.Searcher) search.Searcher
}

func (s spy) Searcher(ctx context.Context, r bleveindex.IndexReader, m mapping.IndexMapping, o search.SearcherOptions) (search.Searcher, error) {
	inner, err := s.Query.Searcher(ctx, r, m, o)
	if err != nil {
		return nil, err
	}
	return s.see(inner), nil
}

// recorder notes the ids of the matches that go by.
type recorder struct {
	search.Searcher
	ids [][]byte
}

func (r *recorder) Next(ctx *search.SearchContext) (*search.DocumentMatch, error) {
	match, err := r.Searcher.Next(ctx)
	if match != nil {
		r.ids = append(r.ids, match.IndexInternalID)
	}
	return match, err
}

// Without a weight the query norm is infinite and so is every score; with the
// norm multiplied in, scores depend on what else is in the query.
func TestQueryNorm(t *testing.T) {
	pages := babble(80, 3)
	idx := create(t, pages, toyOptions())
	q := parebleve.NewQuery("body", "w1 w2 w40")
	alone := find(t, idx, bleve.NewSearchRequestOptions(q, 80, 0, false))
	want := make(map[string]float64)
	for _, hit := range alone.Hits {
		want[hit.ID] = hit.Score
	}
	must := bleve.NewBooleanQuery()
	must.AddMust(q)
	filtered := bleve.NewBooleanQuery()
	filtered.AddMust(q)
	filtered.AddFilter(kinds("red"))
	for name, composed := range map[string]query.Query{
		"conjunction": bleve.NewConjunctionQuery(q),
		"disjunction": bleve.NewDisjunctionQuery(q),
		"must":        must,
		"filtered":    filtered,
	} {
		result := find(t, idx, bleve.NewSearchRequestOptions(composed, 80, 0, false))
		if len(result.Hits) == 0 {
			t.Errorf("%s: no hits", name)
		}
		for _, hit := range result.Hits {
			if hit.Score != want[hit.ID] {
				t.Errorf("%s: %s has the score %v, alone it has %v", name, hit.ID, hit.Score, want[hit.ID])
			}
		}
	}
	boosted := parebleve.NewQuery("body", "w1 w2 w40")
	boosted.SetBoost(2.5)
	for _, hit := range find(t, idx, bleve.NewSearchRequestOptions(boosted, 80, 0, false)).Hits {
		if math.Abs(hit.Score-2.5*want[hit.ID]) > 1e-9 {
			t.Errorf("%s has the score %v, want %v", hit.ID, hit.Score, 2.5*want[hit.ID])
		}
	}
}

// A disjunction multiplies by the share of clauses that match; must and should
// do not.
func TestDisjunctionFactor(t *testing.T) {
	pages := babble(80, 3)
	idx := create(t, pages, toyOptions())
	q := parebleve.NewQuery("body", "w1 w2 w40")
	none := kinds("no such kind")
	alone := find(t, idx, bleve.NewSearchRequestOptions(q, 10, 0, false))
	either := find(t, idx, bleve.NewSearchRequestOptions(bleve.NewDisjunctionQuery(q, none), 10, 0, false))
	if got, want := either.Hits[0].Score, alone.Hits[0].Score/2; math.Abs(got-want) > 1e-9 {
		t.Errorf("in a disjunction the score is %v, want half of what it is alone, %v", got, want)
	}
	both := bleve.NewBooleanQuery()
	both.AddMust(q)
	both.AddShould(none)
	if got, want := find(t, idx, bleve.NewSearchRequestOptions(both, 10, 0, false)).Hits[0].Score, alone.Hits[0].Score; got != want {
		t.Errorf("with a should clause the score is %v, want %v", got, want)
	}
}

// A searcher whose ids do not ascend loses hits in conjunctions, and ids that
// are not copies change under the collector.
func TestAscendingIDs(t *testing.T) {
	idx := create(t, babble(300, 4), toyOptions())
	var seen *recorder
	q := spy{parebleve.NewQuery("body", "w1 w2 w40"), func(s search.Searcher) search.Searcher {
		seen = &recorder{Searcher: s}
		return seen
	}}
	request := bleve.NewSearchRequestOptions(q, 300, 0, false)
	result := find(t, idx, request)
	if len(seen.ids) != 300 || result.Total != 300 {
		t.Fatalf("%d ids, total %d, want 300", len(seen.ids), result.Total)
	}
	if !slices.IsSortedFunc(seen.ids, slices.Compare[[]byte]) {
		t.Error("ids do not ascend")
	}
	distinct := make(map[string]bool)
	for _, id := range seen.ids {
		distinct[string(id)] = true
	}
	if len(distinct) != 300 {
		t.Errorf("%d distinct ids of 300", len(distinct))
	}
}

// Internal ids are numbers of one snapshot: they change with every update and
// merge.
func TestUpdatesAndMerges(t *testing.T) {
	pages := babble(200, 5)
	idx := create(t, pages, toyOptions())
	const text = "w3 w9 w77"
	check := func(state string) {
		t.Helper()
		result := find(t, idx, bleve.NewSearchRequestOptions(parebleve.NewQuery("body", text), 300, 0, false))
		if len(result.Hits) != len(pages) {
			t.Errorf("%s: %d hits, want %d", state, len(result.Hits), len(pages))
		}
		for _, hit := range result.Hits {
			page, ok := pages[hit.ID]
			if !ok {
				t.Errorf("%s: %s was deleted", state, hit.ID)
				continue
			}
			if want := maxSim(t, text, page.Body); math.Abs(hit.Score-want) > 0.03 {
				t.Errorf("%s: %s has the score %v, want %v", state, hit.ID, hit.Score, want)
			}
		}
	}
	check("new")
	ordered := slices.Sorted(maps.Keys(pages))
	fresh := babble(40, 6)
	for i, id := range ordered[:40] {
		pages[id] = fresh[fmt.Sprintf("d%04d", i)]
		if err := idx.Index(id, pages[id]); err != nil {
			t.Fatal(err)
		}
	}
	check("updated")
	for _, id := range ordered[30:60] {
		delete(pages, id)
		if err := idx.Delete(id); err != nil {
			t.Fatal(err)
		}
	}
	check("deleted")
	advanced, err := idx.Advanced()
	if err != nil {
		t.Fatal(err)
	}
	if err := advanced.(*scorch.Scorch).ForceMerge(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	check("merged")
	page := pages[ordered[0]]
	page.Body = "" // loses its vectors
	if err := idx.Index(ordered[0], page); err != nil {
		t.Fatal(err)
	}
	delete(pages, ordered[0])
	check("emptied")
}

// bleve.NewMemOnly is not scorch: its internal ids are the external ones.
func TestInMemory(t *testing.T) {
	old, err := bleve.NewMemOnly(pageMapping())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parebleve.Wrap(old, toyOptions()); !errors.Is(err, parebleve.ErrNotScorch) {
		t.Errorf("error %v, want ErrNotScorch", err)
	}
	if err := old.Close(); err != nil { // Wrap has left it open
		t.Error(err)
	}
	idx, err := parebleve.New("", pageMapping(), toyOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer idx.Close()
	add(t, idx, babble(20, 1))
	if n := len(find(t, idx, bleve.NewSearchRequest(parebleve.NewQuery("body", "w1"))).Hits); n != 10 {
		t.Errorf("%d hits, want 10", n)
	}
}

// A bleve filter drops hits that are scored already, and candidates that
// another clause drops are missing in the end; SetFilter comes first.
func TestFilterComesFirst(t *testing.T) {
	pages := babble(900, 7)
	options := toyOptions()
	options.Codebook = trainToy(t, pages, 2)
	options.Search.Budget = 100
	idx := create(t, pages, options)
	rare := bleve.NewNumericRangeQuery(ptr(2000), ptr(2030))
	rare.SetField("year")
	for _, filter := range []query.Query{kinds("green"), rare} {
		q := parebleve.NewQuery("body", pages["d0011"].Body)
		q.SetFilter(filter)
		got := find(t, idx, bleve.NewSearchRequestOptions(q, 10, 0, false))

		// All documents, scored, filtered afterwards.
		every := parebleve.NewQuery("body", pages["d0011"].Body)
		exhaustive := options.Search
		exhaustive.Plan = index.Exhaustive
		every.SetSearch(exhaustive)
		every.SetMatches(900)
		all := bleve.NewBooleanQuery()
		all.AddMust(every)
		all.AddFilter(filter)
		want := find(t, idx, bleve.NewSearchRequestOptions(all, 10, 0, false))
		if len(got.Hits) != 10 {
			t.Fatalf("%d hits, want 10", len(got.Hits))
		}
		common := 0
		for _, id := range ids(got) {
			if slices.Contains(ids(want), id) {
				common++
			}
		}
		if common < 9 {
			t.Errorf("%d of the 10 best, want at least 9", common)
		}
		for _, hit := range got.Hits {
			if pages[hit.ID].Kind != "green" && filter != query.Query(rare) {
				t.Errorf("%s does not pass the filter", hit.ID)
			}
		}
	}
}

func ptr(v float64) *float64 { return &v }

// A conjunction begins with the clause of the smallest count, which must be
// that of hits, not of all documents.
func TestCount(t *testing.T) {
	idx := create(t, babble(300, 4), toyOptions())
	q := parebleve.NewQuery("body", "w1 w2 w40")
	q.SetMatches(12)
	var count uint64
	find(t, idx, bleve.NewSearchRequest(spy{q, func(s search.Searcher) search.Searcher {
		count = s.Count()
		return s
	}}))
	if count != 12 {
		t.Errorf("count %d, want 12", count)
	}
}

// Nested documents have numbers of their own; bleve adds their scores to their
// parent's, and a query within one nested document never meets one of whole
// documents.
func TestNested(t *testing.T) {
	text := bleve.NewTextFieldMapping()
	text.Store = true
	parts := bleve.NewNestedDocumentMapping()
	parts.AddFieldMappingsAt("text", text)
	m := bleve.NewIndexMapping()
	m.DefaultMapping.AddFieldMappingsAt("body", text)
	m.DefaultMapping.AddSubDocumentMapping("parts", parts)
	options := parebleve.DefaultOptions(toy, "body", "parts.text")
	idx, err := parebleve.New("", m, options)
	if err != nil {
		t.Fatal(err)
	}
	defer idx.Close()
	for id, doc := range map[string]any{
		"a": map[string]any{"body": "apple tree", "parts": []any{map[string]any{"text": "red fruit"}, map[string]any{"text": "green leaf"}}},
		"b": map[string]any{"body": "plum tree", "parts": []any{map[string]any{"text": "blue fruit"}}},
		"c": map[string]any{"body": "stone wall", "parts": []any{map[string]any{"text": "grey stone"}}},
	} {
		if err := idx.Index(id, doc); err != nil {
			t.Fatal(err)
		}
	}
	result := find(t, idx, bleve.NewSearchRequest(parebleve.NewQuery("body", "plum tree")))
	if got := ids(result); len(got) != 3 || got[0] != "b" {
		t.Errorf("hits %v, want b first and three in all", got)
	}
	if got, want := result.Hits[0].Score, 2.0; math.Abs(got-want) > 0.02 {
		t.Errorf("score %v, want %v", got, want)
	}
	// The texts of all parts are the field's, of the whole document.
	result = find(t, idx, bleve.NewSearchRequest(parebleve.NewQuery("parts.text", "green leaf")))
	if got := ids(result); len(got) != 3 || got[0] != "a" || math.Abs(result.Hits[0].Score-2) > 0.02 {
		t.Errorf("hits %v, the first with %v, want a with 2", got, result.Hits[0].Score)
	}
	fruit := bleve.NewMatchQuery("fruit")
	fruit.SetField("parts.text")
	for _, field := range []string{"body", "parts.text"} {
		q := parebleve.NewQuery(field, "tree")
		result = find(t, idx, bleve.NewSearchRequest(bleve.NewConjunctionQuery(q, fruit)))
		if got := slices.Sorted(slices.Values(ids(result))); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("%s and a nested field: hits %v, want a and b", field, got)
		}
		q = parebleve.NewQuery(field, "tree")
		q.SetFilter(fruit)
		result = find(t, idx, bleve.NewSearchRequest(q))
		if got := slices.Sorted(slices.Values(ids(result))); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("%s, filtered by a nested field: hits %v, want a and b", field, got)
		}
		result = find(t, idx, bleve.NewSearchRequest(parebleve.Rescore(fruit, field, "tree", 5)))
		if got := slices.Sorted(slices.Values(ids(result))); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("%s, rescored from a nested field: hits %v, want a and b", field, got)
		}
	}
}

// Texts of nested documents are stored with these, where Rescore and
// explanations must look for them.
func TestNestedTexts(t *testing.T) {
	text := bleve.NewTextFieldMapping()
	text.Store = true
	parts := bleve.NewNestedDocumentMapping()
	parts.AddFieldMappingsAt("text", text)
	m := bleve.NewIndexMapping()
	m.DefaultMapping.AddSubDocumentMapping("parts", parts)
	plain, err := bleve.NewUsing("", m, scorch.Name, scorch.Name, nil)
	check(t, err)
	docs := map[string]any{
		"a": map[string]any{"parts": []any{map[string]any{"text": "red fruit"}, map[string]any{"text": "green leaf"}}},
		"b": map[string]any{"parts": []any{map[string]any{"text": "blue fruit"}}},
	}
	for id, doc := range docs {
		check(t, plain.Index(id, doc))
	}
	idx, err := parebleve.Wrap(plain, parebleve.DefaultOptions(toy, "parts.text"))
	check(t, err)
	defer idx.Close()
	q := parebleve.Rescore(bleve.NewMatchAllQuery(), "parts.text", "green leaf", 5)
	for _, state := range []string{"without vectors", "with vectors"} {
		request := bleve.NewSearchRequest(q)
		request.Explain = true
		result := find(t, idx, request)
		if got := ids(result); !slices.Equal(got, []string{"a", "b"}) || math.Abs(result.Hits[0].Score-2) > 0.02 {
			t.Fatalf("%s: hits %v, the first with %v, want a with 2 and b", state, got, result.Hits[0].Score)
		}
		if text := result.Hits[0].Expl.String(); !strings.Contains(text, `best match \"leaf\"`) {
			t.Errorf("%s: the explanation does not name the token leaf:\n%s", state, text)
		}
		for id, doc := range docs {
			check(t, idx.Index(id, doc))
		}
	}
}

// Documents with nested ones cannot be copied; an index that has them is
// trained all the same.
func TestNestedTraining(t *testing.T) {
	text := bleve.NewTextFieldMapping()
	text.Store = true
	parts := bleve.NewNestedDocumentMapping()
	parts.AddFieldMappingsAt("text", text)
	m := bleve.NewIndexMapping()
	m.DefaultMapping.AddFieldMappingsAt("body", text)
	m.DefaultMapping.AddSubDocumentMapping("parts", parts)
	options := toyOptions()
	options.TrainingVectors = 300
	idx, err := parebleve.New("", m, options)
	check(t, err)
	defer idx.Close()
	pages := babble(40, 22)
	for range 2 {
		batch := idx.NewBatch()
		for id, p := range pages {
			check(t, batch.Index(id, map[string]any{"body": p.Body, "parts": []any{map[string]any{"text": p.Title}}}))
		}
		check(t, idx.Batch(batch))
		idx.Wait()
		if s := status(t, idx); s.Err != nil || s.WithVectors != 40 || s.Documents != 40 || s.Cells == 1 {
			t.Errorf("%+v, want a trained codebook and vectors for 40 documents", s)
		}
		if n := len(find(t, idx, bleve.NewSearchRequestOptions(parebleve.NewQuery("body", "w1"), 50, 0, false)).Hits); n != 40 {
			t.Errorf("%d hits, want 40", n)
		}
	}
	if err := idx.Reindex(t.Context(), nil); !errors.Is(err, parebleve.ErrNotCopyable) {
		t.Errorf("error %v, want ErrNotCopyable", err)
	}
	check(t, idx.Train(t.Context(), nil))
}

// bleve takes its own searcher of no matches for a clause that is not there.
func TestNoMatches(t *testing.T) {
	idx := create(t, babble(50, 3), toyOptions())
	for name, q := range map[string]*parebleve.Query{
		"no tokens": parebleve.NewQuery("body", "   "),
		"no window": parebleve.Rescore(kinds("no such kind"), "body", "w1", 10),
	} {
		must := bleve.NewBooleanQuery()
		must.AddMust(q)
		must.AddShould(bleve.NewMatchAllQuery())
		if result := find(t, idx, bleve.NewSearchRequest(must)); result.Total != 0 {
			t.Errorf("%s: %d hits, want none", name, result.Total)
		}
	}
	filtered := parebleve.NewQuery("body", "w1")
	filtered.SetFilter(kinds("no such kind"))
	if result := find(t, idx, bleve.NewSearchRequest(filtered)); result.Total != 0 {
		t.Errorf("filter without matches: %d hits, want none", result.Total)
	}
}

// The vectors are in no doc values, no composite field and no loaded document.
func TestHidden(t *testing.T) {
	pages := babble(50, 3)
	options := toyOptions()
	options.Codebook = trainToy(t, pages, 2)
	idx := create(t, pages, options)
	names, err := idx.Fields()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "~pare") {
			t.Errorf("Fields lists %q", name)
		}
	}
	doc, err := idx.Document("d0007")
	if err != nil {
		t.Fatal(err)
	}
	doc.VisitFields(func(f bleveindex.Field) {
		if strings.HasPrefix(f.Name(), "~pare") {
			t.Errorf("Document has %q", f.Name())
		}
	})
	request := bleve.NewSearchRequest(parebleve.NewQuery("body", "w1"))
	request.Fields = []string{"*"}
	for name := range find(t, idx, request).Hits[0].Fields {
		if strings.HasPrefix(name, "~pare") {
			t.Errorf("a hit has the field %q", name)
		}
	}
	// Queries on all fields find the same as without vectors.
	plain, err := bleve.NewUsing("", pageMapping(), scorch.Name, scorch.Name, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	for id, p := range pages {
		if err := plain.Index(id, p); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := allTerms(t, idx), allTerms(t, plain); !slices.Equal(got, want) {
		t.Errorf("_all has %d terms, %d without vectors", len(got), len(want))
	}
	for _, word := range []string{"w1", "w30", "red"} {
		got := find(t, idx, bleve.NewSearchRequestOptions(bleve.NewMatchQuery(word), 50, 0, false))
		want := find(t, plain, bleve.NewSearchRequestOptions(bleve.NewMatchQuery(word), 50, 0, false))
		scores := make(map[string]float64)
		for _, hit := range want.Hits {
			scores[hit.ID] = hit.Score
		}
		if got.Total != want.Total {
			t.Errorf("%s: %d hits, %d without vectors", word, got.Total, want.Total)
		}
		for _, hit := range got.Hits {
			if hit.Score != scores[hit.ID] {
				t.Errorf("%s: %s has the score %v, %v without vectors", word, hit.ID, hit.Score, scores[hit.ID])
			}
		}
	}
}

// allTerms lists the terms of the field that is made of all others.
func allTerms(t *testing.T, idx bleve.Index) []string {
	t.Helper()
	terms, err := idx.FieldDict("_all")
	if err != nil {
		t.Fatal(err)
	}
	defer terms.Close()
	var list []string
	for {
		entry, err := terms.Next()
		if err != nil {
			t.Fatal(err)
		}
		if entry == nil {
			return list
		}
		list = append(list, entry.Term)
	}
}

// The pool of matches is not for goroutines; and one query is shared by all
// children of an alias.
func TestConcurrentSearch(t *testing.T) {
	pages := babble(300, 8)
	options := toyOptions()
	options.Codebook = trainToy(t, pages, 2)
	var children []bleve.Index
	for range 3 {
		children = append(children, create(t, pages, options))
	}
	alias := bleve.NewIndexAlias(children...)
	q := parebleve.NewQuery("body", pages["d0001"].Body)
	q.SetFilter(kinds("red"))
	want := find(t, alias, bleve.NewSearchRequest(q))
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 5 {
				request := bleve.NewSearchRequest(q) // requests, unlike queries, cannot be shared
				request.Explain = true
				got, err := alias.SearchInContext(t.Context(), request)
				if err != nil || got.Total != want.Total || got.MaxScore != want.MaxScore {
					t.Errorf("%v, error %v; want %v", got, err, want)
				}
			}
		})
	}
	wait.Wait()
}

// bleve looks at the context between hits only; work before the first hit must
// do so itself.
func TestCancellation(t *testing.T) {
	idx := create(t, babble(300, 4), toyOptions())
	for name, build := range map[string]func(cancel func()) *parebleve.Query{
		"scoring": func(cancel func()) *parebleve.Query {
			q := parebleve.NewQuery("body", "w1")
			q.SetFilter(spy{bleve.NewMatchAllQuery(), func(s search.Searcher) search.Searcher { cancel(); return s }})
			return q
		},
		"window": func(cancel func()) *parebleve.Query {
			return parebleve.Rescore(spy{bleve.NewMatchAllQuery(), func(s search.Searcher) search.Searcher { cancel(); return s }}, "body", "w1", 10)
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := idx.SearchInContext(ctx, bleve.NewSearchRequest(build(cancel))); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v, want context.Canceled", name, err)
		}
	}
}

// Advance must return the first hit from an id on, whatever was returned
// before.
func TestAdvance(t *testing.T) {
	idx := create(t, babble(300, 4), toyOptions())
	q := parebleve.NewQuery("body", "w1 w2 w40")
	q.SetMatches(40)
	tested := false
	find(t, idx, bleve.NewSearchRequest(spy{q, func(s search.Searcher) search.Searcher {
		return advancing{s, t, &tested}
	}}))
	if !tested {
		t.Error("the searcher was not used")
	}
}

// advancing collects a searcher's hits by leaps of its own.
type advancing struct {
	search.Searcher
	t      *testing.T
	tested *bool
}

func (a advancing) Next(ctx *search.SearchContext) (*search.DocumentMatch, error) {
	if *a.tested {
		return nil, nil
	}
	*a.tested = true
	id := func(n uint64) bleveindex.IndexInternalID { return bleveindex.NewIndexInternalID(nil, n) }
	last := uint64(0)
	for step := uint64(1); ; step++ {
		match, err := a.Advance(ctx, id(last+step))
		if err != nil || match == nil {
			return nil, err
		}
		if n := match.IndexInternalID.Value(); n < last+step {
			a.t.Errorf("Advance(%d) returned %d", last+step, n)
		} else {
			last = n
		}
	}
}

// A request is changed while its lists are fused, so that fusing and a query
// of this package have to get along.
func TestReciprocalRankFusion(t *testing.T) {
	idx := create(t, babble(100, 4), toyOptions())
	request := bleve.NewSearchRequest(parebleve.NewQuery("body", "w1 w2 w40"))
	want := ids(find(t, idx, request))
	request.Score = bleve.ScoreRRF
	result := find(t, idx, request)
	if got := ids(result); !slices.Equal(got, want) {
		t.Errorf("hits %v, want %v", got, want)
	}
	for i, hit := range result.Hits {
		if math.Abs(hit.Score-1/float64(61+i)) > 1e-12 {
			t.Errorf("hit %d has the score %v, want 1/%d", i, hit.Score, 61+i)
		}
	}
}

// Batches must be readable before they are executed, in this version of bleve.
func TestBatchAgain(t *testing.T) {
	idx := create(t, nil, toyOptions())
	batch := idx.NewBatch()
	if err := batch.Index("a", page{Body: "plum tree"}); err != nil {
		t.Fatal(err)
	}
	doc := document.NewDocument("b")
	doc.AddField(document.NewTextField("body", nil, []byte("apple tree")))
	if err := batch.IndexAdvanced(doc); err != nil {
		t.Fatal(err)
	}
	batch.Delete("c")
	for range 2 { // a batch may be executed again
		if err := idx.Batch(batch); err != nil {
			t.Fatal(err)
		}
	}
	result := find(t, idx, bleve.NewSearchRequest(parebleve.NewQuery("body", "apple tree")))
	if got := ids(result); !slices.Equal(got, []string{"b", "a"}) || math.Abs(result.Hits[0].Score-2) > 0.02 {
		t.Errorf("hits %v, the first with %v, want b with 2 and a", got, result.Hits[0].Score)
	}
}

// A failing encoder fails the batch as a whole.
func TestEncoderFails(t *testing.T) {
	options := toyOptions()
	options.Encoder = failing
	idx := create(t, nil, options)
	if err := idx.Index("a", page{Body: "plum"}); !errors.Is(err, errFailing) {
		t.Errorf("error %v, want the encoder's", err)
	}
	if n, _ := idx.DocCount(); n != 0 {
		t.Errorf("%d documents, want none", n)
	}
	if _, err := idx.Search(bleve.NewSearchRequest(parebleve.NewQuery("body", "plum"))); !errors.Is(err, errFailing) {
		t.Errorf("error %v, want the encoder's", err)
	}
}
